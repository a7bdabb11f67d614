/** The pair of 8259A interrupt controllers (Intel 8259A data sheet), as kernels use it that mask it: it takes its words and interrupts nobody. */
import type { Plain } from '@paravisor/hcl-protocol';
import type { PortDevice } from './chipset.js';

const MASTER = 0x20;
const SLAVE = 0xa0;
/** A command with bit 4 begins the initialization; its bit 0 announces ICW4, bit 1 a single controller without ICW3. */
const INITIALIZE = 0x10;

/** One of the two. */
class Controller {
  mask = 0;
  /** Initialization words still to come at the data port. */
  wordsLeft = 0;

  command(value: number): void {
    // Other commands end interrupts, of which there are none, or choose IRR or ISR to be read, which are both empty.
    if ((value & INITIALIZE) === 0) return;
    this.mask = 0;
    this.wordsLeft = 1 + ((value & 2) === 0 ? 1 : 0) + (value & 1);
  }

  data(value: number): void {
    if (this.wordsLeft > 0) this.wordsLeft--;
    else this.mask = value;
  }
}

export class Pic8259 implements PortDevice {
  readonly ports = [[MASTER, MASTER + 1], [SLAVE, SLAVE + 1]] as const;
  readonly byteWide = true;
  readonly #master = new Controller();
  readonly #slave = new Controller();

  readPort(port: number): number {
    return (port & 1) === 0 ? 0 : this.#at(port).mask;
  }

  writePort(port: number, _size: number, value: number): void {
    const controller = this.#at(port);
    if ((port & 1) === 0) controller.command(value);
    else controller.data(value);
  }

  save(): Plain {
    return [this.#master, this.#slave].map(({ mask, wordsLeft }) => [mask, wordsLeft]);
  }

  restore(state: Plain): void {
    const [master, slave] = state as readonly (readonly [number, number])[];
    [this.#master.mask, this.#master.wordsLeft] = master!;
    [this.#slave.mask, this.#slave.wordsLeft] = slave!;
  }

  #at(port: number): Controller {
    return port < SLAVE ? this.#master : this.#slave;
  }
}
