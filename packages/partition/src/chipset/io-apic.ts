/** The I/O APIC (Intel 82093AA data sheet), whose messages go to the local APICs. */
import type { Plain, ReadonlyU64, U64 } from '@paravisor/hcl-protocol';
import type { ChipsetDevice } from './chipset.js';
import type { InterruptLines } from './interrupt-lines.js';

const BASE = 0xfec00000;
/** Offsets in its page. */
const Window = { Select: 0x00, Data: 0x10 } as const;
/** Registers behind the window; redirection entries of two from 0x10. */
const Register = { Id: 0, Version: 1, Arbitration: 2, Redirection: 0x10 } as const;
const PINS = 24;
/** Version 0x11, and the number of the last entry. */
const VERSION = 0x11 | ((PINS - 1) << 16);
const ID_MASK = 0x0f000000;

/** The low half of a redirection entry. */
const Entry = { VectorMask: 0xff, DeliveryModeMask: 0x700, Logical: 1 << 11, RemoteIrr: 1 << 14, Level: 1 << 15, Masked: 1 << 16 } as const;
const WRITABLE = 0x1afff;
/** MSI, SDM volume 3, 11.11: destination in bits 19:12, logical in bit 2; the data has the trigger mode in bit 15 too. */
const MSI_ADDRESS = 0xfee00000;
const MSI_LOGICAL = 4;

/** Where its messages go: `Board.signalMsi`. */
export type MessageSender = (address: number, data: number) => void;

export class IoApic implements ChipsetDevice, InterruptLines {
  readonly first = BASE;
  readonly last = BASE + 0xfff;
  readonly #send: MessageSender;
  readonly #low = new Int32Array(PINS).fill(Entry.Masked);
  readonly #high = new Int32Array(PINS);
  #select = 0;
  #id = 0;
  /** Pins that are high, a bit each. */
  #lines = 0;

  constructor(send: MessageSender) {
    this.#send = send;
  }

  read(gpa: number, _size: number, out: U64): void {
    const offset = gpa - BASE;
    out.setParts(offset === Window.Select ? this.#select : offset === Window.Data ? this.#readRegister() : 0, 0);
  }

  write(gpa: number, _size: number, value: ReadonlyU64): void {
    const offset = gpa - BASE;
    if (offset === Window.Select) this.#select = value.lo & 0xff;
    else if (offset === Window.Data) this.#writeRegister(value.lo);
  }

  /** ISA interrupt 0 comes in at pin 2, as on a PC. A masked pin forgets an edge (82093AA, 3.2.4). */
  set(line: number, level: boolean): void {
    const pin = line === 0 ? 2 : line;
    if (pin >= PINS) return;
    const mask = 1 << pin;
    const rises = level && (this.#lines & mask) === 0;
    this.#lines = level ? this.#lines | mask : this.#lines & ~mask;
    const low = this.#low[pin]!;
    if ((low & Entry.Level) !== 0) this.#look(pin);
    else if (rises && (low & Entry.Masked) === 0) this.#deliver(pin);
  }

  /** A local APIC ended a level-triggered interrupt of `vector`: lines that are still high interrupt again. */
  endOfInterrupt(vector: number): void {
    for (let pin = 0; pin < PINS; pin++) {
      const low = this.#low[pin]!;
      if ((low & Entry.VectorMask) !== vector || (low & Entry.RemoteIrr) === 0) continue;
      this.#low[pin] = low & ~Entry.RemoteIrr;
      this.#look(pin);
    }
  }

  save(): Plain {
    return { select: this.#select, id: this.#id, lines: this.#lines, low: [...this.#low], high: [...this.#high] };
  }

  restore(state: Plain): void {
    const { select, id, lines, low, high } = state as { select: number; id: number; lines: number; low: number[]; high: number[] };
    this.#select = select;
    this.#id = id;
    this.#lines = lines;
    this.#low.set(low);
    this.#high.set(high);
  }

  #readRegister(): number {
    switch (this.#select) {
      case Register.Id:
      case Register.Arbitration:
        return this.#id;
      case Register.Version:
        return VERSION;
    }
    const pin = (this.#select - Register.Redirection) >> 1;
    if (pin < 0 || pin >= PINS) return 0;
    return (this.#select & 1) === 0 ? this.#low[pin]! : this.#high[pin]!;
  }

  #writeRegister(value: number): void {
    if (this.#select === Register.Id) this.#id = value & ID_MASK;
    const pin = (this.#select - Register.Redirection) >> 1;
    if (pin < 0 || pin >= PINS) return;
    if ((this.#select & 1) === 0) {
      const level = (value & Entry.Level) !== 0;
      this.#low[pin] = (value & WRITABLE) | (level ? this.#low[pin]! & Entry.RemoteIrr : 0);
      if (level) this.#look(pin);
    } else this.#high[pin] = value & 0xff000000;
  }

  /** A level-triggered pin: high, unmasked and not in service interrupts. */
  #look(pin: number): void {
    const low = this.#low[pin]!;
    if ((this.#lines & (1 << pin)) === 0 || (low & (Entry.Masked | Entry.RemoteIrr | Entry.Level)) !== Entry.Level) return;
    this.#low[pin] = low | Entry.RemoteIrr;
    this.#deliver(pin);
  }

  #deliver(pin: number): void {
    const low = this.#low[pin]!;
    const destination = this.#high[pin]! >>> 24;
    this.#send((MSI_ADDRESS | (destination << 12) | ((low & Entry.Logical) !== 0 ? MSI_LOGICAL : 0)) >>> 0, low & (Entry.VectorMask | Entry.DeliveryModeMask | Entry.Level));
  }
}
