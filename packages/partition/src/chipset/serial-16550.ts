/** A serial port: the 16550 as its output is used (National Semiconductor PC16550D data sheet, section 8). */
import type { Plain } from '@paravisor/hcl-protocol';
import type { PortDevice } from './chipset.js';
import type { InterruptLines } from './interrupt-lines.js';

const COM1 = 0x3f8;
/** Register offsets; the first two are the divisor latch while LCR.DLAB is set. */
const Register = { Data: 0, InterruptEnable: 1, InterruptId: 2, LineControl: 3, ModemControl: 4, LineStatus: 5, ModemStatus: 6, Scratch: 7 } as const;
/** LCR.DLAB: the first two registers are the divisor. */
const DIVISOR_ACCESS = 0x80;
/** MCR bit 4: what is sent is received. */
const LOOPBACK = 0x10;
const FIFO_ENABLE = 0x01;
/** IIR: nothing pending; bits 7:6 tell of FIFOs. */
const NO_INTERRUPT = 0x01;
const TRANSMITTER_INTERRUPT = 0x02;
const RECEIVER_INTERRUPT = 0x04;
/** IER: received data, and the empty transmitter. */
const Enable = { Receiver: 1, Transmitter: 2 } as const;
/** MCR bit 3, OUT2, lets the interrupt out, on a PC. */
const OUT2 = 0x08;
const COM1_LINE = 4;
const FIFOS_ENABLED = 0xc0;
/** LSR: a byte has been received; the transmitter and its holding register are empty. */
const DATA_READY = 0x01;
const TRANSMITTER_EMPTY = 0x60;
/** MSR: carrier, data set ready, clear to send. */
const PEER_READY = 0xb0;

/** COM1 without a peer that types: each byte is sent at once, and nothing comes in but in loopback. Its interrupt is line 4. */
export class Serial16550 implements PortDevice {
  readonly ports = [[COM1, COM1 + 7]] as const;
  readonly byteWide = true;
  readonly #send: (byte: number) => void;
  readonly #lines: InterruptLines;
  #interruptEnable = 0;
  #lineControl = 0;
  #modemControl = 0;
  #scratch = 0;
  #divisor = 12;
  #fifos = false;
  /** The byte that came back in loopback; −1 for none. */
  #received = -1;
  /** The transmitter has become empty, and IIR has not told so yet. */
  #transmitterEmptied = false;

  constructor(send: (byte: number) => void, lines: InterruptLines) {
    this.#send = send;
    this.#lines = lines;
  }

  readPort(port: number): number {
    switch (port - COM1) {
      case Register.Data:
        return this.#divisorAccess ? this.#divisor & 0xff : this.#receive();
      case Register.InterruptEnable:
        return this.#divisorAccess ? this.#divisor >>> 8 : this.#interruptEnable;
      case Register.InterruptId:
        return this.#identify() | (this.#fifos ? FIFOS_ENABLED : 0);
      case Register.LineControl:
        return this.#lineControl;
      case Register.ModemControl:
        return this.#modemControl;
      case Register.LineStatus:
        return TRANSMITTER_EMPTY | (this.#received >= 0 ? DATA_READY : 0);
      case Register.ModemStatus:
        return this.#modemStatus;
      default:
        return this.#scratch;
    }
  }

  writePort(port: number, _size: number, value: number): void {
    this.#write(port, value);
    this.#updateLine();
  }

  #write(port: number, value: number): void {
    switch (port - COM1) {
      case Register.Data:
        if (this.#divisorAccess) this.#divisor = (this.#divisor & 0xff00) | value;
        else {
          this.#transmitterEmptied = true;
          if ((this.#modemControl & LOOPBACK) !== 0) this.#received = value;
          else this.#send(value);
        }
        return;
      case Register.InterruptEnable:
        if (this.#divisorAccess) this.#divisor = (this.#divisor & 0xff) | (value << 8);
        else {
          // The transmitter is empty already: to enable its interrupt is to get it.
          if ((value & ~this.#interruptEnable & Enable.Transmitter) !== 0) this.#transmitterEmptied = true;
          this.#interruptEnable = value & 0x0f;
        }
        return;
      case Register.InterruptId:
        this.#fifos = (value & FIFO_ENABLE) !== 0;
        return;
      case Register.LineControl:
        this.#lineControl = value;
        return;
      case Register.ModemControl:
        this.#modemControl = value & 0x1f;
        return;
      case Register.Scratch:
        this.#scratch = value;
    }
  }

  save(): Plain {
    return [this.#interruptEnable, this.#lineControl, this.#modemControl, this.#scratch, this.#divisor, this.#fifos ? 1 : 0, this.#received, this.#transmitterEmptied ? 1 : 0];
  }

  restore(state: Plain): void {
    const [interruptEnable, lineControl, modemControl, scratch, divisor, fifos, received, transmitterEmptied] = state as readonly number[];
    this.#interruptEnable = interruptEnable!;
    this.#lineControl = lineControl!;
    this.#modemControl = modemControl!;
    this.#scratch = scratch!;
    this.#divisor = divisor!;
    this.#fifos = fifos === 1;
    this.#received = received!;
    this.#transmitterEmptied = transmitterEmptied === 1;
  }

  get #divisorAccess(): boolean {
    return (this.#lineControl & DIVISOR_ACCESS) !== 0;
  }

  /** In loopback the modem's inputs are the outputs: DTR as DSR, RTS as CTS, OUT1 as RI, OUT2 as DCD. */
  get #modemStatus(): number {
    const control = this.#modemControl;
    if ((control & LOOPBACK) === 0) return PEER_READY;
    return ((control & 1) << 5) | ((control & 2) << 3) | ((control & 0xc) << 4);
  }

  #receive(): number {
    const byte = this.#received < 0 ? 0 : this.#received;
    this.#received = -1;
    this.#updateLine();
    return byte;
  }

  /** The interrupt highest in priority. */
  get #pending(): number {
    if ((this.#interruptEnable & Enable.Receiver) !== 0 && this.#received >= 0) return RECEIVER_INTERRUPT;
    return (this.#interruptEnable & Enable.Transmitter) !== 0 && this.#transmitterEmptied ? TRANSMITTER_INTERRUPT : NO_INTERRUPT;
  }

  /** Reading IIR takes note of the empty transmitter. */
  #identify(): number {
    const pending = this.#pending;
    if (pending === TRANSMITTER_INTERRUPT) this.#transmitterEmptied = false;
    this.#updateLine();
    return pending;
  }

  /** In loopback OUT2 is no pin. */
  #updateLine(): void {
    this.#lines.set(COM1_LINE, this.#pending !== NO_INTERRUPT && (this.#modemControl & (OUT2 | LOOPBACK)) === OUT2);
  }
}
