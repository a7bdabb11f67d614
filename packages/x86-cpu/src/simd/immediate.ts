/** Packed integers with an immediate (SDM volume 2). */
import type { SimdMnemonic } from '../decode/simd-op.js';
import type { Lanes } from './lanes.js';

/** Changes `a` by `b` and the immediate byte; `n` is the bytes of the vectors. */
export type ImmediateFunction = (a: Lanes, b: Lanes, n: number, imm: number) => void;

const old = new Uint8Array(16);

/** Lane i of the result is lane (imm >> 2i) & 3 of the four. */
function shuffleWords(into: Uint16Array, from: Uint16Array, start: number, imm: number): void {
  for (let i = 0; i < 4; i++) into[start + i] = from[start + ((imm >> (2 * i)) & 3)]!;
}

/** Where bit i of the mask is set, lane i of `b`. */
function blend(width: number): ImmediateFunction {
  return (a, b, _, imm) => {
    for (let i = 0; i < 16; i++) if ((imm >> (i / width)) & 1) a.u8[i] = b.u8[i]!;
  };
}

/** Carry-less product of two 64-bit numbers into `a`. */
function carryLess(a: Lanes, x: bigint, y: bigint): void {
  let product = 0n;
  for (let i = 0n; i < 64n; i++) if ((y >> i) & 1n) product ^= x << i;
  a.u64[0] = product;
  a.u64[1] = product >> 64n;
}

export const immediateFunctions: Partial<Record<SimdMnemonic, ImmediateFunction>> = {
  pshufw: (a, b, _, imm) => shuffleWords(a.u16, b.u16, 0, imm),
  pshuflw: (a, b, _, imm) => {
    a.u8.set(b.u8);
    shuffleWords(a.u16, b.u16, 0, imm);
  },
  pshufhw: (a, b, _, imm) => {
    a.u8.set(b.u8);
    shuffleWords(a.u16, b.u16, 4, imm);
  },
  pshufd: (a, b, _, imm) => {
    for (let i = 0; i < 4; i++) a.i32[i] = b.i32[(imm >> (2 * i)) & 3]!;
  },
  shufps: (a, b, _, imm) => {
    const first = a.i32[imm & 3]!;
    const second = a.i32[(imm >> 2) & 3]!;
    a.i32[2] = b.i32[(imm >> 4) & 3]!;
    a.i32[3] = b.i32[(imm >> 6) & 3]!;
    a.i32[0] = first;
    a.i32[1] = second;
  },
  shufpd: (a, b, _, imm) => {
    a.u64[0] = a.u64[imm & 1]!;
    a.u64[1] = b.u64[(imm >> 1) & 1]!;
  },
  blendps: blend(4),
  blendpd: blend(8),
  pblendw: blend(2),
  palignr: (a, b, n, imm) => {
    old.set(a.u8);
    for (let i = 0; i < n; i++) {
      const at = i + imm;
      a.u8[i] = at < n ? b.u8[at]! : at < 2 * n ? old[at - n]! : 0;
    }
  },
  mpsadbw: (a, b, _, imm) => {
    old.set(a.u8);
    const from = (imm & 4) === 0 ? 0 : 4;
    const block = 4 * (imm & 3);
    for (let i = 0; i < 8; i++) {
      let sum = 0;
      for (let k = 0; k < 4; k++) sum += Math.abs(old[from + i + k]! - b.u8[block + k]!);
      a.u16[i] = sum;
    }
  },
  pclmulqdq: (a, b, _, imm) => carryLess(a, a.u64[imm & 1]!, b.u64[(imm >> 4) & 1]!),
};
