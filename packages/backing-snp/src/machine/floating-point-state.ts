/** The x87 and SSE registers of a VMSA (APM volume 2, table B-4, from 0x400) and of the processor that runs it. */
import { vmsaLayout } from '@paravisor/hcl-protocol';
import type { Vmsa } from '@paravisor/hcl-protocol';
import { stateLayout } from '@paravisor/x86-cpu';
import type { Processor } from '@paravisor/x86-cpu';

const { xmm, x87Registers } = vmsaLayout.fields;
const WORD = 4;
const HALF = 2;
const X87_COUNT = 8;
/** Bytes of an x87 register, and from one to the next in the processor. In the VMSA they are packed, by number (an assumption: not from the top). */
const X87_BYTES = 10;
const X87_STRIDE = 16;

export class FloatingPointState {
  readonly #vmsa: Vmsa;
  readonly #xmm: { readonly vmsa: Int32Array; readonly processor: Int32Array };
  /** The x87 registers in halves of a word. */
  readonly #x87: { readonly vmsa: Uint16Array; readonly processor: Uint16Array };
  /** The processor's state in halves of a word, and in words. */
  readonly #halves: Uint16Array;
  readonly #words: Int32Array;

  constructor(page: Uint8Array, vmsa: Vmsa, { bytes }: Processor) {
    const { buffer, byteOffset, byteLength } = bytes;
    this.#vmsa = vmsa;
    this.#halves = new Uint16Array(buffer, byteOffset, byteLength / HALF);
    this.#words = new Int32Array(buffer, byteOffset, byteLength / WORD);
    this.#xmm = {
      vmsa: new Int32Array(page.buffer, page.byteOffset + xmm.offset, xmm.size / WORD),
      processor: new Int32Array(buffer, byteOffset + stateLayout.xmm, xmm.size / WORD),
    };
    this.#x87 = {
      vmsa: new Uint16Array(page.buffer, page.byteOffset + x87Registers.offset, x87Registers.size / HALF),
      processor: new Uint16Array(buffer, byteOffset + stateLayout.x87, (X87_COUNT * X87_STRIDE) / HALF),
    };
  }

  /** From the VMSA into the processor. */
  load(): void {
    const vmsa = this.#vmsa;
    this.#xmm.processor.set(this.#xmm.vmsa);
    for (let to = 0, from = 0; from < this.#x87.vmsa.length; to += X87_STRIDE / HALF) {
      for (let half = 0; half < X87_BYTES / HALF; half++) this.#x87.processor[to + half] = this.#x87.vmsa[from++]!;
    }
    this.#words[stateLayout.mxcsr / WORD] = vmsa.mxcsr;
    this.#halves[stateLayout.x87Control / HALF] = vmsa.x87Fcw;
    this.#halves[stateLayout.x87Status / HALF] = vmsa.x87Fsw;
    this.#halves[stateLayout.x87Tag / HALF] = vmsa.x87Ftw;
  }

  /** From the processor into the VMSA. */
  store(): void {
    const vmsa = this.#vmsa;
    this.#xmm.vmsa.set(this.#xmm.processor);
    for (let to = 0, from = 0; to < this.#x87.vmsa.length; from += X87_STRIDE / HALF) {
      for (let half = 0; half < X87_BYTES / HALF; half++) this.#x87.vmsa[to++] = this.#x87.processor[from + half]!;
    }
    vmsa.mxcsr = this.#words[stateLayout.mxcsr / WORD]!;
    vmsa.x87Fcw = this.#halves[stateLayout.x87Control / HALF]!;
    vmsa.x87Fsw = this.#halves[stateLayout.x87Status / HALF]!;
    vmsa.x87Ftw = this.#halves[stateLayout.x87Tag / HALF]!;
  }
}
