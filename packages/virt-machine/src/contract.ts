/**
 * The door between the machine and a backing's machine half. The machine brings clocks, memory, the host and the common part of the mshv_vtl
 * driver; a machine half brings the isolation hardware and the driver's path for it.
 */
import type { ExitReasonName, Plain, PrivatePage, TdcallArgument } from '@paravisor/hcl-protocol';
import type { MachineMemory, Processor } from '@paravisor/x86-cpu';
import type { CostModel } from './cost.js';
import type { HostVp } from './host.js';
import type { KernelTimers } from './kernel-timers.js';
import type { Ledger } from './ledger.js';
import type { VpClock } from './clock.js';
import type { MachineObserver } from './observer.js';

/** Why `VpMachine.runGuest` came back. */
export const GuestStop = {
  /** An intercept: see `processor.exit`. */
  Intercept: 0,
  /** HLT retired unintercepted. */
  Halted: 1,
  /** Triple fault. */
  Shutdown: 2,
  /** The clock reached the deadline given to `runGuest`. */
  Deadline: 3,
  /** The host made an interrupt pending for VTL2. */
  Vtl2Interrupt: 4,
  /** This VP has run as far as it may before others, or the run is over: return Pending up to user mode. */
  Horizon: 5,
} as const;
export type GuestStop = (typeof GuestStop)[keyof typeof GuestStop];

/** How an attempt to enter a lower VTL ended, as the driver's loop sees it. */
export const PathOutcome = {
  /** An exit for user mode is in the run page or VMSA. */
  Exit: 0,
  /** Finished in the kernel: go round the driver's loop again. */
  Again: 1,
  /** See `GuestStop.Horizon`; the next call of `enter` goes on where this one stopped. */
  Pending: 2,
} as const;
export type PathOutcome = (typeof PathOutcome)[keyof typeof PathOutcome];

/** What virt-machine gives a machine half for one VP. */
export interface VpMachine {
  readonly index: number;
  readonly clock: VpClock;
  readonly host: HostVp;
  /** Timers of the VTL2 kernel on this CPU; they share one clock event device. */
  readonly timers: KernelTimers;
  readonly costs: CostModel;
  readonly ledger: Ledger;
  readonly observer: MachineObserver;
  readonly memory: MachineMemory;
  /** Register contexts of the lower VTLs: [VTL0, VTL1]. */
  readonly processors: readonly Processor[];
  /** Pages shared with user mode, outside guest RAM. */
  readonly runPage: Uint8Array;
  readonly apicPage: Uint8Array;
  /** VMSA pages of [VTL0, VTL1]; zero and unused unless the backing has VMSAs. */
  readonly vmsaPages: readonly Uint8Array[];
  /**
   * Runs a processor until something of `GuestStop`, charging instructions and their costs to the clock, and letting events come due at their
   * exact ticks. `deadlineTicks` is an absolute tick of this VP's clock, or Infinity. A stop at a tick lands on the first instruction boundary at
   * which the clock stands at or past it; what is due already stops the run before any instruction, a pending VTL2 interrupt before the deadline.
   */
  runGuest(processor: Processor, deadlineTicks: number): GuestStop;
}

/** The machine half of a backing: made by the backing's value, used once a partition. */
export interface MachineBacking {
  readonly processorVendor: 'intel' | 'amd';
  /** Paravisor and user exit reasons that reports list even at zero. */
  readonly exitReasons?: readonly ExitReasonName[];
  create(context: MachineContext): IsolationMachine;
}

/** What there is once a partition. */
export interface MachineContext {
  readonly memory: MachineMemory;
  readonly costs: CostModel;
  readonly tscHz: number;
  readonly vpCount: number;
  /** Number of the permission table of `memory` that guards a lower VTL's accesses. */
  permissionTableOf(vtl: number): number;
}

/** The isolation hardware and driver path of one partition. */
export interface IsolationMachine {
  /**
   * The hypervisor exit (number of `ExitReason`) as which VTL2's own calls to the host count: hypercalls, synthetic MSRs. `other` when left out.
   */
  readonly hostCallReason?: number;
  /** CHECK_EXTENSION for capabilities that depend on the isolation: value or negative errno; undefined leaves it to the common driver. */
  checkExtension(capability: number): number | undefined;
  /** VTL2's CPUID where it differs from the bare processor (for example leaf 0x15 under TDX). True when handled. */
  cpuid(leaf: number, subleaf: number, out: Int32Array): boolean;
  createVp(vp: VpMachine): IsolationVp;
  /**
   * All state of the partition that is in no page, memory, processor or permission table of the machine's, and its way back, into a freshly made one
   * whose VPs are restored after it.
   */
  save(): Plain;
  restore(state: Plain): void;
}

/** The driver's isolation-specific path for one VP, and what user mode can ask of it. */
export interface IsolationVp {
  /**
   * One entry of a lower VTL and its exit, with all the driver does around them, counting paravisor and hypervisor exits and charging their
   * costs. Called after the `cancel` check.
   */
  enter(): PathOutcome;
  /**
   * Each time round the driver's loop, right after `cancel` was looked at and whether or not it is set: interrupts that others have put into the run
   * page. True when user mode has to take them: the run ioctl is cancelled. Left out: any cancels it.
   */
  pullProxiedInterrupts?(): boolean;
  /** Before the VP idles with the HALTED flag: for example start the kernel's halt timer. Its expiry, as any VTL2 interrupt, ends the idle. */
  beforeIdle(): void;
  /** After it woke and the kernel took the interrupt. Exit: a faked exit is in the run page, return it to user mode. Again: go round. */
  afterIdle(): PathOutcome;
  /** The run ioctl is about to return to user mode, whatever its result: stops what the kernel keeps going only while a lower VTL runs. */
  beforeReturn(): void;
  /** The reason (number of `ExitReason`) under which the exit now in the run page or VMSA counts as a user exit. */
  userExitReason(): number;
  /** TDX: see `HclVp.vtl1ApicPage`. */
  readonly vtl1ApicPage?: PrivatePage;
  /** SNP: a host intercept message was copied into the run page with the last exit. */
  readonly interceptMessagePresent: boolean;
  /** TDCALL ioctl: 0 or an errno. Charges the TDCALL (`tdcall`); the driver charges the ioctl's way into the kernel and back. */
  tdcall(argument: TdcallArgument): number;
  /** 0 or an errno; charges `pvalidate`, or `rmpadjust`. */
  pvalidate(gpa: number, validate: boolean): number;
  rmpadjust(gpa: number, vmpl: number, permissions: number): number;
  /** The VMSA page of a lower VTL, or null where the backing has none. */
  vmsa(vtl: number): Uint8Array | null;
  /**
   * The VP's state as `IsolationMachine.save` says, an entry that is pending included. Restoring makes no call of the machine's: no cost, no exit. A
   * kernel timer made by the isolation is the machine's to save.
   */
  save(): Plain;
  restore(state: Plain): void;
}
