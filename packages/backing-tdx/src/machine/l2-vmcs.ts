/**
 * The VMCS the module keeps for one L2 VM of one VCPU, as TDG.VP.RD and TDG.VP.WR reach it. Guest-state fields are the processor's own state;
 * controls become its intercepts; what only entries and exits look at is stored here.
 */
import { ProcessorControl, SecondaryControl, U64, VmcsField, restoreU64, saveU64 } from '@paravisor/hcl-protocol';
import type { ReadonlyU64 } from '@paravisor/hcl-protocol';
import { stateLayout } from '@paravisor/x86-cpu';
import type { Processor } from '@paravisor/x86-cpu';
import { PrimaryControl, SecondaryControls, segmentVmcsFields } from '../abi/index.js';
import { VirtualApicPage } from './virtual-apic.js';
import type { VirtualApicState } from './virtual-apic.js';

/** One field. Values are zero-extended to 64 bits. */
interface Field {
  read(out: U64): void;
  write(value: ReadonlyU64): void;
}

/** What a write has to be followed by before the L2 VM runs again. */
const Effect = { None: 0, State: 1, Intercepts: 2 } as const;
type Effect = (typeof Effect)[keyof typeof Effect];

/** Primary controls the module fixes to one: HLT and port I/O always leave the L2 VM, MSRs by bitmap, and CR8 is in the virtual-APIC page. */
const FIXED_PRIMARY =
  PrimaryControl.HltExiting |
  PrimaryControl.TprShadow |
  PrimaryControl.UnconditionalIo |
  PrimaryControl.UseMsrBitmaps |
  PrimaryControl.SecondaryControls;
/** Primary controls VTL2 may set. Writes to any other bit have no effect. */
const WRITABLE_PRIMARY =
  ProcessorControl.InterruptWindow |
  ProcessorControl.NmiWindow |
  PrimaryControl.InvlpgExiting |
  PrimaryControl.RdtscExiting |
  PrimaryControl.Cr3LoadExiting |
  PrimaryControl.Cr3StoreExiting |
  PrimaryControl.MovDrExiting |
  PrimaryControl.PauseExiting;
const FIXED_SECONDARY = SecondaryControls.Ept | SecondaryControls.WbinvdExiting;
const WRITABLE_SECONDARY = SecondaryControls.DescriptorTableExiting | SecondaryControl.VirtualInterruptDelivery;

/** Access rights: bit 16 is "unusable", which the processor keeps as a segment that is not present. */
const UNUSABLE = 1 << 16;
const PRESENT = 1 << 7;
const ATTRIBUTES = 0xf0ff;

/** A field kept here, and not in the processor. */
class StoredField implements Field {
  readonly value = new U64();
  readonly #writable: number;
  readonly #fixed: number;

  /** 32-bit fields: `fixed` bits read one, bits outside `writable` cannot be changed. */
  constructor(fixed = 0, writable = -1) {
    this.#fixed = fixed;
    this.#writable = writable;
    this.value.setParts(fixed, 0);
  }

  read(out: U64): void {
    out.set(this.value);
  }

  write(value: ReadonlyU64): void {
    this.value.setParts((value.lo & this.#writable) | this.#fixed, value.hi);
  }
}

/** A field that is one register of the processor's state area. */
class RegisterField implements Field {
  readonly #view: DataView;
  readonly #offset: number;
  readonly #bytes: 2 | 4 | 8;

  constructor(view: DataView, offset: number, bytes: 2 | 4 | 8) {
    this.#view = view;
    this.#offset = offset;
    this.#bytes = bytes;
  }

  read(out: U64): void {
    const at = this.#offset;
    if (this.#bytes === 2) out.setParts(this.#view.getUint16(at, true), 0);
    else out.setParts(this.#view.getInt32(at, true), this.#bytes === 8 ? this.#view.getInt32(at + 4, true) : 0);
  }

  write(value: ReadonlyU64): void {
    const at = this.#offset;
    if (this.#bytes === 2) {
      this.#view.setUint16(at, value.lo, true);
      return;
    }
    this.#view.setInt32(at, value.lo, true);
    if (this.#bytes === 8) this.#view.setInt32(at + 4, value.hi, true);
  }
}

/** A segment's access rights. */
class AccessRightsField implements Field {
  readonly #view: DataView;
  readonly #offset: number;

  constructor(view: DataView, offset: number) {
    this.#view = view;
    this.#offset = offset;
  }

  read(out: U64): void {
    const attributes = this.#view.getUint16(this.#offset, true) & ATTRIBUTES;
    out.setParts((attributes & PRESENT) !== 0 ? attributes : attributes | UNUSABLE, 0);
  }

  write(value: ReadonlyU64): void {
    const attributes = value.lo & ATTRIBUTES;
    this.#view.setUint16(this.#offset, (value.lo & UNUSABLE) !== 0 ? attributes & ~PRESENT : attributes, true);
  }
}

/** Registers whose change the processor must be told of. */
const controlRegisters = [
  [VmcsField.Cr0, stateLayout.cr0],
  [VmcsField.Cr3, stateLayout.cr3],
  [VmcsField.Cr4, stateLayout.cr4],
  [VmcsField.GuestEfer, stateLayout.efer],
  [VmcsField.GdtrBase, stateLayout.gdtrBase],
  [VmcsField.IdtrBase, stateLayout.idtrBase],
  [VmcsField.Dr7, stateLayout.dr7],
  [VmcsField.GuestPat, stateLayout.pat],
  [VmcsField.SysenterCs, stateLayout.sysenterCs],
  [VmcsField.SysenterEsp, stateLayout.sysenterEsp],
  [VmcsField.SysenterEip, stateLayout.sysenterEip],
] as const;

/** Fields only entries and exits look at. */
const storedFields = [
  VmcsField.EntryControls,
  VmcsField.EntryInterruptInfo,
  VmcsField.EntryExceptionErrorCode,
  VmcsField.EntryInstructionLength,
  VmcsField.TprThreshold,
  VmcsField.VirtualApicPage,
] as const;

/** Vectors whose EOI exits, 64 a field. */
const eoiExitFields: readonly number[] = [VmcsField.EoiExitBitmap0, VmcsField.EoiExitBitmap1, VmcsField.EoiExitBitmap2, VmcsField.EoiExitBitmap3];

/** Controls that become intercepts of the processor. */
const interceptFields = [VmcsField.ExceptionBitmap, VmcsField.Cr0Mask, VmcsField.Cr4Mask, VmcsField.Cr0Shadow, VmcsField.Cr4Shadow] as const;

/** What `L2Vmcs.save` gives. */
export type L2VmcsState = {
  readonly stored: readonly (readonly [encoding: number, value: string])[];
  readonly stateChanged: boolean;
  readonly interceptsChanged: boolean;
  readonly apic: VirtualApicState;
};

/** The VMCS of one L2 VM. */
export class L2Vmcs {
  readonly entryInterruptInfo: ReadonlyU64;
  readonly entryErrorCode: ReadonlyU64;
  readonly entryInstructionLength: ReadonlyU64;
  readonly entryControls: ReadonlyU64;
  readonly processorControls: ReadonlyU64;
  readonly secondaryControls: ReadonlyU64;
  readonly tprThreshold: ReadonlyU64;
  /** What the processor virtualizes of the local APIC. */
  readonly apic: VirtualApicPage;
  readonly #processor: Processor;
  readonly #fields = new Map<number, { readonly field: Field; readonly effect: Effect }>();
  readonly #stored = new Map<number, StoredField>();
  readonly #injection: StoredField;
  #stateChanged = false;
  #interceptsChanged = true;

  constructor(processor: Processor) {
    this.#processor = processor;
    this.apic = new VirtualApicPage(processor);
    const view = new DataView(processor.bytes.buffer, processor.bytes.byteOffset, processor.bytes.byteLength);
    const { segments, segmentSize, gdtrLimit, idtrLimit, interruptibility } = stateLayout;
    for (const [index, { selector, limit, accessRights, base }] of segmentVmcsFields.entries()) {
      const at = segments + index * segmentSize;
      this.#add(selector, new RegisterField(view, at, 2), Effect.State);
      this.#add(accessRights, new AccessRightsField(view, at + 2), Effect.State);
      this.#add(limit, new RegisterField(view, at + 4, 4), Effect.State);
      this.#add(base, new RegisterField(view, at + 8, 8), Effect.State);
    }
    for (const [field, offset] of controlRegisters) this.#add(field, new RegisterField(view, offset, 8), Effect.State);
    this.#add(VmcsField.GdtrLimit, new RegisterField(view, gdtrLimit, 4), Effect.State);
    this.#add(VmcsField.IdtrLimit, new RegisterField(view, idtrLimit, 4), Effect.State);
    this.#add(VmcsField.Interruptibility, new RegisterField(view, interruptibility, 4), Effect.None);
    for (const field of [...storedFields, ...eoiExitFields]) this.#addStored(field, new StoredField(), Effect.None);
    for (const field of interceptFields) this.#addStored(field, new StoredField(), Effect.Intercepts);
    this.processorControls = this.#addStored(VmcsField.ProcessorControls, new StoredField(FIXED_PRIMARY, WRITABLE_PRIMARY), Effect.Intercepts);
    this.secondaryControls = this.#addStored(VmcsField.SecondaryControls, new StoredField(FIXED_SECONDARY, WRITABLE_SECONDARY), Effect.Intercepts);
    this.#injection = this.#stored.get(VmcsField.EntryInterruptInfo)!;
    this.entryInterruptInfo = this.#injection.value;
    this.entryErrorCode = this.#stored.get(VmcsField.EntryExceptionErrorCode)!.value;
    this.entryInstructionLength = this.#stored.get(VmcsField.EntryInstructionLength)!.value;
    this.tprThreshold = this.#stored.get(VmcsField.TprThreshold)!.value;
    this.entryControls = this.#stored.get(VmcsField.EntryControls)!.value;
    processor.intercepts.msrBitmap.fill(0xff);
  }

  #add(encoding: number, field: Field, effect: Effect): void {
    this.#fields.set(encoding, { field, effect });
  }

  #addStored(encoding: number, field: StoredField, effect: Effect): U64 {
    this.#add(encoding, field, effect);
    this.#stored.set(encoding, field);
    return field.value;
  }

  /** VTL2 wrote the virtual-APIC page's address: the page, or null for an address where VTL2 has none. */
  setVirtualApicPage(page: Uint8Array | null): void {
    this.apic.setPage(page);
    this.#processor.virtualApic = page === null ? null : this.apic;
  }

  /** False for an encoding the module does not know. */
  read(encoding: number, out: U64): boolean {
    const entry = this.#fields.get(encoding);
    if (entry === undefined) return false;
    entry.field.read(out);
    return true;
  }

  /** False for an encoding the module does not know. The change takes effect at the next entry. */
  write(encoding: number, value: ReadonlyU64): boolean {
    const entry = this.#fields.get(encoding);
    if (entry === undefined) return false;
    entry.field.write(value);
    const eoiExit = eoiExitFields.indexOf(encoding);
    if (eoiExit >= 0) {
      this.apic.setEoiExits(2 * eoiExit, value.lo);
      this.apic.setEoiExits(2 * eoiExit + 1, value.hi);
    }
    if (entry.effect === Effect.State) this.#stateChanged = true;
    else if (entry.effect === Effect.Intercepts) this.#interceptsChanged = true;
    return true;
  }

  /** Fields kept here; guest state and MSR bitmaps are the processor's to save. */
  save(): L2VmcsState {
    const stored = [...this.#stored].map(([encoding, { value }]) => [encoding, saveU64(value)] as const);
    return { stored, stateChanged: this.#stateChanged, interceptsChanged: this.#interceptsChanged, apic: this.apic.save() };
  }

  restore({ stored, stateChanged, interceptsChanged, apic }: L2VmcsState): void {
    const value = new U64();
    for (const [encoding, text] of stored) {
      restoreU64(value, text);
      this.write(encoding, value);
    }
    this.#stateChanged = stateChanged;
    this.#interceptsChanged = interceptsChanged;
    this.apic.restore(apic);
  }

  /** Word `index` (0 .. 511) of the MSR bitmaps, 64 bits. */
  readMsrBitmap(index: number, out: U64): void {
    const bytes = this.#processor.intercepts.msrBitmap;
    out.setParts(wordOf(bytes, 8 * index), wordOf(bytes, 8 * index + 4));
  }

  writeMsrBitmap(index: number, value: ReadonlyU64): void {
    const bytes = this.#processor.intercepts.msrBitmap;
    for (let i = 0; i < 4; i++) {
      bytes[8 * index + i] = value.lo >>> (8 * i);
      bytes[8 * index + 4 + i] = value.hi >>> (8 * i);
    }
    this.#interceptsChanged = true;
  }

  /** An entry delivered the event: the processor clears the valid bit (SDM 27.6.3, "VM-entry interruption information"). */
  clearInjection(): void {
    this.#injection.value.lo &= 0x7fffffff;
  }

  /** Before an entry: tells the processor what was written since the last one. */
  apply(): void {
    if (this.#interceptsChanged) this.#applyIntercepts();
    if (this.#stateChanged) {
      this.#stateChanged = false;
      this.#processor.stateChanged();
    }
  }

  #applyIntercepts(): void {
    this.#interceptsChanged = false;
    const { intercepts } = this.#processor;
    const primary = this.processorControls.lo;
    const secondary = this.#low(VmcsField.SecondaryControls);
    intercepts.cpuid = true;
    intercepts.invd = true;
    intercepts.xsetbv = true;
    intercepts.vmcall = true;
    intercepts.tdcall = true;
    intercepts.hlt = (primary & PrimaryControl.HltExiting) !== 0;
    intercepts.pause = (primary & PrimaryControl.PauseExiting) !== 0;
    intercepts.rdtsc = (primary & PrimaryControl.RdtscExiting) !== 0;
    intercepts.rdpmc = (primary & PrimaryControl.RdpmcExiting) !== 0;
    intercepts.io = (primary & PrimaryControl.UnconditionalIo) !== 0;
    intercepts.monitor = (primary & PrimaryControl.MonitorExiting) !== 0;
    intercepts.cr3Load = (primary & PrimaryControl.Cr3LoadExiting) !== 0;
    intercepts.cr3Store = (primary & PrimaryControl.Cr3StoreExiting) !== 0;
    intercepts.drAccess = (primary & PrimaryControl.MovDrExiting) !== 0;
    intercepts.interruptWindow = (primary & ProcessorControl.InterruptWindow) !== 0;
    intercepts.nmiWindow = (primary & ProcessorControl.NmiWindow) !== 0;
    intercepts.wbinvd = (secondary & SecondaryControls.WbinvdExiting) !== 0;
    intercepts.descriptorTables = (secondary & SecondaryControls.DescriptorTableExiting) !== 0;
    intercepts.exceptions = this.#low(VmcsField.ExceptionBitmap);
    intercepts.cr0Mask = this.#low(VmcsField.Cr0Mask);
    intercepts.cr0Shadow = this.#low(VmcsField.Cr0Shadow);
    intercepts.cr4Mask = this.#low(VmcsField.Cr4Mask);
    intercepts.cr4Shadow = this.#low(VmcsField.Cr4Shadow);
    this.#processor.interceptsChanged();
  }

  #low(encoding: number): number {
    return this.#stored.get(encoding)!.value.lo;
  }
}

function wordOf(bytes: Uint8Array, at: number): number {
  return bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
}
