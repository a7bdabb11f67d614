/** The real-time clock and its RAM (Motorola MC146818A data sheet): a date given from outside, which goes on in virtual time. */
import type { Plain } from '@paravisor/hcl-protocol';
import type { PortDevice } from './chipset.js';

const INDEX = 0x70;
const BYTES = 128;
const Register = { Seconds: 0, Minutes: 2, Hours: 4, Weekday: 6, Day: 7, Month: 8, Year: 9, A: 10, B: 11, C: 12, D: 13, Century: 0x32 } as const;
/** The 32768 Hz divider and the 1024 Hz rate; no update is ever in progress. */
const STATUS_A = 0x26;
const BINARY = 0x04;
const HOURS_24 = 0x02;
const BATTERY_GOOD = 0x80;

export interface RtcOptions {
  /** Seconds since 1970-01-01, UTC, at the partition's start. */
  readonly startSeconds: number;
  /** Virtual seconds since. */
  readonly elapsedSeconds: () => number;
}

/** The clock cannot be set: writes to its time are dropped. It raises no interrupt. */
export class RtcCmos implements PortDevice {
  readonly ports = [[INDEX, INDEX + 1]] as const;
  readonly byteWide = true;
  readonly #options: RtcOptions;
  readonly #ram = new Uint8Array(BYTES);
  #index = 0;

  constructor(options: RtcOptions) {
    this.#options = options;
    this.#ram[Register.B] = HOURS_24;
  }

  readPort(port: number): number {
    if (port === INDEX) return 0xff;
    const date = new Date(1000 * (this.#options.startSeconds + this.#options.elapsedSeconds()));
    switch (this.#index) {
      case Register.Seconds:
        return this.#coded(date.getUTCSeconds());
      case Register.Minutes:
        return this.#coded(date.getUTCMinutes());
      case Register.Hours:
        return this.#hours(date.getUTCHours());
      case Register.Weekday:
        return this.#coded(date.getUTCDay() + 1);
      case Register.Day:
        return this.#coded(date.getUTCDate());
      case Register.Month:
        return this.#coded(date.getUTCMonth() + 1);
      case Register.Year:
        return this.#coded(date.getUTCFullYear() % 100);
      case Register.Century:
        return this.#coded(Math.floor(date.getUTCFullYear() / 100));
      case Register.A:
        return STATUS_A;
      case Register.C:
        return 0;
      case Register.D:
        return BATTERY_GOOD;
      default:
        return this.#ram[this.#index]!;
    }
  }

  writePort(port: number, _size: number, value: number): void {
    // Bit 7 of the index port masks NMIs, which nothing here raises.
    if (port === INDEX) this.#index = value & (BYTES - 1);
    else this.#ram[this.#index] = value;
  }

  save(): Plain {
    return { index: this.#index, ram: [...this.#ram] };
  }

  restore(state: Plain): void {
    const { index, ram } = state as { index: number; ram: number[] };
    this.#index = index;
    this.#ram.set(ram);
  }

  #hours(hours: number): number {
    if ((this.#ram[Register.B]! & HOURS_24) !== 0) return this.#coded(hours);
    return this.#coded(hours % 12 === 0 ? 12 : hours % 12) | (hours >= 12 ? 0x80 : 0);
  }

  #coded(value: number): number {
    return (this.#ram[Register.B]! & BINARY) !== 0 ? value : (Math.floor(value / 10) << 4) | (value % 10);
  }
}
