import type { ReadonlyU64, U64 } from '@paravisor/hcl-protocol';
import type { BackingVp, Chipset, EmulationStatus, ExitHandlers, GuestActivity, MsrStatus } from '../contract/index.js';
import type { GuestCpuid } from '../cpuid/index.js';
import { HypercallDispatcher } from '../hypercall/index.js';
import type { HypercallDispatcherOptions } from '../hypercall/index.js';
import type { MmioEmulator } from '../mmio/index.js';
import { Activity } from './lower-vtl.js';
import type { LowerVtl } from './lower-vtl.js';

/** What the handlers of one VP work with. */
export interface ExitHandlersOptions {
  /** [VTL0, VTL1]. */
  readonly vtls: readonly LowerVtl[];
  readonly cpuid: GuestCpuid;
  readonly chipset: Chipset;
  readonly hypercalls: HypercallDispatcherOptions;
  /** Ends the VP. */
  readonly fatal: (vtl: number, reason: string) => void;
}

/** What each kind of exit asks for, whichever backing it came through. */
export class VpExitHandlers implements ExitHandlers {
  readonly #options: ExitHandlersOptions;
  readonly #hypercalls: HypercallDispatcher;
  #backing: BackingVp | null = null;
  #emulator: MmioEmulator | null = null;

  constructor(options: ExitHandlersOptions) {
    this.#options = options;
    this.#hypercalls = new HypercallDispatcher(options.hypercalls);
  }

  /** The backing's part and these handlers need each other: the second to be made is given to the first. Once, before any exit. */
  connect(backing: BackingVp, emulator: MmioEmulator): void {
    this.#backing = backing;
    this.#emulator = emulator;
  }

  cpuid(vtl: number, leaf: number, subleaf: number, out: Int32Array): void {
    this.#options.cpuid.read(this.#backing!.registers(vtl), leaf, subleaf, out);
  }

  readMsr(vtl: number, msr: number, out: U64): MsrStatus {
    return this.#options.vtls[vtl]!.msrs.read(msr >>> 0, out);
  }

  writeMsr(vtl: number, msr: number, value: ReadonlyU64): MsrStatus {
    return this.#options.vtls[vtl]!.msrs.write(msr >>> 0, value);
  }

  readPort(port: number, size: number): number {
    return this.#options.chipset.readPort(port, size);
  }

  writePort(port: number, size: number, value: number): void {
    this.#options.chipset.writePort(port, size, value);
  }

  emulateMmio(vtl: number, _gpa: number): EmulationStatus {
    return this.#emulator!.emulate(vtl);
  }

  emulateStringIo(vtl: number): EmulationStatus {
    return this.#emulator!.emulate(vtl);
  }

  hypercall(vtl: number): boolean {
    return this.#hypercalls.dispatch(vtl, this.#backing!);
  }

  levelEoi(vtl: number, vector: number): boolean {
    return this.#options.vtls[vtl]!.apic.levelEnded(vector);
  }

  halt(vtl: number): void {
    this.#options.vtls[vtl]!.activity = Activity.Halted;
  }

  /** `Activity` begins with the numbers of `GuestActivity`. */
  activityChanged(vtl: number, activity: GuestActivity): void {
    this.#options.vtls[vtl]!.activity = activity;
  }

  fatal(vtl: number, reason: string): void {
    this.#options.fatal(vtl, reason);
  }
}
