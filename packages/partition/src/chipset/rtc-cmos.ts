/** The real-time clock and its RAM (Motorola MC146818A data sheet): a date given from outside, which goes on in virtual time. */
import type { Plain } from '@paravisor/hcl-protocol';
import type { Board } from './board.js';
import type { PortDevice } from './chipset.js';
import type { InterruptLines } from './interrupt-lines.js';
import { dateOf, matchesAlarm, readDateRegister, writeDateRegister } from './rtc-date.js';

const INDEX = 0x70;
const BYTES = 128;
const LINE = 8;
const Register = { A: 10, B: 11, C: 12, D: 13 } as const;
/** The 32768 Hz divider and the 1024 Hz rate. */
const STATUS_A = 0x26;
const RATE = 0x0f;
const UPDATE_IN_PROGRESS = 0x80;
/** An update is announced 244 µs before it, and takes 1984 µs, at that divider. */
const UPDATE_SECONDS = 0.002228;
const HOURS_24 = 0x02;
/** In C: what has happened since it was read; in B: which of it interrupts. */
const Flag = { Update: 0x10, Alarm: 0x20, Periodic: 0x40, Interrupt: 0x80 } as const;
const ANY_FLAG = Flag.Update | Flag.Alarm | Flag.Periodic;
const BATTERY_GOOD = 0x80;
const DIVIDER_HZ = 32768;
const SECONDS_A_DAY = 86400;

type RtcState = { index: number; ram: number[]; offset: number; flags: number; looked: number };

/** Seconds of the periodic interrupt; 0 for none. The two fastest rates are those of 7 further on. */
function period(rate: number): number {
  return rate === 0 ? 0 : 2 ** ((rate < 3 ? rate + 7 : rate) - 1) / DIVIDER_HZ;
}

export class RtcCmos implements PortDevice {
  readonly ports = [[INDEX, INDEX + 1]] as const;
  readonly byteWide = true;
  readonly #board: Board;
  readonly #lines: InterruptLines;
  readonly #ram = new Uint8Array(BYTES);
  #index = 0;
  /** Unix time at the partition's start: setting the clock moves it. */
  #offset: number;
  #flags = 0;
  /** Virtual seconds up to which `#flags` tells. */
  #looked = 0;
  #cancel: (() => void) | null = null;

  /** `startSeconds`: Unix time at the partition's start. */
  constructor(board: Board, lines: InterruptLines, startSeconds: number) {
    this.#board = board;
    this.#lines = lines;
    this.#offset = startSeconds;
    this.#ram[Register.A] = STATUS_A;
    this.#ram[Register.B] = HOURS_24;
  }

  readPort(port: number): number {
    if (port === INDEX) return 0xff;
    const mode = this.#ram[Register.B]!;
    switch (this.#index) {
      case Register.A:
        return this.#ram[Register.A]! | (this.#now % 1 >= 1 - UPDATE_SECONDS ? UPDATE_IN_PROGRESS : 0);
      case Register.C:
        return this.#takeFlags();
      case Register.D:
        return BATTERY_GOOD;
      default:
        return readDateRegister(this.#index, dateOf(this.#offset + Math.floor(this.#now)), mode) ?? this.#ram[this.#index]!;
    }
  }

  writePort(port: number, _size: number, value: number): void {
    // Bit 7 of the index port masks NMIs, which nothing here raises.
    if (port === INDEX) this.#index = value & (BYTES - 1);
    else this.#write(value);
  }

  save(): Plain {
    return { index: this.#index, ram: [...this.#ram], offset: this.#offset, flags: this.#flags, looked: this.#looked };
  }

  restore(state: Plain): void {
    const { index, ram, offset, flags, looked } = state as RtcState;
    this.#index = index;
    this.#ram.set(ram);
    this.#offset = offset;
    this.#flags = flags;
    this.#looked = looked;
    this.#arm();
  }

  /** Virtual seconds. */
  get #now(): number {
    return this.#board.now / this.#board.tscHz;
  }

  #write(value: number): void {
    if (this.#index === Register.C || this.#index === Register.D) return;
    const seconds = this.#offset + Math.floor(this.#now);
    const set = writeDateRegister(this.#index, seconds, this.#ram[Register.B]!, value);
    if (set !== null) {
      this.#offset += set - seconds;
      return;
    }
    this.#collect();
    this.#ram[this.#index] = this.#index === Register.A ? value & ~UPDATE_IN_PROGRESS : value;
    this.#interrupt();
    this.#arm();
  }

  /** Reading C forgets what it tells. */
  #takeFlags(): number {
    this.#collect();
    const flags = this.#flags;
    const interrupts = (flags & this.#ram[Register.B]! & ANY_FLAG) !== 0;
    this.#flags = 0;
    this.#interrupt();
    return flags | (interrupts ? Flag.Interrupt : 0);
  }

  /** What has happened since the last look. `now` is never before it: the tick of an event, in seconds, can round to just below its time. */
  #collect(now = Math.max(this.#now, this.#looked)): void {
    const every = period(this.#ram[Register.A]! & RATE);
    if (every > 0 && Math.floor(now / every) > Math.floor(this.#looked / every)) this.#flags |= Flag.Periodic;
    const last = Math.floor(now);
    const first = Math.max(Math.floor(this.#looked) + 1, last - SECONDS_A_DAY + 1);
    if (last >= first) this.#flags |= Flag.Update;
    for (let second = first; second <= last && (this.#flags & Flag.Alarm) === 0; second++) {
      if (matchesAlarm(this.#ram, dateOf(this.#offset + second))) this.#flags |= Flag.Alarm;
    }
    this.#looked = now;
  }

  #interrupt(): void {
    this.#lines.set(LINE, (this.#flags & this.#ram[Register.B]! & ANY_FLAG) !== 0);
  }

  /** Looks again when the next enabled interrupt may come: at the next period, or the next second. */
  #arm(): void {
    this.#cancel?.();
    this.#cancel = null;
    const enabled = this.#ram[Register.B]!;
    const every = period(this.#ram[Register.A]! & RATE);
    const now = Math.max(this.#now, this.#looked);
    const periodic = (enabled & Flag.Periodic) !== 0 && every > 0 ? (Math.floor(now / every) + 1) * every : Infinity;
    const due = Math.min(periodic, (enabled & (Flag.Update | Flag.Alarm)) === 0 ? Infinity : Math.floor(now) + 1);
    if (due === Infinity) return;
    this.#cancel = this.#board.schedule(Math.ceil(due * this.#board.tscHz), () => {
      this.#cancel = null;
      this.#collect(due);
      this.#interrupt();
      this.#arm();
    });
  }
}
