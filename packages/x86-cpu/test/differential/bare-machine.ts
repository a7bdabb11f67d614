import { createMachineMemory, createProcessor, ExitKind, stateLayout, Stop } from '../../src/index.js';
import type { Processor } from '../../src/index.js';
import { CODE, CODE_WINDOW, DATA, FS_BASE, GS_BASE, PAGE } from './address-map.js';

const HLT = 0xf4;

/** Where things lie in guest physical memory. */
const TABLES = 0x1000;
const CODE_GPA = 0x1_0000;
const DATA_GPA = 0x2_0000;

/** The instruction as it lies in the code page: with HLTs behind it. */
export function codeWindow(code: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(CODE_WINDOW).fill(HLT);
  bytes.set(code);
  return bytes;
}

/** A processor in 64-bit mode at privilege 0, with code at CODE and data at DATA, that intercepts every exception. The code can be read but not written. */
export class BareMachine {
  readonly #memory = createMachineMemory({ contexts: 1, ramBytes: 0x10_0000, permissionTables: 1, hostPages: 0 });
  readonly #processor: Processor = createProcessor(this.#memory, { index: 0, permissionTable: 0, vendor: 'intel', clock: { ticks: () => 0 } });
  readonly #state = new DataView(this.#processor.bytes.buffer, this.#processor.bytes.byteOffset, this.#processor.bytes.byteLength);

  constructor() {
    this.#mapPages();
    const processor = this.#processor;
    this.#write(stateLayout.cr0, 0x8001_0033n);
    this.#write(stateLayout.cr3, BigInt(TABLES));
    this.#write(stateLayout.cr4, 0x20n);
    this.#write(stateLayout.efer, 0xd00n);
    for (let segment = 0; segment < 6; segment++) {
      const attributes = segment === 1 ? 0xa09b : 0xc093;
      this.#segment(segment, attributes, segment === 4 ? FS_BASE : segment === 5 ? GS_BASE : 0n);
    }
    processor.intercepts.exceptions = -1;
    processor.interceptsChanged();
    processor.stateChanged();
  }

  #mapPages(): void {
    const entry = (gpa: number, value: number): void => {
      this.#memory.writeRam32(gpa, value);
    };
    const [pml4, pdpt, pd, dataTable, codeTable] = [TABLES, TABLES + PAGE, TABLES + 2 * PAGE, TABLES + 3 * PAGE, TABLES + 4 * PAGE];
    entry(pml4, pdpt | 3);
    entry(pdpt, pd | 3);
    entry(pd + Number(DATA >> 21n) * 8, dataTable | 3);
    entry(pd + Number(CODE >> 21n) * 8, codeTable | 3);
    for (let page = 0; page < 3; page++) entry(dataTable + page * 8, (DATA_GPA + page * PAGE) | (page < 2 ? 3 : 1));
    entry(codeTable, CODE_GPA | 1);
  }

  #write(offset: number, value: bigint): void {
    this.#state.setBigUint64(offset, value, true);
  }

  #segment(number: number, attributes: number, base: bigint): void {
    const at = stateLayout.segments + number * stateLayout.segmentSize;
    this.#state.setUint16(at, 8 * (number + 1), true);
    this.#state.setUint16(at + 2, attributes, true);
    this.#state.setUint32(at + 4, 0xffff_ffff, true);
    this.#write(at + 8, base);
  }

  /** Puts RIP on an instruction. */
  prepare(code: Uint8Array, registers: readonly bigint[], flags: bigint): void {
    this.#memory.writeRam(CODE_GPA, codeWindow(code));
    registers.forEach((value, i) => this.#write(stateLayout.gpr + 8 * i, value));
    this.#write(stateLayout.rip, CODE);
    this.#processor.writeRflags(Number(flags));
  }

  writeData(bytes: Uint8Array): void {
    this.#memory.writeRam(DATA_GPA, bytes);
  }

  readData(out: Uint8Array): void {
    this.#memory.readRam(DATA_GPA, out);
  }

  get registers(): bigint[] {
    return Array.from({ length: 16 }, (_, i) => this.#state.getBigUint64(stateLayout.gpr + 8 * i, true));
  }

  get rip(): bigint {
    return this.#state.getBigUint64(stateLayout.rip, true);
  }

  get flags(): bigint {
    return BigInt(this.#processor.readRflags());
  }

  /** Retires one instruction or REP iteration; the vector of the exception that kept it from doing so, else -1. */
  step(): number {
    const retired = this.#processor.retired;
    const stop = this.#processor.run(1);
    if (stop === Stop.Intercept && this.#processor.exit.kind === ExitKind.Exception && this.#processor.retired === retired) return this.#processor.exit.vector;
    if (this.#processor.retired !== retired + 1) throw new Error(`stop ${stop} after ${this.#processor.retired - retired} instructions`);
    return -1;
  }
}
