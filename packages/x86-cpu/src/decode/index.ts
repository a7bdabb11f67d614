/** Bytes to decoded instructions: which instruction it is and where its operands are, not what it does. */
export { decode } from './decode.js';
export * from './instruction.js';
export * from './op.js';
export { ALL_OP_COUNT, simdOp, SIMD_OPS } from './simd-op.js';
export type { SimdMnemonic } from './simd-op.js';
