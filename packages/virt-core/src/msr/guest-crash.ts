import { HvMsr, U64, restoreU64, saveU64 } from '@paravisor/hcl-protocol';
import type { ReadonlyU64 } from '@paravisor/hcl-protocol';

const PARAMETERS = 5;
/** What the control register reads, whatever was written: a crash can be told, and with a message (TLFS "Guest Crash Enlightenment"; openvmm `read_crash_msr`). */
const CAPABILITIES_HIGH = 0xc0000000 | 0;

const owns = (msr: number): boolean => msr >= HvMsr.GuestCrashParameter0 && msr <= HvMsr.GuestCrashControl;

/** The guest crash registers of a VP, which its VTLs share. A guest that tells of a crash goes on: to end it is the host's to decide, which is not told here. */
export class GuestCrash {
  readonly #parameters = Array.from({ length: PARAMETERS }, () => new U64());

  /** False for an MSR of others. */
  read(msr: number, out: U64): boolean {
    if (!owns(msr)) return false;
    if (msr === HvMsr.GuestCrashControl) out.setParts(0, CAPABILITIES_HIGH);
    else out.set(this.#parameters[msr - HvMsr.GuestCrashParameter0]!);
    return true;
  }

  /** False for an MSR of others. */
  write(msr: number, value: ReadonlyU64): boolean {
    if (!owns(msr)) return false;
    if (msr !== HvMsr.GuestCrashControl) this.#parameters[msr - HvMsr.GuestCrashParameter0]!.set(value);
    return true;
  }

  save(): readonly string[] {
    return this.#parameters.map(saveU64);
  }

  restore(state: readonly string[]): void {
    for (const [index, parameter] of this.#parameters.entries()) restoreU64(parameter, state[index]!);
  }
}
