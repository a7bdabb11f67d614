/** The interval timer (Intel 8254 data sheet) with port 0x61, which gates its channel 2 and shows its output. Counts follow virtual time. */
import type { Plain } from '@paravisor/hcl-protocol';
import type { Board } from './board.js';
import type { PortDevice } from './chipset.js';
import type { InterruptLines } from './interrupt-lines.js';

const BASE = 0x40;
const CONTROL = 0x43;
const SYSTEM_CONTROL = 0x61;
/** Hz. */
const PIT_HZ = 1193182;
const TIMER_LINE = 0;
/** Bits 5:4 of a control word: latch, or which bytes follow. */
const Access = { Latch: 0, Low: 1, High: 2, Both: 3 } as const;
const READ_BACK = 3;

type ChannelState = { mode: number; access: number; reload: number; low: number; highNext: boolean; latched: number; readHigh: boolean; start: number; gate: boolean; stopped: number; bcd: boolean; status: number };

/** One channel: what was programmed, and since when it counts. */
class Channel {
  state: ChannelState = { mode: 3, access: Access.Both, reload: 0x10000, low: 0, highNext: false, latched: -1, readHigh: false, start: -1, gate: true, stopped: 0, bcd: false, status: -1 };

  /** Modes 2 and 3 begin again at zero. */
  get periodic(): boolean {
    return this.state.mode === 2 || this.state.mode === 3;
  }

  /** Counts since it was loaded, `now` in counts. */
  elapsed(now: number): number {
    const { start, gate, stopped } = this.state;
    return start < 0 ? 0 : gate ? now - start : stopped;
  }

  value(now: number): number {
    const { reload, mode, bcd } = this.state;
    const elapsed = this.elapsed(now);
    const left = !this.periodic ? reload - elapsed : mode === 2 ? reload - (elapsed % reload) : (reload - ((2 * elapsed) % reload)) & ~1;
    return bcd ? toBcd(((left % WHOLE_COUNT.bcd) + WHOLE_COUNT.bcd) % WHOLE_COUNT.bcd) : left & 0xffff;
  }

  /** The state that a read-back command latches. */
  status(now: number): number {
    const { access, mode, bcd, start } = this.state;
    return (this.output(now) ? Status.Output : 0) | (start < 0 ? Status.NullCount : 0) | (access << 4) | (mode << 1) | (bcd ? 1 : 0);
  }

  output(now: number): boolean {
    const { reload, mode, start } = this.state;
    const elapsed = this.elapsed(now);
    if (mode === 2) return elapsed % reload !== reload - 1;
    if (mode === 3) return elapsed % reload < (reload + 1) >> 1;
    return start >= 0 && elapsed >= reload;
  }

  setGate(gate: boolean, now: number): void {
    const { state } = this;
    if (gate === state.gate) return;
    // A rising gate starts modes 1, 2, 3 and 5 anew; in the others a low one holds the count.
    const restarts = state.mode !== 0 && state.mode !== 4;
    if (!gate) state.stopped = this.elapsed(now);
    else if (state.start >= 0) state.start = restarts ? now : now - state.stopped;
    state.gate = gate;
  }
}

/** Four decimal digits, and back. */
const toBcd = (value: number): number => (Math.floor(value / 1000) % 10 << 12) | (Math.floor(value / 100) % 10 << 8) | (Math.floor(value / 10) % 10 << 4) | value % 10;
const fromBcd = (value: number): number => (value >>> 12) * 1000 + ((value >>> 8) & 15) * 100 + ((value >>> 4) & 15) * 10 + (value & 15);
/** What a count of zero stands for. */
const WHOLE_COUNT = { binary: 0x10000, bcd: 10000 } as const;
/** Read-back command: bit 5 clear latches counts, bit 4 clear states. */
const ReadBack = { NoCount: 0x20, NoStatus: 0x10 } as const;
/** A state: the output, and that what was programmed has not been loaded yet; below are the access, mode and BCD bits of the control word. */
const Status = { Output: 0x80, NullCount: 0x40 } as const;

/** Channel 0's interrupt is line 0; channel 2 speaks to nobody. */
export class Pit8254 implements PortDevice {
  readonly ports = [[BASE, CONTROL], [SYSTEM_CONTROL, SYSTEM_CONTROL]] as const;
  readonly byteWide = true;
  readonly #board: Board;
  readonly #lines: InterruptLines;
  readonly #channels = [new Channel(), new Channel(), new Channel()];
  #speaker = 0;
  /** Interrupts of channel 0 since it was loaded. */
  #expiries = 0;
  #cancel: (() => void) | null = null;

  constructor(board: Board, lines: InterruptLines) {
    this.#board = board;
    this.#lines = lines;
    this.#channels[2]!.state.gate = false;
  }

  readPort(port: number): number {
    if (port === SYSTEM_CONTROL) return this.#readSystemControl();
    if (port === CONTROL) return 0xff;
    const channel = this.#channels[port - BASE]!;
    const { state } = channel;
    if (state.status >= 0) {
      const { status } = state;
      state.status = -1;
      return status;
    }
    const value = state.latched >= 0 ? state.latched : channel.value(this.#now);
    const high = state.access === Access.High || (state.access === Access.Both && state.readHigh);
    if (state.access === Access.Both) state.readHigh = !state.readHigh;
    if (state.access !== Access.Both || high) state.latched = -1;
    return high ? value >>> 8 : value & 0xff;
  }

  writePort(port: number, _size: number, value: number): void {
    if (port === SYSTEM_CONTROL) {
      this.#speaker = value & 3;
      this.#channels[2]!.setGate((value & 1) !== 0, this.#now);
    } else if (port === CONTROL) this.#control(value);
    else this.#load(port - BASE, value);
  }

  save(): Plain {
    return { channels: this.#channels.map(({ state }) => ({ ...state })), speaker: this.#speaker, expiries: this.#expiries, armed: this.#cancel !== null };
  }

  restore(state: Plain): void {
    const { channels, speaker, expiries, armed } = state as { channels: ChannelState[]; speaker: number; expiries: number; armed: boolean };
    for (const [index, channel] of this.#channels.entries()) channel.state = { ...channels[index]! };
    this.#speaker = speaker;
    this.#expiries = expiries;
    if (armed) this.#arm();
  }

  /** Virtual time in counts. */
  get #now(): number {
    return Math.floor((this.#board.now / this.#board.tscHz) * PIT_HZ);
  }

  /** Bit 4 toggles with the refresh of memory, every 15 µs; bit 5 is channel 2's output. */
  #readSystemControl(): number {
    const now = this.#now;
    return this.#speaker | ((Math.floor(now / 18) & 1) << 4) | (this.#channels[2]!.output(now) ? 0x20 : 0);
  }

  #control(value: number): void {
    const index = value >>> 6;
    if (index === READ_BACK) {
      for (let channel = 0; channel < 3; channel++) {
        if ((value & (2 << channel)) === 0) continue;
        if ((value & ReadBack.NoCount) === 0) this.#latch(channel);
        if ((value & ReadBack.NoStatus) === 0) this.#latchStatus(channel);
      }
      return;
    }
    const access = (value >>> 4) & 3;
    if (access === Access.Latch) return this.#latch(index);
    const { state } = this.#channels[index]!;
    const mode = (value >>> 1) & 7;
    Object.assign(state, { access, mode: mode > 5 ? mode & 3 : mode, bcd: (value & 1) !== 0, highNext: false, readHigh: false, latched: -1, status: -1, start: -1 });
    if (index === 0) this.#disarm();
  }

  #latch(index: number): void {
    const channel = this.#channels[index]!;
    if (channel.state.latched < 0) channel.state.latched = channel.value(this.#now);
  }

  #latchStatus(index: number): void {
    const channel = this.#channels[index]!;
    if (channel.state.status < 0) channel.state.status = channel.status(this.#now);
  }

  #load(index: number, value: number): void {
    const { state } = this.#channels[index]!;
    if (state.access === Access.Both && !state.highNext) {
      state.low = value;
      state.highNext = true;
      return;
    }
    state.highNext = false;
    const count = state.access === Access.Low ? value : state.access === Access.High ? value << 8 : (value << 8) | state.low;
    state.reload = (state.bcd ? fromBcd(count) : count) || WHOLE_COUNT[state.bcd ? 'bcd' : 'binary'];
    state.start = this.#now;
    state.stopped = 0;
    if (index !== 0) return;
    this.#disarm();
    this.#expiries = 0;
    this.#arm();
  }

  #disarm(): void {
    this.#cancel?.();
    this.#cancel = null;
  }

  /** The next interrupt of channel 0. */
  #arm(): void {
    const { start, reload } = this.#channels[0]!.state;
    const due = start + (this.#expiries + 1) * reload;
    this.#cancel = this.#board.schedule(Math.ceil((due / PIT_HZ) * this.#board.tscHz), () => {
      this.#cancel = null;
      this.#expiries++;
      this.#lines.set(TIMER_LINE, false);
      this.#lines.set(TIMER_LINE, true);
      if (this.#channels[0]!.periodic) this.#arm();
    });
  }
}
