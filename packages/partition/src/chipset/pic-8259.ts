/** The pair of 8259A interrupt controllers (Intel 8259A data sheet), the slave behind line 2 of the master. */
import type { Plain } from '@paravisor/hcl-protocol';
import type { PortDevice } from './chipset.js';
import type { InterruptLines } from './interrupt-lines.js';

const MASTER = 0x20;
const SLAVE = 0xa0;
const LINES = 16;
const CASCADE = 2;
/** Edge or level for each line; lines 0, 1, 2, 8 and 13 are always edges (Intel 82371, ELCR). */
const TRIGGER_MASTER = 0x4d0;
const TRIGGER_SLAVE = 0x4d1;
const LEVEL_ALLOWED = [0xf8, 0xde] as const;

/** Command words at the even port: bit 4 is ICW1, bit 3 OCW3, neither OCW2. */
const INITIALIZE = 0x10;
const COMMAND_3 = 0x08;
const Icw1 = { Icw4: 1, Single: 2 } as const;
const Icw4 = { AutoEoi: 2 } as const;
/** OCW2: bit 7 rotates, bit 6 names a line, bit 5 ends an interrupt. */
const Ocw2 = { Rotate: 0x80, Specific: 0x40, Eoi: 0x20 } as const;
/** OCW3: bits 1:0 choose what is read, bit 2 polls, bits 6:5 set the special mask mode. */
const Ocw3 = { ReadIsr: 3, ReadIrr: 2, Poll: 4, SpecialMaskWrite: 0x40, SpecialMask: 0x20 } as const;
/** A poll's answer: an interrupt, and its line in bits 2:0. */
const POLL_INTERRUPT = 0x80;

type ControllerState = { irr: number; isr: number; mask: number; lines: number; levels: number; base: number; wordsLeft: readonly number[]; lowest: number; readsIsr: boolean; polls: boolean; autoEoi: boolean; rotatesOnEoi: boolean; specialMask: boolean };

/** ICW2 to ICW4, by number. */
const VECTOR_BASE = 2;
const CASCADE_WORD = 3;
const MODE_WORD = 4;

/** One of the two. Nobody has initialized it at the start: it is masked until then. */
class Controller {
  state: ControllerState = { irr: 0, isr: 0, mask: 0xff, lines: 0, levels: 0, base: 0, wordsLeft: [], lowest: 7, readsIsr: false, polls: false, autoEoi: false, rotatesOnEoi: false, specialMask: false };

  /** A rising edge, or a high level, is a request; a request that is not taken goes with its line. */
  set(line: number, level: boolean): void {
    const { state } = this;
    const bit = 1 << line;
    const rises = level && (state.lines & bit) === 0;
    state.lines = level ? state.lines | bit : state.lines & ~bit;
    if (!level) state.irr &= ~bit;
    else if (rises || (state.levels & bit) !== 0) state.irr |= bit;
  }

  /** The line that interrupts: the highest in priority that is asked for, unmasked, and above all in service; −1 for none. */
  get pending(): number {
    const { irr, isr, mask, lowest, specialMask } = this.state;
    for (let place = 1; place <= 8; place++) {
      const line = (lowest + place) & 7;
      const bit = 1 << line;
      if ((irr & ~mask & bit) !== 0) return line;
      if ((isr & bit) !== 0 && !(specialMask && (mask & bit) !== 0)) return -1;
    }
    return -1;
  }

  /** The interrupt is taken: from IRR to ISR. */
  acknowledge(line: number): void {
    const { state } = this;
    const bit = 1 << line;
    if ((state.levels & bit) === 0) state.irr &= ~bit;
    if (!state.autoEoi) state.isr |= bit;
    else if (state.rotatesOnEoi) state.lowest = line;
  }

  command(value: number): void {
    const { state } = this;
    if ((value & INITIALIZE) !== 0) {
      const words = [VECTOR_BASE, ...((value & Icw1.Single) === 0 ? [CASCADE_WORD] : []), ...((value & Icw1.Icw4) === 0 ? [] : [MODE_WORD])];
      Object.assign(state, { irr: state.lines & state.levels, isr: 0, mask: 0, lowest: 7, readsIsr: false, polls: false, autoEoi: false, rotatesOnEoi: false, specialMask: false, wordsLeft: words });
    } else if ((value & COMMAND_3) !== 0) this.#command3(value);
    else this.#command2(value);
  }

  #command2(value: number): void {
    const { state } = this;
    if ((value & Ocw2.Eoi) !== 0) {
      const line = (value & Ocw2.Specific) !== 0 ? value & 7 : this.#inService();
      if (line < 0) return;
      state.isr &= ~(1 << line);
      if ((value & Ocw2.Rotate) !== 0) state.lowest = line;
    } else if ((value & Ocw2.Specific) === 0) state.rotatesOnEoi = (value & Ocw2.Rotate) !== 0;
    else if ((value & Ocw2.Rotate) !== 0) state.lowest = value & 7;
  }

  /** Highest in priority in service; −1 for none. */
  #inService(): number {
    const { isr, lowest } = this.state;
    for (let place = 1; place <= 8; place++) if ((isr & (1 << ((lowest + place) & 7))) !== 0) return (lowest + place) & 7;
    return -1;
  }

  #command3(value: number): void {
    const { state } = this;
    if ((value & Ocw3.SpecialMaskWrite) !== 0) state.specialMask = (value & Ocw3.SpecialMask) !== 0;
    if ((value & Ocw3.Poll) !== 0) state.polls = true;
    else if ((value & Ocw3.ReadIsr) >= Ocw3.ReadIrr) state.readsIsr = (value & Ocw3.ReadIsr) === Ocw3.ReadIsr;
  }

  data(value: number): void {
    const { state } = this;
    const [word, ...wordsLeft] = state.wordsLeft;
    if (word === undefined) {
      state.mask = value;
      return;
    }
    state.wordsLeft = wordsLeft;
    if (word === VECTOR_BASE) state.base = value & 0xf8;
    else if (word === MODE_WORD) state.autoEoi = (value & Icw4.AutoEoi) !== 0;
  }

  read(dataPort: boolean): number {
    const { state } = this;
    if (state.polls) {
      state.polls = false;
      const line = this.pending;
      if (line < 0) return 0;
      this.acknowledge(line);
      return POLL_INTERRUPT | line;
    }
    return dataPort ? state.mask : state.readsIsr ? state.isr : state.irr;
  }
}

/**
 * Its output is LINT0 of the first VP: each time an interrupt begins to wait there, the pin is pulsed. As ExtINT that comes to nothing, since openvmm's
 * confidential backings do not support it: nobody asks the pair for a vector. A guest polls, or gives LINT0 a vector.
 */
export class Pic8259 implements PortDevice, InterruptLines {
  readonly ports = [[MASTER, MASTER + 1], [SLAVE, SLAVE + 1], [TRIGGER_MASTER, TRIGGER_SLAVE]] as const;
  readonly byteWide = true;
  readonly #output: () => void;
  readonly #master = new Controller();
  readonly #slave = new Controller();
  /** The master's INT. */
  #raised = false;

  constructor(output: () => void) {
    this.#output = output;
  }

  set(line: number, level: boolean): void {
    if (line >= LINES || line === CASCADE) return;
    if (line < 8) this.#master.set(line, level);
    else this.#slave.set(line - 8, level);
    this.#update();
  }

  readPort(port: number): number {
    if (port >= TRIGGER_MASTER) return this.#triggered(port).state.levels;
    const value = this.#at(port).read((port & 1) !== 0);
    this.#update();
    return value;
  }

  writePort(port: number, _size: number, value: number): void {
    if (port >= TRIGGER_MASTER) this.#triggered(port).state.levels = value & LEVEL_ALLOWED[port - TRIGGER_MASTER]!;
    else if ((port & 1) === 0) this.#at(port).command(value);
    else this.#at(port).data(value);
    this.#update();
  }

  save(): Plain {
    return { master: { ...this.#master.state }, slave: { ...this.#slave.state }, raised: this.#raised };
  }

  restore(state: Plain): void {
    const { master, slave, raised } = state as { master: ControllerState; slave: ControllerState; raised: boolean };
    this.#master.state = { ...master };
    this.#slave.state = { ...slave };
    this.#raised = raised;
  }

  #update(): void {
    this.#master.set(CASCADE, this.#slave.pending >= 0);
    const raised = this.#master.pending >= 0;
    if (raised && !this.#raised) this.#output();
    this.#raised = raised;
  }

  #at(port: number): Controller {
    return port < SLAVE ? this.#master : this.#slave;
  }

  #triggered(port: number): Controller {
    return port === TRIGGER_MASTER ? this.#master : this.#slave;
  }
}
