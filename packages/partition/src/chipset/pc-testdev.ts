/** QEMU's `pc-testdev`: registers that keep what is written, in every width, and ports that drive interrupt lines. */
import type { Plain, ReadonlyU64, U64 } from '@paravisor/hcl-protocol';
import type { ChipsetDevice, PortDevice } from './chipset.js';
import type { InterruptLines } from './interrupt-lines.js';

const DATA = 0xe0;
/** Takes a page off the guest for a moment, in QEMU: nothing that a guest could see. */
const FLUSH = 0xe4;
const DATA_BY_BYTES = 0xe8;
const LINES = 0x2000;
const LINE_COUNT = 24;
const MEMORY = 0xff000000;
const MEMORY_BYTES = 0x10000;

export class PcTestdev implements ChipsetDevice, PortDevice {
  readonly first = MEMORY;
  readonly last = MEMORY + MEMORY_BYTES - 1;
  readonly ports = [[DATA, DATA_BY_BYTES + 3], [LINES, LINES + LINE_COUNT - 1]] as const;
  readonly byteWide = false;
  readonly #lines: InterruptLines;
  readonly #data = new Uint8Array(4);
  readonly #memory = new Uint8Array(MEMORY_BYTES);

  constructor(lines: InterruptLines) {
    this.#lines = lines;
  }

  readPort(port: number, size: number): number {
    if (port >= LINES || (port >= FLUSH && port < DATA_BY_BYTES)) return size === 4 ? -1 : (1 << (8 * size)) - 1;
    let value = 0;
    for (let i = 0; i < size; i++) value |= this.#data[(port + i) & 3]! << (8 * i);
    return value;
  }

  writePort(port: number, size: number, value: number): void {
    if (port >= LINES) this.#lines.set(port - LINES, value !== 0);
    else if (port < FLUSH || port >= DATA_BY_BYTES) for (let i = 0; i < size; i++) this.#data[(port + i) & 3] = value >>> (8 * i);
  }

  read(gpa: number, size: number, out: U64): void {
    out.setParts(this.#word(gpa, Math.min(size, 4)), size === 8 ? this.#word(gpa + 4, 4) : 0);
  }

  write(gpa: number, size: number, value: ReadonlyU64): void {
    for (let i = 0; i < size; i++) {
      const at = gpa - MEMORY + i;
      if (at < MEMORY_BYTES) this.#memory[at] = (i < 4 ? value.lo : value.hi) >>> (8 * (i & 3));
    }
  }

  /** Memory that holds something, by address: most of it never does. */
  save(): Plain {
    return { data: [...this.#data], memory: [...this.#memory.entries()].filter(([, byte]) => byte !== 0) };
  }

  restore(state: Plain): void {
    const { data, memory } = state as { data: number[]; memory: [number, number][] };
    this.#data.set(data);
    this.#memory.fill(0);
    for (const [at, byte] of memory) this.#memory[at] = byte;
  }

  #word(gpa: number, size: number): number {
    let value = 0;
    for (let i = 0; i < size; i++) value |= (this.#memory[gpa - MEMORY + i] ?? 0xff) << (8 * i);
    return value;
  }
}
