/** Instructions whose work is not arithmetic: done in TypeScript, one at a time, between runs of the interpreter. */
import { bitManipulation } from './bit-manipulation.js';
import { controlRegisters } from './control-registers.js';
import { decimal } from './decimal.js';
import { farCalls } from './far-calls.js';
import { fastCalls } from './fast-calls.js';
import { frames } from './frames.js';
import { msrs } from './msr.js';
import type { SystemInstruction } from './outcome.js';
import { portIo } from './port-io.js';
import { processorState } from './processor-state.js';
import { returns } from './returns.js';
import { segments } from './segments.js';
import { strings } from './strings.js';
import { transfers } from './transfers.js';
import { translations } from './translations.js';
import { wideExchange } from './wide-exchange.js';
import { ALL_OP_COUNT } from '../decode/simd-op.js';
import { simdInstructions } from '../simd/index.js';
import { x87Instructions } from '../x87/index.js';

export { Outcome } from './outcome.js';

/** By `Op`; undefined are instructions that this processor does not have, which are #UD. */
export const systemInstructions: readonly (SystemInstruction | undefined)[] = ((): (SystemInstruction | undefined)[] => {
  const table = new Array<SystemInstruction | undefined>(ALL_OP_COUNT).fill(undefined);
  for (const family of [bitManipulation, controlRegisters, decimal, farCalls, fastCalls, frames, msrs, portIo, processorState, returns, segments, simdInstructions, strings, transfers, translations, wideExchange, x87Instructions]) {
    for (const [op, instruction] of family) table[op] = instruction;
  }
  return table;
})();
