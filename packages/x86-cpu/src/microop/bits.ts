import { I64 } from '../wasm/opcodes.js';
import type { Local, WasmWriter } from '../wasm/writer.js';
import type { Size } from './flags.js';

/** All ones in a size; -1 stands for 64 of them. */
export function onesOf(size: Size): number {
  return size === 8 ? -1 : 2 ** (8 * size) - 1;
}

/** Cuts the i64 on the stack to a size. */
export function cut(w: WasmWriter, size: Size): void {
  if (size < 8) w.i64(onesOf(size)).op(I64.and);
}

/** Sign-extends the i64 on the stack from a size. */
export function signExtend(w: WasmWriter, size: Size): void {
  if (size === 1) w.op(I64.extend8S);
  else if (size === 2) w.op(I64.extend16S);
  else if (size === 4) w.op(I64.extend32S);
}

/** Pushes a local, sign-extended from a size. */
export function signedOf(w: WasmWriter, local: Local, size: Size): void {
  w.get(local);
  signExtend(w, size);
}

/** Moves the top bit of a size to bit 0, all else away. */
export function topBit(w: WasmWriter, size: Size): void {
  w.i64(8 * size - 1).op(I64.shrU);
  if (size < 8) w.i64(1).op(I64.and);
}

/** Moves bit 0 of the i64 on the stack (0 or 1) to a flag's position. */
export function toFlag(w: WasmWriter, flag: number): void {
  if (flag > 1) w.i64(Math.log2(flag)).op(I64.shl);
}
