/** The TDVPS of one VCPU as TDG.VP.RD and TDG.VP.WR see it: L2 VMCS, MSR bitmaps, TSC_DEADLINE and L2_CTLS. */
import { L2_VMCS_CLASS, L2_VM_COUNT, StateError, TdvpsField, TdxStatus, U64, VmcsField, restoreU64, saveU64, u64ToNumber } from '@paravisor/hcl-protocol';
import type { ReadonlyU64 } from '@paravisor/hcl-protocol';
import type { VpMachine } from '@paravisor/virt-machine';
import { ElementSize, MANAGEMENT_CLASS, classCodeOf, elementSizeOf, fieldCodeOf, isVpField, l2MsrBitmapClass, vmcsElementSize } from '../abi/index.js';
import type { L2TscDeadlineState } from './l2-tsc-deadline.js';
import type { L2Vm } from './l2-vm.js';
import type { L2VmcsState } from './l2-vmcs.js';
import type { TscConversion } from './tsc-conversion.js';

/** 64-bit words of an L2 VM's MSR bitmaps. */
const MSR_BITMAP_WORDS = 512;

/** The page VTL2 has at a physical address, null for none. */
export type PageAt = (address: number) => Uint8Array | null;

/** What `Tdvps.save` gives. */
export type TdvpsState = {
  readonly idleDeadlines: readonly string[];
  readonly controls: readonly string[];
  readonly vms: readonly ({ readonly vmcs: L2VmcsState; readonly deadline: L2TscDeadlineState } | null)[];
};

/** The fields of a VCPU. A status is a completion code of the module; on failure nothing has changed. */
export class Tdvps {
  /** L2 VMs by index; VM 0 and absent VMs are null. */
  readonly vms: readonly (L2Vm | null)[];
  readonly #machine: VpMachine;
  readonly #pageAt: PageAt;
  readonly #tsc: TscConversion;
  /** TSC_DEADLINE of VM 0 and of absent VMs: kept, without effect. */
  readonly #idleDeadlines = Array.from({ length: L2_VM_COUNT + 1 }, () => new U64().setParts(-1, -1));
  readonly #controls = Array.from({ length: L2_VM_COUNT + 1 }, () => new U64());
  readonly #virtualNow = new U64();
  readonly #nativeNow = new U64();
  readonly #merged = new U64();
  readonly #previous = new U64();

  constructor(machine: VpMachine, vms: readonly (L2Vm | null)[], tsc: TscConversion, pageAt: PageAt) {
    this.#machine = machine;
    this.#pageAt = pageAt;
    this.vms = vms;
    this.#tsc = tsc;
  }

  save(): TdvpsState {
    return {
      idleDeadlines: this.#idleDeadlines.map(saveU64),
      controls: this.#controls.map(saveU64),
      vms: this.vms.map((vm) => (vm === null ? null : { vmcs: vm.vmcs.save(), deadline: vm.deadline.save() })),
    };
  }

  restore({ idleDeadlines, controls, vms }: TdvpsState): void {
    for (const [index, text] of idleDeadlines.entries()) restoreU64(this.#idleDeadlines[index]!, text);
    for (const [index, text] of controls.entries()) restoreU64(this.#controls[index]!, text);
    const address = new U64();
    for (const [index, state] of vms.entries()) {
      const vm = this.vms[index] ?? null;
      if ((vm === null) !== (state === null)) throw new StateError(`L2 VM ${index} is there in only one of the saved and the restored trust domain`);
      if (vm === null || state === null) continue;
      vm.vmcs.restore(state.vmcs);
      vm.deadline.restore(state.deadline);
      vm.vmcs.read(VmcsField.VirtualApicPage, address);
      vm.vmcs.setVirtualApicPage(this.#pageAt(u64ToNumber(address)));
    }
  }

  /** Native TSC now. Valid until the next call. */
  nativeNow(): ReadonlyU64 {
    this.#tsc.toNative(this.#virtualNow.setNumber(this.#machine.clock.now), this.#nativeNow);
    return this.#nativeNow;
  }

  read(id: ReadonlyU64, out: U64): number {
    if (!isVpField(id)) return TdxStatus.MetadataFieldIdIncorrect;
    const code = fieldCodeOf(id);
    if (id.hi === TdvpsField.TscDeadline.hi) {
      const field = this.#managementField(code);
      if (field === null) return TdxStatus.MetadataFieldIdIncorrect;
      out.set(field);
      return TdxStatus.Success;
    }
    const vm = this.#vmOfClass(classCodeOf(id));
    if (vm === null || id.hi < 0) return TdxStatus.MetadataFieldIdIncorrect;
    if (classCodeOf(id) === l2MsrBitmapClass(vm.index)) {
      if (code >= MSR_BITMAP_WORDS || elementSizeOf(id) !== ElementSize.Bytes8) return TdxStatus.MetadataFieldIdIncorrect;
      vm.vmcs.readMsrBitmap(code, out);
      return TdxStatus.Success;
    }
    return elementSizeOf(id) === vmcsElementSize(code) && vm.vmcs.read(code, out) ? TdxStatus.Success : TdxStatus.MetadataFieldIdIncorrect;
  }

  /** Writes the bits of `mask`; `previous` gets the value before. */
  write(id: ReadonlyU64, value: ReadonlyU64, mask: ReadonlyU64, previous: U64): number {
    const before = this.#previous;
    const status = this.read(id, before);
    if (status !== TdxStatus.Success) return status;
    const merged = this.#merged.setParts((before.lo & ~mask.lo) | (value.lo & mask.lo), (before.hi & ~mask.hi) | (value.hi & mask.hi));
    const code = fieldCodeOf(id);
    if (id.hi === TdvpsField.TscDeadline.hi) {
      const failed = this.#writeManagement(code, merged);
      if (failed !== TdxStatus.Success) return failed;
    } else {
      const vm = this.#vmOfClass(classCodeOf(id))!;
      if (classCodeOf(id) === l2MsrBitmapClass(vm.index)) vm.vmcs.writeMsrBitmap(code, merged);
      else this.#writeVmcs(vm, code, merged);
    }
    previous.set(before);
    return TdxStatus.Success;
  }

  #writeVmcs({ vmcs }: L2Vm, encoding: number, value: ReadonlyU64): void {
    vmcs.write(encoding, value);
    if (encoding === VmcsField.VirtualApicPage) vmcs.setVirtualApicPage(this.#pageAt(u64ToNumber(value)));
  }

  /** Class 32: TSC_DEADLINE and L2_CTLS, an element for each of VM 0 .. 3. */
  #managementField(code: number): ReadonlyU64 | null {
    const deadline = code - TdvpsField.TscDeadline.lo;
    if (deadline >= 0 && deadline <= L2_VM_COUNT) return this.vms[deadline]?.deadline.value ?? this.#idleDeadlines[deadline]!;
    const controls = code - TdvpsField.L2Ctls.lo;
    // The controls of an absent VM are no field (an assumption; TSC_DEADLINE's are, and do nothing).
    return controls >= 0 && controls <= L2_VM_COUNT && (controls === 0 || this.vms[controls] !== null) ? this.#controls[controls]! : null;
  }

  #writeManagement(code: number, value: ReadonlyU64): number {
    const index = code - TdvpsField.TscDeadline.lo;
    if (index < 0) {
      this.#controls[code - TdvpsField.L2Ctls.lo]!.set(value);
      return TdxStatus.Success;
    }
    const vm = this.vms[index];
    if (vm === null || vm === undefined) {
      this.#idleDeadlines[index]!.set(value);
      return TdxStatus.Success;
    }
    const native = this.nativeNow();
    const changed = vm.deadline.value.lo !== value.lo || vm.deadline.value.hi !== value.hi;
    const status = vm.deadline.write(value, this.#virtualNow, native);
    const { index: vp, clock, observer } = this.#machine;
    if (changed && status === TdxStatus.Success) observer.deadlineWritten(vp, vm.vtl, value, clock.now);
    return status;
  }

  #vmOfClass(classCode: number): L2Vm | null {
    if (classCode === MANAGEMENT_CLASS) return null;
    for (const vm of this.vms) {
      if (vm !== null && (classCode === L2_VMCS_CLASS[vm.index] || classCode === l2MsrBitmapClass(vm.index))) return vm;
    }
    return null;
  }
}
