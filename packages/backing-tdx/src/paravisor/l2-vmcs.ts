/** The VMCS of one L2 VM as the backing uses it: fields by their names, segments in the order of `Segment`. */
import { VmcsField, l2VmOfVtl } from '@paravisor/hcl-protocol';
import { segmentVmcsFields } from '../abi/index.js';
import { L2Field } from './l2-field.js';
import type { L2FieldState, TdvpsAccess } from './l2-field.js';

interface L2SegmentFields {
  readonly selector: L2Field;
  readonly limit: L2Field;
  readonly attributes: L2Field;
  readonly base: L2Field;
}

export class L2Vmcs {
  readonly processorControls: L2Field;
  readonly secondaryControls: L2Field;
  readonly virtualApicPage: L2Field;
  readonly exceptionBitmap: L2Field;
  readonly entryControls: L2Field;
  readonly tprThreshold: L2Field;
  readonly cr0Mask: L2Field;
  readonly cr4Mask: L2Field;
  readonly cr0Shadow: L2Field;
  readonly cr4Shadow: L2Field;
  /** Write only: an entry clears the valid bit. */
  readonly entryInterruptInfo: L2Field;
  readonly entryErrorCode: L2Field;
  readonly entryInstructionLength: L2Field;
  readonly interruptibility: L2Field;
  readonly cr0: L2Field;
  readonly cr3: L2Field;
  readonly cr4: L2Field;
  readonly efer: L2Field;
  readonly pat: L2Field;
  readonly dr7: L2Field;
  readonly gdtrBase: L2Field;
  readonly gdtrLimit: L2Field;
  readonly idtrBase: L2Field;
  readonly idtrLimit: L2Field;
  readonly segments: readonly L2SegmentFields[];

  constructor(access: TdvpsAccess, vtl: number) {
    const vm = l2VmOfVtl(vtl);
    const own = (encoding: number) => new L2Field(access, vm, encoding, false);
    const guest = (encoding: number) => new L2Field(access, vm, encoding, true);
    this.processorControls = own(VmcsField.ProcessorControls);
    this.secondaryControls = own(VmcsField.SecondaryControls);
    this.virtualApicPage = own(VmcsField.VirtualApicPage);
    this.exceptionBitmap = own(VmcsField.ExceptionBitmap);
    // An exit saves the guest's mode in it (SDM 28.2, "IA-32e mode guest").
    this.entryControls = guest(VmcsField.EntryControls);
    this.tprThreshold = own(VmcsField.TprThreshold);
    this.cr0Mask = own(VmcsField.Cr0Mask);
    this.cr4Mask = own(VmcsField.Cr4Mask);
    this.cr0Shadow = own(VmcsField.Cr0Shadow);
    this.cr4Shadow = own(VmcsField.Cr4Shadow);
    this.entryInterruptInfo = guest(VmcsField.EntryInterruptInfo);
    this.entryErrorCode = guest(VmcsField.EntryExceptionErrorCode);
    this.entryInstructionLength = guest(VmcsField.EntryInstructionLength);
    this.interruptibility = guest(VmcsField.Interruptibility);
    this.cr0 = guest(VmcsField.Cr0);
    this.cr3 = guest(VmcsField.Cr3);
    this.cr4 = guest(VmcsField.Cr4);
    this.efer = guest(VmcsField.GuestEfer);
    this.pat = guest(VmcsField.GuestPat);
    this.dr7 = guest(VmcsField.Dr7);
    this.gdtrBase = guest(VmcsField.GdtrBase);
    this.gdtrLimit = guest(VmcsField.GdtrLimit);
    this.idtrBase = guest(VmcsField.IdtrBase);
    this.idtrLimit = guest(VmcsField.IdtrLimit);
    this.segments = segmentVmcsFields.map((fields) => ({
      selector: guest(fields.selector),
      limit: guest(fields.limit),
      attributes: guest(fields.accessRights),
      base: guest(fields.base),
    }));
  }
  save(): readonly L2FieldState[] {
    return this.#all().map((field) => field.save());
  }

  restore(state: readonly L2FieldState[]): void {
    for (const [index, field] of this.#all().entries()) field.restore(state[index]!);
  }

  /** Every field, always in one order. */
  #all(): readonly L2Field[] {
    const segments = this.segments.flatMap((fields) => Object.values(fields) as L2Field[]);
    return [...Object.values(this).filter((member) => member instanceof L2Field), ...segments];
  }
}
