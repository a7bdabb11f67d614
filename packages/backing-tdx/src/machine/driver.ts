/** The mshv_vtl driver's TDX path for one VP (OHCL-Linux-Kernel PR 107): deadlines, TDG.VP.ENTER, and halted guests. */
import {
  Errno,
  ExitDestination,
  MappedPage,
  TdcallLeaf,
  TdvpsField,
  U64,
  UPDATE_DEADLINE,
  VmcsField,
  VmxExit,
  mappedPageOffset,
  newTdcallArgument,
  u64ToNumber,
  viewTdxRunPage,
} from '@paravisor/hcl-protocol';
import type { ReadonlyU64, TdcallArgument, TdxRunPage } from '@paravisor/hcl-protocol';
import { PathOutcome } from '@paravisor/virt-machine';
import type { IsolationVp, KernelTimer, VpMachine } from '@paravisor/virt-machine';
import { l2VmcsFieldHigh } from '../abi/index.js';
import { DeadlineRegisters, isArmed, moduleDeadline } from './deadline-register.js';
import { exitReasonNumber, wasEntered } from './exit-reason.js';
import { loadPrivateRegisters, storePrivateRegisters } from './private-registers.js';
import type { TrustDomain } from './trust-domain.js';
import { EnterResult, TdxVcpu, entryVmIndex } from './vcpu.js';

const PAGE_BYTES = 4096;
/** Where VTL2 has the pages it shares with user mode. The model has no RAM of VTL2's own: a nominal address, far above any guest's. */
const VTL2_PAGES = 2 ** 40;
const physicalAddressOf = (kind: number, vp: number): number => VTL2_PAGES + mappedPageOffset(kind, vp) * PAGE_BYTES;
/** gpr_list in the run page: context at 272, gpr_list at 240 in it. */
const GUEST_STATE_OFFSET = 512;
const VTL0_VM = 1;
const HZ_PER_KHZ = 1000;
const NS_PER_MS = 1_000_000;

export class TdxDriverVp implements IsolationVp {
  readonly interceptMessagePresent = false;
  readonly #machine: VpMachine;
  readonly #page: TdxRunPage;
  readonly #vcpu: TdxVcpu;
  readonly #deadlines: DeadlineRegisters;
  readonly #haltTimer: KernelTimer;
  readonly #kernelCall = newTdcallArgument();
  readonly #tscKhz: number;
  /** The L2 VM of an entry that is pending, else 0. */
  #entered = 0;
  /** The deadline the VP idles towards, module style. */
  readonly #haltDeadline = new U64();
  readonly #now = new U64();
  readonly #ahead = new U64();

  constructor(domain: TrustDomain, machine: VpMachine) {
    this.#machine = machine;
    this.#page = viewTdxRunPage(machine.runPage);
    const { context } = this.#page;
    const guestState = physicalAddressOf(MappedPage.Run, machine.index) + GUEST_STATE_OFFSET;
    this.#vcpu = new TdxVcpu(domain, machine, context.gprList, guestState, context.exitInfo);
    this.#tscKhz = Math.floor(machine.clock.tscHz / HZ_PER_KHZ);
    // The expiry itself does nothing: the interrupt that brings it ends the idle.
    this.#haltTimer = machine.timers.create(() => {});
    this.#deadlines = new DeadlineRegisters((vm, deadline) => this.#writeDeadline(vm, deadline));
    this.#setVirtualApicPage();
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
    if (!wasEntered(rax)) return PathOutcome.Exit;
    const l2 = this.#vcpu.vm(vm)!;
    storePrivateRegisters(vpState, l2.processor);
    const { index, clock, ledger } = this.#machine;
    ledger.count(index, l2.vtl, ExitDestination.Paravisor, exitReasonNumber(rax), clock.now);
    // The driver compares the whole low half: an expiry that carries a flag bit would be missed.
    if (rax.lo === VmxExit.TimerExpired) this.#deadlines.markExpired(vm);
    return PathOutcome.Exit;
  }

  /** The host cannot see TSC_DEADLINE: a kernel timer stands in for it while the VP idles. */
  beforeIdle(): void {
    const { entryRcx, l2TscDeadline } = this.#page.context;
    const vm = entryVmIndex(entryRcx);
    const deadline = this.#haltDeadline;
    if ((l2TscDeadline.updateDeadline & UPDATE_DEADLINE) !== 0) moduleDeadline(l2TscDeadline.deadline, deadline);
    else if (this.#deadlines.hasExpired(vm)) deadline.setParts(-1, -1);
    else deadline.set(this.#deadlines.last(vm));
    if (isArmed(deadline)) this.#haltTimer.startAfter(this.#nsUntil(deadline));
  }

  afterIdle(): PathOutcome {
    this.#haltTimer.cancel();
    if (!isArmed(this.#haltDeadline) || this.#rdtsc().isBelow(this.#haltDeadline)) return PathOutcome.Again;
    const { entryRcx, exitInfo, l2TscDeadline } = this.#page.context;
    exitInfo.rax.setParts(VmxExit.TimerExpired, 0);
    this.#deadlines.markExpired(entryVmIndex(entryRcx));
    l2TscDeadline.updateDeadline &= ~UPDATE_DEADLINE;
    return PathOutcome.Exit;
  }

  /** (deadline − rdtsc) × 10^6 / tsc_khz, rounded down; 0 for the past (unsigned). Exact up to 2^53 ns, some 104 days. */
  #nsUntil(deadline: ReadonlyU64): number {
    const now = this.#rdtsc();
    if (!now.isBelow(deadline)) return 0;
    const ticks = u64ToNumber(this.#ahead.set(deadline).sub(now));
    const rest = ticks % this.#tscKhz;
    return ((ticks - rest) / this.#tscKhz) * NS_PER_MS + Math.floor((rest * NS_PER_MS) / this.#tscKhz);
  }

  /** RDTSC in the kernel. Valid until the next call. */
  #rdtsc(): U64 {
    const { clock, costs } = this.#machine;
    clock.charge(costs.ticks.vtl2Rdtsc);
    return this.#now.setNumber(clock.now);
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
    this.#writeField(lo + vm, hi, deadline);
  }

  /** The kernel owns VTL0's APIC page, so it is the kernel that names it to the module (an assumption; user mode cannot know where it is). */
  #setVirtualApicPage(): void {
    const address = new U64().setNumber(physicalAddressOf(MappedPage.Apic, this.#machine.index));
    this.#writeField(VmcsField.VirtualApicPage, l2VmcsFieldHigh(VTL0_VM, VmcsField.VirtualApicPage), address);
  }

  #writeField(lo: number, hi: number, value: ReadonlyU64): void {
    const call = this.#kernelCall;
    call.rax.setParts(TdcallLeaf.VpWr, 0);
    call.rcx.setParts(0, 0);
    call.rdx.setParts(lo, hi);
    call.r8.set(value);
    call.r9.setParts(-1, -1);
    this.#call(call);
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
