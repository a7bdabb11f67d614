/** The TDX module's part of one VCPU: TDG.VP.ENTER with its exits, and the other leaves (TDX module ABI, TD partitioning). */
import { EntryRcx, InterruptionInfo, L2_VM_COUNT, TdcallLeaf, TdxStatus, U64, VmxExit, VmxExitReason, restoreTime, saveTime } from '@paravisor/hcl-protocol';
import type { ReadonlyU64, TdcallArgument } from '@paravisor/hcl-protocol';
import { GuestStop } from '@paravisor/virt-machine';
import type { VpMachine } from '@paravisor/virt-machine';
import { ExitKind, Stop } from '@paravisor/x86-cpu';
import { entryIsValid } from './entry-checks.js';
import { ExitInformation } from './exit-information.js';
import type { TdxExitInfo } from './exit-information.js';
import { L2Vm } from './l2-vm.js';
import type { GuestStateArea } from './l2-vm.js';
import { Tdvps } from './tdvps.js';
import type { PageAt, TdvpsState } from './tdvps.js';
import type { TrustDomain } from './trust-domain.js';

/** How TDG.VP.ENTER stands. */
export const EnterResult = {
  /** It returned: RAX and the rest are in the exit information. */
  Returned: 0,
  /** The L2 VM may not run on for now (`GuestStop.Horizon`): call `resume`. */
  Pending: 1,
} as const;
export type EnterResult = (typeof EnterResult)[keyof typeof EnterResult];

/** RCX of TDG.VP.ENTER: bits 1:0 and 53:52 mean something, the rest is reserved. */
const TLB_INVALIDATION = 3;
/** Alignment of L2_ENTER_GUEST_STATE. */
const GUEST_STATE_ALIGNMENT = 256;
/** Above this, a tick is no exact number; no run lasts so long. */
const TICKS_LIMIT_HIGH = 2 ** 21;

/** The L2 VM index in RCX of TDG.VP.ENTER. */
export const entryVmIndex = (rcx: ReadonlyU64): number => (rcx.hi & EntryRcx.HighVmMask) >>> EntryRcx.HighVmShift;

/** What `TdxVcpu.save` gives: `running` is the L2 VM of an entry that is pending, or 0. */
export type TdxVcpuState = { readonly tdvps: TdvpsState; readonly running: number; readonly deadlineTicks: number | null };

/** One VCPU of the trust domain. */
export class TdxVcpu {
  readonly tdvps: Tdvps;
  readonly #domain: TrustDomain;
  readonly #machine: VpMachine;
  readonly #area: GuestStateArea;
  readonly #areaIsAligned: boolean;
  readonly #info: TdxExitInfo;
  readonly #exit: ExitInformation;
  readonly #expiry = new U64();
  readonly #value = new U64();
  /** The L2 VM being run, and the tick at which its preemption timer ends the run. */
  #running: L2Vm | null = null;
  #deadlineTicks: number = Infinity;
  /**
   * `area` and `info` are the run page's guest state and exit information; `areaAddress` is where VTL2 has the former in its physical memory, of which
   * `pageAt` gives the pages it names to the module.
   */
  constructor(domain: TrustDomain, machine: VpMachine, area: GuestStateArea, areaAddress: number, info: TdxExitInfo, pageAt: PageAt) {
    this.#domain = domain;
    this.#machine = machine;
    this.#area = area;
    this.#areaIsAligned = areaAddress % GUEST_STATE_ALIGNMENT === 0;
    this.#info = info;
    this.#exit = new ExitInformation(info);
    const vms = Array.from({ length: L2_VM_COUNT + 1 }, (_, index) =>
      index >= 1 && index <= domain.l2VmCount && index <= machine.processors.length ? new L2Vm(index, machine, domain.tsc, area) : null,
    );
    this.tdvps = new Tdvps(machine, vms, domain.tsc, pageAt);
  }

  save(): TdxVcpuState {
    return { tdvps: this.tdvps.save(), running: this.#running?.index ?? 0, deadlineTicks: saveTime(this.#deadlineTicks) };
  }

  restore({ tdvps, running, deadlineTicks }: TdxVcpuState): void {
    this.tdvps.restore(tdvps);
    this.#running = this.vm(running);
    this.#deadlineTicks = restoreTime(deadlineTicks);
  }

  /** The L2 VM of an index, or null when there is none. */
  vm(index: number): L2Vm | null {
    return this.tdvps.vms[index] ?? null;
  }

  /** TDG.VP.ENTER, until the L2 VM exits to VTL2, or the entry is refused. */
  enter(rcx: ReadonlyU64): EnterResult {
    const vm = this.#vmToEnter(rcx);
    if (vm === null) return this.#refuse(TdxStatus.OperandInvalid);
    // The model raises no virtual interrupt for VTL2 that VTL2 masks by priority, so any pending one exceeds its PPR class.
    if (this.#machine.host.vtl2InterruptPending) return this.#refuse(TdxStatus.PendingInterrupt);

    const { processor, vmcs } = vm;
    const { clock, costs } = this.#machine;
    clock.charge(costs.ticks.vmEntry);
    vmcs.apply();
    if ((rcx.lo & TLB_INVALIDATION) !== 0) processor.flushTlb();
    const injection = vmcs.entryInterruptInfo.lo;
    if (!entryIsValid(processor, this.#area.rflags, injection, vmcs.entryControls.lo)) {
      this.#exit.setPlain(processor, TdxStatus.Success, VmxExit.BadGuestState | VmxExitReason.EntryFailed);
      return this.#leave();
    }
    vm.loadGuestState();
    this.#startTimer(vm);
    this.#running = vm;
    this.#inject(vm, injection);
    return this.#deliverInjection(vm) ?? this.resume();
  }

  /**
   * What an entry injects is delivered by the entry itself, before anything can end the run (SDM volume 3, 27.6); so is the exit for a task priority below
   * its threshold (27.7.7). Null when the guest goes on.
   */
  #deliverInjection(vm: L2Vm): EnterResult | null {
    const { processor } = vm;
    switch (processor.deliverInjected()) {
      case Stop.Intercept:
        this.#exit.setIntercept(processor);
        return this.#exitFrom(vm);
      case Stop.Shutdown:
        this.#exit.setPlain(processor, TdxStatus.Success, VmxExit.TripleFault);
        return this.#exitFrom(vm);
    }
    if (!vm.vmcs.apic.tprBelowThreshold) return null;
    this.#exit.setPlain(processor, TdxStatus.Success, VmxExit.TprBelowThreshold);
    return this.#exitFrom(vm);
  }

  /** Goes on with an entry that was pending. */
  resume(): EnterResult {
    const vm = this.#running;
    if (vm === null) throw new Error('no L2 VM is running on this VCPU');
    const { processor } = vm;
    const stop = this.#machine.runGuest(processor, this.#deadlineTicks);
    switch (stop) {
      case GuestStop.Horizon:
        return EnterResult.Pending;
      case GuestStop.Intercept:
        if (processor.exit.kind === ExitKind.ApicWrite) this.#setApicExit(vm);
        else this.#exit.setIntercept(processor);
        break;
      case GuestStop.Deadline:
        this.#exit.setPlain(processor, TdxStatus.Success, VmxExit.TimerExpired);
        break;
      case GuestStop.Vtl2Interrupt:
        this.#exit.setPlain(processor, TdxStatus.L2ExitPendingInterrupt, VmxExit.ExternalInterrupt);
        break;
      case GuestStop.Shutdown:
        this.#exit.setPlain(processor, TdxStatus.Success, VmxExit.TripleFault);
        break;
      case GuestStop.Halted:
        throw new Error('HLT retired in an L2 VM: the module fixes HLT exiting to one');
    }
    return this.#exitFrom(vm);
  }

  #setApicExit({ processor, vmcs: { apic } }: L2Vm): void {
    this.#exit.setPlain(processor, TdxStatus.Success, apic.trapReason);
    this.#info.rcx.setParts(apic.trapQualification, 0);
  }

  #exitFrom(vm: L2Vm): EnterResult {
    vm.storeGuestState();
    return this.#leave();
  }

  #leave(): EnterResult {
    this.#running = null;
    const { clock, costs } = this.#machine;
    clock.charge(costs.ticks.vmExit);
    return EnterResult.Returned;
  }

  #refuse(status: number): EnterResult {
    this.#info.rax.setParts(0, status);
    const { clock, costs } = this.#machine;
    clock.charge(costs.ticks.tdcall);
    return EnterResult.Returned;
  }

  /** The checks of TDG.VP.ENTER's operands; null stands for OPERAND_INVALID. */
  #vmToEnter(rcx: ReadonlyU64): L2Vm | null {
    if (!this.#areaIsAligned) return null;
    if ((rcx.lo & ~TLB_INVALIDATION) !== 0 || (rcx.hi & ~EntryRcx.HighVmMask) !== 0) return null;
    const vm = this.vm(entryVmIndex(rcx));
    return vm !== null && vm.vmcs.apic.pageSet ? vm : null;
  }

  #startTimer(vm: L2Vm): void {
    this.#deadlineTicks = Infinity;
    if (!vm.deadline.isArmed) return;
    const now = this.tdvps.nativeNow();
    const timer = vm.deadline.preemptionTimer(now);
    if (timer === 0) {
      this.#deadlineTicks = this.#machine.clock.now;
    } else {
      vm.deadline.expiry(now, timer, this.#expiry);
      this.#domain.tsc.toVirtual(this.#expiry, this.#expiry);
      this.#deadlineTicks = this.#expiry.hi >>> 0 < TICKS_LIMIT_HIGH ? this.#expiry.toNumber() : Infinity;
    }
  }

  #inject({ processor, vmcs }: L2Vm, injection: number): void {
    if ((injection & InterruptionInfo.Valid) === 0) return;
    const hasErrorCode = (injection & InterruptionInfo.ErrorCodeValid) !== 0;
    processor.inject(
      (injection & InterruptionInfo.TypeMask) >> InterruptionInfo.TypeShift,
      injection & InterruptionInfo.VectorMask,
      hasErrorCode ? vmcs.entryErrorCode.lo : -1,
      vmcs.entryInstructionLength.lo,
    );
    vmcs.clearInjection();
  }

  /** A leaf other than TDG.VP.ENTER and TDG.VP.VMCALL, on behalf of VTL2. The status goes to the high half of RAX. */
  tdcall(argument: TdcallArgument): void {
    argument.rax.setParts(0, this.#leaf(argument));
  }

  #leaf(argument: TdcallArgument): number {
    const value = this.#value;
    switch (argument.rax.lo) {
      case TdcallLeaf.VpRd: {
        const status = this.tdvps.read(argument.rdx, value);
        argument.r8.set(status === TdxStatus.Success ? value : value.setParts(0, 0));
        return status;
      }
      case TdcallLeaf.VpWr: {
        const status = this.tdvps.write(argument.rdx, argument.r8, argument.r9, value);
        argument.r8.set(status === TdxStatus.Success ? value : value.setParts(0, 0));
        return status;
      }
      case TdcallLeaf.VpInfo:
        return this.#domain.info(this.#machine.index, argument);
      case TdcallLeaf.VmRd:
        return this.#domain.read(argument);
      case TdcallLeaf.VmWr:
        return this.#domain.write(argument);
      case TdcallLeaf.VpInvgla:
        return this.#invalidate(argument.rcx);
      default:
        return TdxStatus.OperandInvalid;
    }
  }

  /** TDG.VP.INVGLA: the whole TLB of the L2 VM in RCX 53:52, more than the addresses asked for. */
  #invalidate(rcx: ReadonlyU64): number {
    const vm = this.vm(entryVmIndex(rcx));
    if (vm === null) return TdxStatus.OperandInvalid;
    vm.processor.flushTlb();
    return TdxStatus.Success;
  }
}
