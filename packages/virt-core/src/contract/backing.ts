import type { Hcl, HclVp, Plain, ReadonlyU64, U64 } from '@paravisor/hcl-protocol';
import type { LocalApic } from '../apic/index.js';
import type { NativeCpuidParameters } from '../cpuid/index.js';
import type { Synic } from '../synic/index.js';
import type { FixedMsrs, VpAssistPage } from '../msr/index.js';
import type { VmTimeAccess } from '../time/index.js';
import type { BackingVp } from './backing-vp.js';
import type { HardwareIsolatedGuestTimer } from './guest-timer.js';
import type { EmulationStatus, GuestActivity, MsrStatus } from './status.js';

/** Isolation as the guest and reports name it. */
export type Isolation = 'tdx' | 'snp' | 'none' | (string & {});

/** One option a user can set: `--set <backing>.<name>=<value>`. */
export interface BackingOption {
  readonly name: string;
  /** Every accepted value; the first is the default. */
  readonly values: readonly string[];
  readonly description: string;
}

/**
 * A backing is a value: how one isolation technology runs lower VTLs. It has two halves. The paravisor half (this interface) sees the ioctl line and
 * nothing else; the machine half is opaque to the paravisor, and typed where the two are put together.
 */
export interface Backing<Machine = unknown> {
  readonly name: string;
  readonly isolation: Isolation;
  /** What the backing can do; what a partition really uses is `BackingShared.usesHardwareTimer`. */
  readonly capabilities: { readonly usesHardwareTimer: boolean };
  /** The values in force of the options the backing was made with. */
  readonly options: Readonly<Record<string, string>>;
  /** Called once a partition, before any VP. Throws `StartupError` when the machine cannot carry this backing. */
  createShared(parameters: BackingParameters): BackingShared;
  readonly machine: Machine;
}

/** The door by which backings come in, built-in ones too: name, options, and a function from option values to a backing. */
export interface BackingFactory<Machine = unknown> {
  readonly name: string;
  readonly isolation: Isolation;
  readonly usesHardwareTimer: boolean;
  readonly options: readonly BackingOption[];
  /** Settings of its options that a comparison shows side by side, each a run of its own under every timer. Left out: the defaults alone. */
  readonly variants?: readonly Readonly<Record<string, string>>[];
  /** Throws `RangeError` for an unknown option or value. */
  create(options: Readonly<Record<string, string>>): Backing<Machine>;
}

/** What the partition hands a backing at construction; not kept at run time. */
export interface BackingParameters {
  readonly hcl: Hcl;
  /** OPENHCL_DISABLE_LOWER_VTL_TIMER_VIRT, or the partition's own choice of the VmTime timer. */
  readonly disableLowerVtlTimerVirt: boolean;
  /** Virtual TSC frequency the paravisor determined, Hz. */
  readonly tscFrequency: number;
}

/** The partition-wide part. */
export interface BackingShared {
  readonly guestTimer: HardwareIsolatedGuestTimer;
  /** True when `guestTimer` is hardware virtualized. */
  readonly usesHardwareTimer: boolean;
  /** Isolation type in EBX of CPUID 0x4000000C (`HvIsolationType`), and EAX of 0x40000004. */
  readonly hypervisorCpuid: { readonly isolationType: number; readonly enlightenments: number };
  /** Architectural MSRs that exit and have a fixed value. */
  readonly fixedMsrs: FixedMsrs;
  /** What CPUID lets through of the processor. */
  readonly nativeCpuid: NativeCpuidParameters;
  /** Whether an offered interrupt ends a HLT although RFLAGS.IF is clear. openvmm's SNP backing marks the VP running as soon as it offers; TDX does not. */
  readonly interruptEndsHaltWithoutIf: boolean;
  /** Called once a VP. */
  createVp(context: BackingVpContext): BackingVp;
  /** What the partition-wide part knows, VPs aside. */
  save(): Plain;
  /** On one just made. @throws {StateError} for a state that cannot be read. */
  restore(state: Plain): void;
}

/** What a per-VP backing part works with. */
export interface BackingVpContext {
  readonly hcl: HclVp;
  readonly vmTime: VmTimeAccess;
  /** The local APIC of each lower VTL: [VTL0, VTL1]. */
  readonly apics: readonly LocalApic[];
  /** The SynIC of each lower VTL: [VTL0, VTL1]. For a driver that takes over part of one (openvmm PR 4224). */
  readonly synics: readonly Synic[];
  /** The VP assist page of each lower VTL: [VTL0, VTL1]. For the EOI a guest may leave out, where the backing offers that. */
  readonly assistPages: readonly VpAssistPage[];
  /** Backing-neutral handling of what an exit asks for. */
  readonly handlers: ExitHandlers;
}

/** Backing-neutral exit handling, made by virt-core for each VP. Nothing here advances RIP except the emulators. */
export interface ExitHandlers {
  /** Guest CPUID: native leaves filtered, hypervisor leaves made up. EAX EBX ECX EDX into `out`. */
  cpuid(vtl: number, leaf: number, subleaf: number, out: Int32Array): void;
  readMsr(vtl: number, msr: number, out: U64): MsrStatus;
  writeMsr(vtl: number, msr: number, value: ReadonlyU64): MsrStatus;
  /** Port I/O of 1, 2 or 4 bytes. */
  readPort(port: number, size: number): number;
  writePort(port: number, size: number, value: number): void;
  /** The instruction at RIP touched `gpa`, which no lower VTL may access directly: emulate it against APIC and chipset. */
  emulateMmio(vtl: number, gpa: number): EmulationStatus;
  /** String or REP port I/O at RIP. */
  emulateStringIo(vtl: number): EmulationStatus;
  /**
   * VMCALL or VMMCALL: the hypercall whose control is in RCX (64-bit) or EDX:EAX; the result goes to RAX or EDX:EAX. True when the instruction is
   * finished, so that RIP of `vtl` moves on, also when the VP goes on in another VTL; false when RIP stays: an exception was injected, or the guest is to
   * execute it again.
   */
  hypercall(vtl: number): boolean;
  /**
   * Hardware ended a level-triggered interrupt of the VTL by itself. False when nobody in the partition wants to know: no I/O APIC listens, which is where
   * openvmm stands.
   */
  levelEoi(vtl: number, vector: number): boolean;
  /** The VTL executed HLT: it is not to run until an interrupt it can take comes. `readMsr` sees to the guest-idle MSR by itself. */
  halt(vtl: number): void;
  /** The driver finished a HLT or a guest-idle read by itself, or ended the wait after one: called after such a run. */
  activityChanged(vtl: number, activity: GuestActivity): void;
  /** Ends the VP: triple fault, unknown exit, or an entry that failed. `reason` is one plain clause. */
  fatal(vtl: number, reason: string): void;
}
