/** A lower VTL's registers on their way between the run page and the processor that runs it. */
import { stateLayout } from '@paravisor/x86-cpu';
import type { Processor } from '@paravisor/x86-cpu';
import { XMM_OFFSET, vtlStateLayout, vtlStateOffset, xmmLayout } from '../abi/context.js';
import type { VtlState } from '../abi/context.js';

const WORD = 4;
const { fields } = vtlStateLayout;

/** Where the processor keeps `vtlMsrs`. */
const processorMsrs = (['sysenterCs', 'sysenterEsp', 'sysenterEip', 'star', 'lstar', 'cstar', 'sfmask', 'kernelGsBase', 'tscAux'] as const).map((name) => stateLayout[name]);

/** [offset in the VTL's state, offset in the processor's, bytes]: copied as they are. */
const plainParts = [
  [fields.gpr.offset, stateLayout.gpr, fields.gpr.size],
  [fields.rip.offset, stateLayout.rip, 8],
  [fields.cr2.offset, stateLayout.cr2, 8],
  [fields.cr8.offset, stateLayout.cr8, 8],
  [fields.pat.offset, stateLayout.pat, 8],
  [fields.gdtrBase.offset, stateLayout.gdtrBase, 8],
  [fields.idtrBase.offset, stateLayout.idtrBase, 8],
  [fields.gdtrLimit.offset, stateLayout.gdtrLimit, 4],
  [fields.idtrLimit.offset, stateLayout.idtrLimit, 4],
  [fields.interruptibility.offset, stateLayout.interruptibility, 4],
  ...processorMsrs.map((offset, index) => [fields.msrs.offset + 8 * index, offset, 8] as const),
] as const;

/** The same for what decides the processor's mode and translations: after a change the processor is told. */
const modeParts = [
  [fields.cr0.offset, stateLayout.cr0, 8],
  [fields.cr3.offset, stateLayout.cr3, 8],
  [fields.cr4.offset, stateLayout.cr4, 8],
  [fields.efer.offset, stateLayout.efer, 8],
  [fields.segments.offset, stateLayout.segments, fields.segments.size],
] as const;

/** Pairs of words: [in the state, in the processor]. */
function wordPairs(parts: readonly (readonly [number, number, number])[]): Int32Array {
  return Int32Array.from(parts.flatMap(([from, to, bytes]) => Array.from({ length: bytes / WORD }, (_, index) => [from / WORD + index, to / WORD + index])).flat());
}

const plainWords = wordPairs(plainParts);
const modeWords = wordPairs(modeParts);

const XMM = stateLayout.xmm / WORD;

export class GuestState {
  readonly #words: Int32Array;
  readonly #xmm: Int32Array;
  readonly #state: VtlState;
  readonly #processor: Processor;

  constructor(runPage: Uint8Array, vtl: number, state: VtlState, processor: Processor) {
    this.#words = new Int32Array(runPage.buffer, runPage.byteOffset + vtlStateOffset(vtl), vtlStateLayout.size / WORD);
    this.#xmm = new Int32Array(runPage.buffer, runPage.byteOffset + XMM_OFFSET, xmmLayout.size / WORD);
    this.#state = state;
    this.#processor = processor;
  }

  /** At an entry. */
  load(): void {
    const { i32 } = this.#processor;
    const words = this.#words;
    for (let i = 0; i < plainWords.length; i += 2) i32[plainWords[i + 1]!] = words[plainWords[i]!]!;
    i32.set(this.#xmm, XMM);
    let difference = 0;
    for (let i = 0; i < modeWords.length; i += 2) {
      const value = words[modeWords[i]!]!;
      difference |= i32[modeWords[i + 1]!]! ^ value;
      i32[modeWords[i + 1]!] = value;
    }
    if (difference !== 0) this.#processor.stateChanged();
    this.#processor.writeRflags(this.#state.rflags.lo);
  }

  /** At an exit. */
  store(): void {
    const { i32 } = this.#processor;
    const words = this.#words;
    for (let i = 0; i < plainWords.length; i += 2) words[plainWords[i]!] = i32[plainWords[i + 1]!]!;
    for (let i = 0; i < modeWords.length; i += 2) words[modeWords[i]!] = i32[modeWords[i + 1]!]!;
    for (let i = 0; i < this.#xmm.length; i++) this.#xmm[i] = i32[XMM + i]!;
    this.#state.rflags.setParts(this.#processor.readRflags(), 0);
  }
}
