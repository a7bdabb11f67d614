/**
 * The driver's part in the hand-off of VTL0's STIMER0 (openvmm PR 4224, OHCL-Linux-Kernel PR 156): a guest write to its count is taken in the kernel.
 *
 * Read from user mode's half and its comments, so an assumption: which writes are taken (see `take`); that the expiry wakes VTL2 as the poll file's timer
 * does, by `cancel`; that the exit is finished as user mode finishes it.
 */
import { HvMsr, StimerConfig, Stimer0Flag, SvmExit, U64, VIntr, u64ToNumber } from '@paravisor/hcl-protocol';
import type { SnpRunPage, Vmsa } from '@paravisor/hcl-protocol';
import type { KernelTimer, VpMachine } from '@paravisor/virt-machine';

/** What the part needs of a VP's machine. */
export type Stimer0Machine = Pick<VpMachine, 'clock' | 'costs' | 'timers'>;

/** The reference counter at a tick, 100 ns, as VTL2's kernel reads it. */
export type ReferenceCounter = (ticks: number, out: U64) => void;

const NS_PER_100NS = 100;
/** A config with one of these starts its timer when a count is written. */
const STARTS = StimerConfig.Enabled | StimerConfig.AutoEnable;

/** One CPU's part. Its state is in the run page and in its timer. */
export class KernelStimer0 {
  readonly #machine: Stimer0Machine;
  readonly #page: SnpRunPage;
  readonly #referenceCounter: ReferenceCounter;
  readonly #timer: KernelTimer;
  readonly #count = new U64();
  readonly #now = new U64();

  constructor(machine: Stimer0Machine, page: SnpRunPage, referenceCounter: ReferenceCounter) {
    this.#machine = machine;
    this.#page = page;
    this.#referenceCounter = referenceCounter;
    this.#timer = machine.timers.create(() => this.#expire());
  }

  /**
   * Takes the exit in `vmsa` if it is VTL0's write of a non-zero count to STIMER0_COUNT, whose config user mode has published and which starts the timer:
   * enabled or auto-enable, one-shot or periodic, direct or by message. False leaves the exit to user mode.
   */
  take(vmsa: Vmsa): boolean {
    const { context, targetVtl } = this.#page;
    if (targetVtl !== 0 || (context.stimer0Flags & Stimer0Flag.ConfigValid) === 0) return false;
    if (vmsa.guestErrorCode.lo !== SvmExit.Msr || vmsa.guestErrorCode.hi !== 0 || (vmsa.exitInfo1.lo & 1) === 0) return false;
    if (vmsa.rcx.lo !== HvMsr.Stimer0Count) return false;
    const count = this.#count.setParts(vmsa.rax.lo, vmsa.rdx.lo);
    const config = context.stimer0Config.lo;
    if (count.isZero() || (config & STARTS) === 0) return false;
    this.#program((config & StimerConfig.Periodic) !== 0);
    finishInstruction(vmsa);
    return true;
  }

  /** The kernel cancels its timer before it returns to user mode (openvmm PR 4224). */
  stop(): void {
    this.#timer.cancel();
  }

  /** A count that is reached already expires as soon as the device can interrupt. */
  #program(periodic: boolean): void {
    const { clock, costs } = this.#machine;
    const { context } = this.#page;
    const count = this.#count;
    const now = this.#now;
    this.#referenceCounter(clock.now, now);
    clock.charge(costs.ticks.vtl2Rdtsc);
    context.stimer0Count.set(count);
    context.stimer0ProgrammedRefTime.set(now);
    context.stimer0Flags |= Stimer0Flag.KernelUpdate;
    const wait100ns = periodic ? u64ToNumber(count) : count.isBelow(now) ? 0 : u64ToNumber(count.sub(now));
    this.#timer.startAfter(wait100ns * NS_PER_100NS);
  }

  /** It only wakes VTL2: user mode's scan delivers. */
  #expire(): void {
    this.#page.context.stimer0Flags |= Stimer0Flag.Expired;
    this.#page.cancel = 1;
  }
}

/** RIP behind the instruction, its shadow over, nothing left to handle, and the VMSA free for the host again. */
function finishInstruction(vmsa: Vmsa): void {
  vmsa.rip.set(vmsa.nextRip);
  vmsa.vIntrCntrl.setParts(vmsa.vIntrCntrl.lo & ~VIntr.Shadow, vmsa.vIntrCntrl.hi & ~VIntr.HighGuestBusy);
  vmsa.guestErrorCode.setParts(SvmExit.Intr, 0);
}
