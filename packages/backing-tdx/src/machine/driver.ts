/** The mshv_vtl driver's TDX path for one VP (OHCL-Linux-Kernel PR 107): deadlines, TDG.VP.ENTER, halted guests, and what is finished in the kernel. */
import {
  Errno,
  ExitDestination,
  ExitReason,
  Interruptibility,
  MappedPage,
  TdcallLeaf,
  TdvpsField,
  TdxStatus,
  U64,
  UPDATE_DEADLINE,
  VmcsField,
  VmxExit,
  mappedPageOffset,
  newTdcallArgument,
  restoreBytes,
  saveBytes,
  viewTdxRunPage,
} from '@paravisor/hcl-protocol';
import type { PrivatePage, ReadonlyU64, TdcallArgument, TdxRunPage } from '@paravisor/hcl-protocol';
import { PathOutcome } from '@paravisor/virt-machine';
import type { IsolationVp, VpMachine } from '@paravisor/virt-machine';
import { l2VmcsFieldHigh } from '../abi/index.js';
import { DeadlineRegisters } from './deadline-register.js';
import type { DeadlineRegistersState } from './deadline-register.js';
import { exitReasonNumber, isExpiry, wasEntered } from './exit-reason.js';
import { HaltTimer } from './halt-timer.js';
import { InterruptOffload } from './interrupt-offload.js';
import { loadPrivateRegisters, storePrivateRegisters } from './private-registers.js';
import type { TrustDomain } from './trust-domain.js';
import { EnterResult, TdxVcpu, entryVmIndex } from './vcpu.js';
import type { TdxVcpuState } from './vcpu.js';

const PAGE_BYTES = 4096;
/** Where VTL2 has the pages it shares with user mode. The model has no RAM of VTL2's own: a nominal address, far above any guest's. */
const VTL2_PAGES = 2 ** 40;
const physicalAddressOf = (kind: number, vp: number): number => VTL2_PAGES + mappedPageOffset(kind, vp) * PAGE_BYTES;
/** Where user mode's pool of private pages begins, one page a VP; nominal too. */
const PRIVATE_PAGES = 2 ** 41;
/** gpr_list in the run page: context at 272, gpr_list at 240 in it. */
const GUEST_STATE_OFFSET = 512;
const VTL0_VM = 1;

/** What `TdxDriverVp.save` gives; `entered` is the L2 VM of an entry that is pending, or 0. */
export type TdxDriverVpState = {
  readonly entered: number;
  readonly deadlines: DeadlineRegistersState;
  readonly haltDeadline: string;
  readonly vcpu: TdxVcpuState;
  readonly vtl1ApicPage: string;
};

/** The driver of one VP. */
export class TdxDriverVp implements IsolationVp {
  readonly interceptMessagePresent = false;
  readonly vtl1ApicPage: PrivatePage;
  readonly #machine: VpMachine;
  readonly #page: TdxRunPage;
  readonly #vcpu: TdxVcpu;
  readonly #deadlines: DeadlineRegisters;
  readonly #haltTimer: HaltTimer;
  readonly #offload: InterruptOffload;
  readonly #kernelCall = newTdcallArgument();
  /** The L2 VM of an entry that is pending, else 0. */
  #entered = 0;

  /** `peers` are the drivers of all VPs by index, as far as they have been made; this one is among them afterwards. */
  constructor(domain: TrustDomain, machine: VpMachine, peers: TdxDriverVp[]) {
    this.#machine = machine;
    this.#page = viewTdxRunPage(machine.runPage);
    const { context } = this.#page;
    this.vtl1ApicPage = { bytes: new Uint8Array(PAGE_BYTES), address: PRIVATE_PAGES + machine.index * PAGE_BYTES };
    const guestState = physicalAddressOf(MappedPage.Run, machine.index) + GUEST_STATE_OFFSET;
    this.#vcpu = new TdxVcpu(domain, machine, context.gprList, guestState, context.exitInfo, (address) => this.#pageAt(address));
    this.#deadlines = new DeadlineRegisters((vm, deadline) => this.#writeDeadline(vm, deadline));
    this.#haltTimer = new HaltTimer(machine, context.l2TscDeadline, this.#deadlines);
    this.#offload = new InterruptOffload(this.#page, machine.apicPage, {
      vp: machine.index,
      vpCount: domain.vcpuCount,
      clearInterruptShadow: () => this.#clearInterruptShadow(),
      proxyInterrupt: (vp, vector) => peers[vp]!.#proxyInterrupt(vector),
      interrupt: (vps) => this.#interrupt(vps, peers),
    });
    peers[machine.index] = this;
    this.#setVirtualApicPage();
  }

  save(): TdxDriverVpState {
    return {
      entered: this.#entered,
      deadlines: this.#deadlines.save(),
      haltDeadline: this.#haltTimer.save(),
      vcpu: this.#vcpu.save(),
      vtl1ApicPage: saveBytes(this.vtl1ApicPage.bytes),
    };
  }

  restore({ entered, deadlines, haltDeadline, vcpu, vtl1ApicPage }: TdxDriverVpState): void {
    this.#entered = entered;
    this.#deadlines.restore(deadlines);
    this.#haltTimer.restore(haltDeadline);
    this.#vcpu.restore(vcpu);
    restoreBytes(this.vtl1ApicPage.bytes, vtl1ApicPage);
  }

  pullProxiedInterrupts(): boolean {
    return this.#offload.pullProxiedInterrupts();
  }

  enter(): PathOutcome {
    return this.#entered === 0 ? this.#enterLowerVtl() : this.#afterEntry(this.#vcpu.resume());
  }

  #enterLowerVtl(): PathOutcome {
    const { context } = this.#page;
    const vm = entryVmIndex(context.entryRcx);
    this.#applyDeadline(vm);
    const l2 = this.#vcpu.vm(vm);
    if (l2 !== null) loadPrivateRegisters(context.vpState, l2.processor);
    this.#entered = vm;
    return this.#afterEntry(this.#vcpu.enter(context.entryRcx));
  }

  #applyDeadline(vm: number): void {
    if (vm === 0) return;
    const { l2TscDeadline } = this.#page.context;
    if ((l2TscDeadline.updateDeadline & UPDATE_DEADLINE) !== 0) {
      this.#deadlines.update(vm, l2TscDeadline.deadline);
      l2TscDeadline.updateDeadline &= ~UPDATE_DEADLINE;
    } else {
      this.#deadlines.disarmExpired(vm);
    }
  }

  #afterEntry(result: EnterResult): PathOutcome {
    if (result === EnterResult.Pending) return PathOutcome.Pending;
    const vm = this.#entered;
    this.#entered = 0;
    const { exitInfo, vpState } = this.#page.context;
    const { rax } = exitInfo;
    if (wasEntered(rax)) {
      const l2 = this.#vcpu.vm(vm)!;
      storePrivateRegisters(vpState, l2.processor);
      const { index, clock, ledger } = this.#machine;
      ledger.count(index, l2.vtl, ExitDestination.Paravisor, exitReasonNumber(rax), clock.now);
    }
    return this.#finish();
  }

  /** What is in exit_info now: an expired deadline always goes to user mode, before any offload. */
  #finish(): PathOutcome {
    const { entryRcx, exitInfo } = this.#page.context;
    if (isExpiry(exitInfo.rax)) {
      this.#deadlines.markExpired(entryVmIndex(entryRcx));
      return PathOutcome.Exit;
    }
    return this.#offload.finish() ? PathOutcome.Again : PathOutcome.Exit;
  }

  beforeIdle(): void {
    const { entryRcx, exitInfo } = this.#page.context;
    // What an idle comes back with unless a deadline passes: nothing was entered.
    exitInfo.rax.setParts(0, TdxStatus.PendingInterrupt);
    this.#haltTimer.start(entryVmIndex(entryRcx));
  }

  /** A deadline that has passed is shown as an exit: RAX and nothing else. */
  afterIdle(): PathOutcome {
    const { exitInfo, l2TscDeadline } = this.#page.context;
    if (this.#haltTimer.stop()) {
      exitInfo.rax.setParts(VmxExit.TimerExpired, 0);
      l2TscDeadline.updateDeadline &= ~UPDATE_DEADLINE;
    }
    return this.#finish();
  }

  /** The deadline is the module's and the halt timer ends with the halt: nothing goes on only for a run. */
  beforeReturn(): void {}

  userExitReason(): number {
    return exitReasonNumber(this.#page.context.exitInfo.rax);
  }

  tdcall(argument: TdcallArgument): number {
    const leaf = argument.rax.lo;
    if (leaf === TdcallLeaf.VpVmcall || leaf === TdcallLeaf.VpEnter) return Errno.EINVAL;
    this.#call(argument);
    return 0;
  }

  #call(argument: TdcallArgument): void {
    const { clock, costs } = this.#machine;
    clock.charge(costs.ticks.tdcall);
    this.#vcpu.tdcall(argument);
  }

  #writeDeadline(vm: number, deadline: ReadonlyU64): void {
    const { hi, lo } = TdvpsField.TscDeadline;
    this.#writeField(lo + vm, hi, deadline.lo, deadline.hi, -1, -1);
  }

  /** VTL0's blocking by STI, as `clear_interrupt_shadow` of user mode does: blocking by MOV SS stays. */
  #clearInterruptShadow(): void {
    const field = VmcsField.Interruptibility;
    this.#writeField(field, l2VmcsFieldHigh(VTL0_VM, field), 0, 0, Interruptibility.BlockedBySti, 0);
  }

  /** The kernel owns VTL0's APIC page, so it is the kernel that names it to the module. */
  #setVirtualApicPage(): void {
    const field = VmcsField.VirtualApicPage;
    const address = new U64().setNumber(physicalAddressOf(MappedPage.Apic, this.#machine.index));
    this.#writeField(field, l2VmcsFieldHigh(VTL0_VM, field), address.lo, address.hi, -1, -1);
  }

  #writeField(lo: number, hi: number, valueLo: number, valueHi: number, maskLo: number, maskHi: number): void {
    const call = this.#kernelCall;
    call.rax.setParts(TdcallLeaf.VpWr, 0);
    call.rcx.setParts(0, 0);
    call.rdx.setParts(lo, hi);
    call.r8.setParts(valueLo, valueHi);
    call.r9.setParts(maskLo, maskHi);
    this.#call(call);
  }

  #pageAt(address: number): Uint8Array | null {
    if (address === physicalAddressOf(MappedPage.Apic, this.#machine.index)) return this.#machine.apicPage;
    return address === this.vtl1ApicPage.address ? this.vtl1ApicPage.bytes : null;
  }

  #proxyInterrupt(vector: number): void {
    this.#page.proxyIrr[vector >>> 5]! |= 1 << (vector & 31);
    this.#page.scanProxyIrr = 1;
  }

  /** One hypercall for the whole set of CPUs, and an interrupt at each. */
  #interrupt(vps: readonly number[], peers: readonly TdxDriverVp[]): void {
    const { clock, host } = this.#machine;
    host.call(ExitReason.tdvmcall);
    for (const vp of vps) peers[vp]!.#machine.host.interruptVtl2(clock.now);
  }

  /** SNP instructions: a TDX driver has no such ioctl. */
  pvalidate(): number {
    return Errno.ENOTTY;
  }

  rmpadjust(): number {
    return Errno.ENOTTY;
  }

  vmsa(): null {
    return null;
  }
}
