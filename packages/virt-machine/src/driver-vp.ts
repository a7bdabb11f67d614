/** The mshv_vtl driver for one VP: the common part of the RETURN_TO_LOWER_VTL loop, and the other ioctls of the line. */
import {
  Errno,
  ExitDestination,
  ExitReason,
  HvRegister,
  HvStatus,
  RunFlag,
  RunStatus,
  U64,
  restoreU64,
  saveU64,
  u64ToNumber,
  viewRunPage,
} from '@paravisor/hcl-protocol';
import type { HclVp, PrivatePage, ReadonlyU64, RunPage, TdcallArgument } from '@paravisor/hcl-protocol';
import type { VpClock } from './clock.js';
import { PathOutcome } from './contract.js';
import type { IsolationVp, VpMachine } from './contract.js';
import type { CostModel } from './cost.js';
import type { EventQueue } from './events.js';
import { Vtl2Interrupt } from './host.js';
import type { HostVp } from './host.js';
import type { HostAnswers } from './host-answers.js';
import type { KernelTimer } from './kernel-timers.js';
import type { OsTime } from './os-time.js';
import type { Schedule } from './schedule.js';
import { isHostMsr } from './vtl2-processor.js';
import type { Vtl2Processor } from './vtl2-processor.js';

/** Where the VP's thread stands between two calls of `run`. */
const Stand = {
  /** In user mode. */
  User: 0,
  /** In the driver's loop, before its checks. */
  Loop: 1,
  /** A lower VTL was entered and has not come back. */
  Entered: 2,
  /** VTL2 is idle. */
  Idle: 3,
  /** On the way out of the ioctl, but another VP is behind this one's clock. */
  Leaving: 4,
} as const;
type Stand = (typeof Stand)[keyof typeof Stand];

/** What the driver uses of a VP's machine. */
export type DriverVpMachine = Pick<VpMachine, 'index' | 'clock' | 'host' | 'timers' | 'costs' | 'ledger' | 'runPage' | 'apicPage'>;

/** What a driver instance for one VP is made of. */
export interface DriverVpParts {
  readonly vp: DriverVpMachine;
  readonly isolation: IsolationVp;
  readonly schedule: Schedule;
  readonly osTime: OsTime;
  readonly processor: Vtl2Processor;
  /** VTL2's CPUID where the isolation changes it; true when handled. */
  readonly isolationCpuid: (leaf: number, subleaf: number, out: Int32Array) => boolean;
  /** `ExitReason` of VTL2's calls to the host. */
  readonly hostCallReason: number;
  readonly answers: HostAnswers;
  /** The clock of the VP whose thread runs now. */
  readonly currentTick: () => number;
  /** That VP calls the host: to interrupt another of VTL2's CPUs, say. */
  readonly callHostFromCurrent: () => void;
  /** The lower VTL that ran last. */
  readonly lastVtl: () => number;
  /** Period of the kernel's scheduler tick, ns; 0 for a kernel that has none. */
  readonly tickNs: number;
  /** The kernel executes XSETBV: its CPU has one XCR0 for all VTLs. False where it faults. */
  readonly writeXcr0: (value: ReadonlyU64) => boolean;
}

export type DriverVpState = {
  readonly stand: Stand;
  readonly status: RunStatus;
  readonly wokenAt: number;
  readonly pollTimeNs: string;
};

export class DriverVp implements HclVp {
  readonly index: number;
  readonly runPage: Uint8Array;
  readonly apicPage: Uint8Array;
  /** `run` of this model never fails: what a machine half cannot enter it shows as an exit. */
  readonly runErrno = Errno.EIO;
  readonly #parts: DriverVpParts;
  readonly #clock: VpClock;
  readonly #host: HostVp;
  readonly #schedule: Schedule;
  readonly #events: EventQueue;
  readonly #ticks: CostModel['ticks'];
  readonly #page: RunPage;
  readonly #isolation: IsolationVp;
  readonly #pollTimer: KernelTimer;
  /** The kernel's scheduler tick: it goes on while the CPU is busy, inside a lower VTL too, and stands still while it is idle (Linux, NO_HZ_IDLE). */
  readonly #schedulerTick: KernelTimer | null;
  /** OS time, ns, the poll file's timer was last asked for. */
  readonly #pollTimeNs = new U64();
  #stand: Stand = Stand.User;
  /** What `run` is to return while it is `Leaving`. */
  #status: RunStatus = RunStatus.Finished;
  /** The latest tick at which another VP's thread changed something for this one's to see. */
  #wokenAt = 0;

  constructor(parts: DriverVpParts) {
    this.#parts = parts;
    this.#clock = parts.vp.clock;
    this.#host = parts.vp.host;
    this.#schedule = parts.schedule;
    this.#events = parts.schedule.events;
    this.#ticks = parts.vp.costs.ticks;
    this.#isolation = parts.isolation;
    this.index = parts.vp.index;
    this.runPage = parts.vp.runPage;
    this.apicPage = parts.vp.apicPage;
    this.#page = viewRunPage(this.runPage);
    this.#pollTimer = parts.vp.timers.create(() => {
      this.#page.cancel = 1;
    });
    this.#schedulerTick = parts.tickNs === 0 ? null : parts.vp.timers.create(() => this.#schedulerTick!.startAfter(parts.tickNs));
  }

  get vtl1ApicPage(): PrivatePage | undefined {
    return this.#isolation.vtl1ApicPage;
  }

  vmsa(vtl: number): Uint8Array | null {
    return this.#isolation.vmsa(vtl);
  }

  get interceptMessagePresent(): boolean {
    return this.#isolation.interceptMessagePresent;
  }

  /** A `cancel` that is set already has its interrupt on the way: a second wake sends none (mshv_vtl, the wake-up of the poll file, in behaviour). */
  wake(): void {
    const { schedule, vp, currentTick, callHostFromCurrent } = this.#parts;
    const byAnother = schedule.current !== this.index;
    if (byAnother) this.#wokenAt = currentTick();
    if (this.#page.cancel !== 0) return;
    this.#page.cancel = 1;
    if (this.#stand === Stand.User || this.#stand === Stand.Leaving) return;
    if (byAnother) callHostFromCurrent();
    vp.host.interruptVtl2(currentTick());
  }

  /** mshv_vtl's loop (PR 107, in behaviour): look at `cancel` and the proxy scan, then idle or enter a lower VTL, until an exit is for user mode. */
  run(): RunStatus {
    const schedule = this.#schedule;
    if (schedule.stopped) return RunStatus.Pending;
    if (this.#stand === Stand.Leaving) return this.#leave();
    if (this.#stand === Stand.User) {
      this.#clock.charge(this.#ticks.userToKernel);
      this.#stand = Stand.Loop;
    }
    for (;;) {
      if (this.#stand === Stand.Loop) {
        this.#takeInterrupts();
        if (schedule.stopped) return RunStatus.Pending;
        if (this.#isCancelled()) return this.#cancelled();
        if (this.#page.flags & RunFlag.Halted) this.#startIdle();
        else {
          if (this.#schedulerTick?.started === false) this.#schedulerTick.startAfter(this.#parts.tickNs);
          this.#stand = Stand.Entered;
        }
      }
      const outcome = this.#stand === Stand.Idle ? this.#idle() : this.#isolation.enter();
      if (outcome === PathOutcome.Pending) return RunStatus.Pending;
      this.#stand = Stand.Loop;
      this.#takeInterrupts();
      if (outcome === PathOutcome.Exit) return this.#finish();
    }
  }

  /** `cancel`, or proxied interrupts that user mode has to take itself. */
  #isCancelled(): boolean {
    const { cancel, scanProxyIrr } = this.#page;
    return (this.#isolation.pullProxiedInterrupts?.() ?? scanProxyIrr !== 0) || cancel !== 0;
  }

  #startIdle(): void {
    const host = this.#host;
    this.#isolation.beforeIdle();
    this.#schedulerTick?.cancel();
    this.#schedule.happenDue();
    // Arming the halt timer takes time: what came meanwhile is seen before the CPU halts.
    if (!host.vtl2InterruptPending) host.halt();
    this.#stand = Stand.Idle;
  }

  #idle(): PathOutcome {
    const host = this.#host;
    while (!host.vtl2InterruptPending) if (!this.#schedule.skipIdle()) return PathOutcome.Pending;
    host.resume();
    this.#takeInterrupts();
    return this.#isolation.afterIdle();
  }

  #finish(): RunStatus {
    return this.#returnToUser(RunStatus.Finished, this.#isolation.userExitReason(), this.#ticks.vmmEmulation);
  }

  #cancelled(): RunStatus {
    return this.#returnToUser(RunStatus.Cancelled, ExitReason.cancelled, 0);
  }

  #returnToUser(status: RunStatus, reason: number, work: number): RunStatus {
    const { vp, lastVtl } = this.#parts;
    this.#isolation.beforeReturn();
    vp.ledger.count(this.index, lastVtl(), ExitDestination.User, reason, this.#clock.now);
    this.#status = status;
    this.#stand = Stand.Leaving;
    this.#pass(this.#ticks.kernelToUser + work);
    return this.#leave();
  }

  /** What user mode does from here on may reach other VPs, so none may be behind; and it sees what others' threads changed no earlier than they did. */
  #leave(): RunStatus {
    this.#clock.skipTo(this.#wokenAt);
    if (this.#schedule.isAhead()) return RunStatus.Pending;
    this.#stand = Stand.User;
    return this.#status;
  }

  /** Lets VTL2 spend `ticks`; its kernel takes the interrupts that come meanwhile. */
  #pass(ticks: number): void {
    const clock = this.#clock;
    clock.charge(ticks);
    if (this.#events.nextTime <= clock.now) this.#takeInterrupts();
  }

  /** The VTL2 kernel takes every interrupt that is pending or due now. */
  #takeInterrupts(): void {
    // On the way of most exits there is none.
    if (this.#events.nextTime > this.#clock.now && !this.#host.vtl2InterruptPending) return;
    const { schedule, vp } = this.#parts;
    for (;;) {
      schedule.happenDue();
      if (!vp.host.vtl2InterruptPending) return;
      const taken = vp.host.takeInterrupts();
      vp.clock.charge(vp.costs.ticks.kernelInterrupt);
      if (taken & Vtl2Interrupt.Proxied) {
        vp.host.takeProxied(this.#page.proxyIrr, this.#page.proxyIrrBlocked);
        this.#page.scanProxyIrr = 1;
      }
      if (taken & Vtl2Interrupt.ClockEvent) vp.timers.interrupt();
    }
  }

  tdcall(argument: TdcallArgument): number {
    this.#enterIoctl();
    const errno = this.#isolation.tdcall(argument);
    this.#leaveIoctl();
    return errno;
  }

  pvalidate(gpa: number, validate: boolean): number {
    this.#enterIoctl();
    const errno = this.#isolation.pvalidate(gpa, validate);
    this.#leaveIoctl();
    return errno;
  }

  rmpadjust(gpa: number, vmpl: number, permissions: number): number {
    this.#enterIoctl();
    const errno = this.#isolation.rmpadjust(gpa, vmpl, permissions);
    this.#leaveIoctl();
    return errno;
  }

  /** A hypercall to the host: VTL2's own VP index and reference counter can be read. */
  getVpRegister(name: number, value: U64): number {
    const { vp, processor, answers } = this.#parts;
    this.#enterIoctl();
    this.#callHost();
    let status: number = HvStatus.Success;
    if (name === HvRegister.VpIndex) value.setNumber(this.index);
    else if (name === HvRegister.TimeRefCount) processor.referenceTime(vp.clock.now, value);
    else status = HvStatus.InvalidParameter;
    answers.value(value);
    this.#leaveIoctl();
    return answers.status(status);
  }

  /** XCR0 the kernel writes itself; else a hypercall to the host, which lets VTL2 write none of its registers. */
  setVpRegister(name: number, value: ReadonlyU64): number {
    this.#enterIoctl();
    if (name === HvRegister.Xfem) {
      const written = this.#parts.writeXcr0(value);
      this.#leaveIoctl();
      return written ? HvStatus.Success : HvStatus.InvalidParameter;
    }
    this.#callHost();
    this.#leaveIoctl();
    return this.#parts.answers.status(HvStatus.InvalidParameter);
  }

  rdtsc(out: U64): void {
    out.setNumber(this.#clock.now);
    this.#pass(this.#ticks.vtl2Rdtsc);
  }

  osTimeNs(out: U64): void {
    out.setNumber(this.#parts.osTime.nsOf(this.#clock.now));
    this.#pass(this.#ticks.vtl2Rdtsc);
  }

  cpuid(leaf: number, subleaf: number, out: Int32Array): void {
    if (!this.#parts.isolationCpuid(leaf, subleaf, out)) this.#parts.processor.cpuid(leaf, subleaf, out);
  }

  /** Through the kernel, as user mode cannot execute RDMSR. */
  rdmsr(index: number, out: U64): boolean {
    const { vp, processor, answers } = this.#parts;
    this.#enterIoctl();
    if (isHostMsr(index)) this.#callHost();
    const read = processor.readMsr(index, this.index, vp.clock.now, out);
    if (isHostMsr(index)) answers.value(out);
    this.#leaveIoctl();
    return read;
  }

  /** One system call and what `KernelTimer.start` costs; nothing for the time it has. Times past 2^53 ns are never. */
  armTimer(osNs: ReadonlyU64): void {
    // The common case on the way of an exit: nothing to convert.
    if (this.#pollTimer.started && this.#pollTimeNs.equals(osNs)) return;
    this.#pollTimeNs.set(osNs);
    const expiry = this.#parts.osTime.ticksAt(u64ToNumber(osNs));
    if (expiry === this.#pollTimer.expiry) return;
    this.#enterIoctl();
    this.#pollTimer.start(expiry);
    this.#leaveIoctl();
  }

  cancelTimer(): void {
    if (!this.#pollTimer.started) return;
    this.#enterIoctl();
    this.#pollTimer.cancel();
    this.#leaveIoctl();
  }

  save(): DriverVpState {
    return { stand: this.#stand, status: this.#status, wokenAt: this.#wokenAt, pollTimeNs: saveU64(this.#pollTimeNs) };
  }

  /** The run page and the kernel's timers are restored by the machine. */
  restore({ stand, status, wokenAt, pollTimeNs }: DriverVpState): void {
    this.#stand = stand;
    this.#status = status;
    this.#wokenAt = wokenAt;
    restoreU64(this.#pollTimeNs, pollTimeNs);
  }

  #callHost(): void {
    this.#parts.vp.host.call(this.#parts.hostCallReason);
  }

  #enterIoctl(): void {
    const { vp } = this.#parts;
    vp.clock.charge(vp.costs.ticks.userToKernel);
  }

  #leaveIoctl(): void {
    this.#pass(this.#parts.vp.costs.ticks.kernelToUser);
  }
}
