/** The x87 and SSE registers of a VMSA (APM volume 2, table B-4, from 0x400) and of the processor that runs it. */
import { copy16Words, vmsaLayout } from '@paravisor/hcl-protocol';
import { stateLayout } from '@paravisor/x86-cpu';
import type { Processor } from '@paravisor/x86-cpu';

const { xmm, x87Registers, mxcsr, x87Ftw, x87Fsw, x87Fcw } = vmsaLayout.fields;
const WORD = 4;
const HALF = 2;
/**
 * x87 registers two at a time: 20 bytes, which are five words, in the VMSA, where they are packed by number (an assumption: not from the top); two
 * records of four words in the processor, of which ten bytes count.
 */
const VMSA_PAIR = 5;
const CPU_PAIR = 8;
const LOW = 0xffff;

/** Words and halves of words: in the VMSA, and in the processor's state. */
const save = {
  xmm: xmm.offset / WORD,
  x87: x87Registers.offset / WORD,
  mxcsr: mxcsr.offset / WORD,
  control: x87Fcw.offset / HALF,
  status: x87Fsw.offset / HALF,
  tag: x87Ftw.offset / HALF,
} as const;
const cpu = {
  xmm: stateLayout.xmm / WORD,
  x87: stateLayout.x87 / WORD,
  mxcsr: stateLayout.mxcsr / WORD,
  control: stateLayout.x87Control / HALF,
  status: stateLayout.x87Status / HALF,
  tag: stateLayout.x87Tag / HALF,
} as const;

/** A structure's bytes as words and as halves of words. */
interface Cells {
  readonly words: Int32Array;
  readonly halves: Uint16Array;
}

const cellsOf = ({ buffer, byteOffset, byteLength }: Uint8Array): Cells => ({
  words: new Int32Array(buffer, byteOffset, byteLength / WORD),
  halves: new Uint16Array(buffer, byteOffset, byteLength / HALF),
});

/** A pair of x87 registers from the VMSA into the processor. */
function unpack(to: Int32Array, at: number, from: Int32Array, packed: number): void {
  const middle = from[packed + 2]!;
  const fourth = from[packed + 3]!;
  const last = from[packed + 4]!;
  to[at] = from[packed]!;
  to[at + 1] = from[packed + 1]!;
  to[at + 2] = (to[at + 2]! & ~LOW) | (middle & LOW);
  to[at + 4] = (middle >>> 16) | (fourth << 16);
  to[at + 5] = (fourth >>> 16) | (last << 16);
  to[at + 6] = (to[at + 6]! & ~LOW) | (last >>> 16);
}

/** The other way. */
function pack(to: Int32Array, packed: number, from: Int32Array, at: number): void {
  const second = from[at + 4]!;
  const third = from[at + 5]!;
  to[packed] = from[at]!;
  to[packed + 1] = from[at + 1]!;
  to[packed + 2] = (from[at + 2]! & LOW) | (second << 16);
  to[packed + 3] = (second >>> 16) | (third << 16);
  to[packed + 4] = (third >>> 16) | (from[at + 6]! << 16);
}

export class FloatingPointState {
  readonly #save: Cells;
  readonly #cpu: Cells;

  constructor(page: Uint8Array, { bytes }: Processor) {
    this.#save = cellsOf(page);
    this.#cpu = cellsOf(bytes);
  }

  /** From the VMSA into the processor. */
  load(): void {
    const { words: from, halves: fromHalves } = this.#save;
    const { words: to, halves: toHalves } = this.#cpu;
    copy16Words(to, cpu.xmm, from, save.xmm);
    copy16Words(to, cpu.xmm + 16, from, save.xmm + 16);
    copy16Words(to, cpu.xmm + 32, from, save.xmm + 32);
    copy16Words(to, cpu.xmm + 48, from, save.xmm + 48);
    unpack(to, cpu.x87, from, save.x87);
    unpack(to, cpu.x87 + CPU_PAIR, from, save.x87 + VMSA_PAIR);
    unpack(to, cpu.x87 + 2 * CPU_PAIR, from, save.x87 + 2 * VMSA_PAIR);
    unpack(to, cpu.x87 + 3 * CPU_PAIR, from, save.x87 + 3 * VMSA_PAIR);
    to[cpu.mxcsr] = from[save.mxcsr]!;
    toHalves[cpu.control] = fromHalves[save.control]!;
    toHalves[cpu.status] = fromHalves[save.status]!;
    toHalves[cpu.tag] = fromHalves[save.tag]!;
  }

  /** From the processor into the VMSA. */
  store(): void {
    const { words: to, halves: toHalves } = this.#save;
    const { words: from, halves: fromHalves } = this.#cpu;
    copy16Words(to, save.xmm, from, cpu.xmm);
    copy16Words(to, save.xmm + 16, from, cpu.xmm + 16);
    copy16Words(to, save.xmm + 32, from, cpu.xmm + 32);
    copy16Words(to, save.xmm + 48, from, cpu.xmm + 48);
    pack(to, save.x87, from, cpu.x87);
    pack(to, save.x87 + VMSA_PAIR, from, cpu.x87 + CPU_PAIR);
    pack(to, save.x87 + 2 * VMSA_PAIR, from, cpu.x87 + 2 * CPU_PAIR);
    pack(to, save.x87 + 3 * VMSA_PAIR, from, cpu.x87 + 3 * CPU_PAIR);
    to[save.mxcsr] = from[cpu.mxcsr]!;
    toHalves[save.control] = fromHalves[cpu.control]!;
    toHalves[save.status] = fromHalves[cpu.status]!;
    toHalves[save.tag] = fromHalves[cpu.tag]!;
  }
}
