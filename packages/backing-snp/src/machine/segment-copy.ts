/** Segments between a VMSA and the processor, whose access rights lie in another order (APM volume 2, 15.5.1). One by one, as in register-copy.ts. */
import { accessRightsOf, vmsaAttributesOf } from '../abi/index.js';
import { BASE_WORD, LIMIT_WORD, cpu, save } from './register-words.js';

/** Copies one from a VMSA's words into the processor's; 0 when it was equal before. */
function load(to: Int32Array, at: number, from: Int32Array, word: number): number {
  const selector = from[word]!;
  const record = (selector & 0xffff) | (accessRightsOf(selector >>> 16) << 16);
  const limit = from[word + LIMIT_WORD]!;
  const baseLo = from[word + BASE_WORD]!;
  const baseHi = from[word + BASE_WORD + 1]!;
  const difference = (to[at]! ^ record) | (to[at + LIMIT_WORD]! ^ limit) | (to[at + BASE_WORD]! ^ baseLo) | (to[at + BASE_WORD + 1]! ^ baseHi);
  to[at] = record;
  to[at + LIMIT_WORD] = limit;
  to[at + BASE_WORD] = baseLo;
  to[at + BASE_WORD + 1] = baseHi;
  return difference;
}

function store(to: Int32Array, at: number, from: Int32Array, word: number): void {
  const record = from[word]!;
  to[at] = (record & 0xffff) | (vmsaAttributesOf(record >>> 16) << 16);
  to[at + LIMIT_WORD] = from[word + LIMIT_WORD]!;
  to[at + BASE_WORD] = from[word + BASE_WORD]!;
  to[at + BASE_WORD + 1] = from[word + BASE_WORD + 1]!;
}

/** From a VMSA's words into the processor's; 0 when all were equal before. */
export function loadSegments(to: Int32Array, from: Int32Array): number {
  return (
    load(to, cpu.es, from, save.es) |
    load(to, cpu.cs, from, save.cs) |
    load(to, cpu.ss, from, save.ss) |
    load(to, cpu.ds, from, save.ds) |
    load(to, cpu.fs, from, save.fs) |
    load(to, cpu.gs, from, save.gs) |
    load(to, cpu.ldtr, from, save.ldtr) |
    load(to, cpu.tr, from, save.tr)
  );
}

/** From the processor's words into a VMSA's. */
export function storeSegments(to: Int32Array, from: Int32Array): void {
  store(to, save.es, from, cpu.es);
  store(to, save.cs, from, cpu.cs);
  store(to, save.ss, from, cpu.ss);
  store(to, save.ds, from, cpu.ds);
  store(to, save.fs, from, cpu.fs);
  store(to, save.gs, from, cpu.gs);
  store(to, save.ldtr, from, cpu.ldtr);
  store(to, save.tr, from, cpu.tr);
}
