/** AES and SHA rounds (SDM volume 2; FIPS 197 and 180-4). */
import type { SimdMnemonic } from '../decode/simd-op.js';
import type { ImmediateFunction } from './immediate.js';
import type { VectorFunction } from './integer.js';
import type { Lanes } from './lanes.js';

/** Doubles in GF(2^8) modulo x^8 + x^4 + x^3 + x + 1. */
const double = (x: number): number => ((x << 1) ^ (x & 0x80 ? 0x11b : 0)) & 0xff;

function multiply(x: number, y: number): number {
  let product = 0;
  for (let power = x, rest = y; rest > 0; rest >>= 1, power = double(power)) if (rest & 1) product ^= power;
  return product;
}

/** The S-box: the inverse, then an affine map (FIPS 197, 5.1.1). */
const SBOX = new Uint8Array(256);
const INVERSE_SBOX = new Uint8Array(256);
for (let x = 0; x < 256; x++) {
  let inverse = 0;
  for (let y = 1; y < 256 && inverse === 0; y++) if (multiply(x, y) === 1) inverse = y;
  let value = 0x63;
  for (let i = 0; i < 5; i++) value ^= ((inverse << i) | (inverse >> (8 - i))) & 0xff;
  SBOX[x] = value;
  INVERSE_SBOX[value] = x;
}

const state = new Uint8Array(16);

/** Column-wise: byte 4c + r is row r of column c. Row r moves r places. */
function substituteAndShift(a: Lanes, box: Uint8Array, direction: 1 | -1): void {
  for (let i = 0; i < 16; i++) state[i] = box[a.u8[(i + 4 * direction * (i & 3) + 16) & 15]!]!;
  a.u8.set(state);
}

function mixColumns(a: Lanes, coefficients: readonly number[]): void {
  state.set(a.u8);
  for (let i = 0; i < 16; i++) {
    let sum = 0;
    for (let k = 0; k < 4; k++) sum ^= multiply(state[(i & 12) | ((i + k) & 3)]!, coefficients[k]!);
    a.u8[i] = sum;
  }
}

const MIX = [2, 3, 1, 1] as const;
const UNMIX = [14, 11, 13, 9] as const;

function addKey(a: Lanes, b: Lanes): void {
  for (let i = 0; i < 4; i++) a.i32[i]! ^= b.i32[i]!;
}

const rotl = (x: number, n: number): number => (x << n) | (x >>> (32 - n));
const rotr = (x: number, n: number): number => (x >>> n) | (x << (32 - n));
const bytesThroughBox = (x: number): number => SBOX[x & 0xff]! | (SBOX[(x >>> 8) & 0xff]! << 8) | (SBOX[(x >>> 16) & 0xff]! << 16) | (SBOX[x >>> 24]! << 24);

const SHA1 = [
  { k: 0x5a827999, f: (b: number, c: number, d: number): number => (b & c) ^ (~b & d) },
  { k: 0x6ed9eba1, f: (b: number, c: number, d: number): number => b ^ c ^ d },
  { k: 0x8f1bbcdc, f: (b: number, c: number, d: number): number => (b & c) ^ (b & d) ^ (c & d) },
  { k: 0xca62c1d6, f: (b: number, c: number, d: number): number => b ^ c ^ d },
] as const;

export const cryptoFunctions: Partial<Record<SimdMnemonic, VectorFunction>> = {
  aesenc: (a, b) => {
    substituteAndShift(a, SBOX, 1);
    mixColumns(a, MIX);
    addKey(a, b);
  },
  aesenclast: (a, b) => {
    substituteAndShift(a, SBOX, 1);
    addKey(a, b);
  },
  aesdec: (a, b) => {
    substituteAndShift(a, INVERSE_SBOX, -1);
    mixColumns(a, UNMIX);
    addKey(a, b);
  },
  aesdeclast: (a, b) => {
    substituteAndShift(a, INVERSE_SBOX, -1);
    addKey(a, b);
  },
  aesimc: (a, b) => {
    a.u8.set(b.u8);
    mixColumns(a, UNMIX);
  },
  sha1nexte: (a, b) => {
    const e = rotl(a.i32[3]!, 30);
    a.i32.set(b.i32);
    a.i32[3] = (a.i32[3]! + e) | 0;
  },
  sha1msg1: (a, b) => {
    const [a0, a1, a2, a3] = [a.i32[0]!, a.i32[1]!, a.i32[2]!, a.i32[3]!];
    a.i32.set([b.i32[2]! ^ a0, b.i32[3]! ^ a1, a0 ^ a2, a1 ^ a3]);
  },
  sha1msg2: (a, b) => {
    const w16 = rotl(a.i32[3]! ^ b.i32[2]!, 1);
    const w17 = rotl(a.i32[2]! ^ b.i32[1]!, 1);
    const w18 = rotl(a.i32[1]! ^ b.i32[0]!, 1);
    const w19 = rotl(a.i32[0]! ^ w16, 1);
    a.i32.set([w19, w18, w17, w16]);
  },
  sha256msg1: (a, b) => {
    const w = [a.i32[0]!, a.i32[1]!, a.i32[2]!, a.i32[3]!, b.i32[0]!];
    for (let i = 0; i < 4; i++) a.i32[i] = (w[i]! + (rotr(w[i + 1]!, 7) ^ rotr(w[i + 1]!, 18) ^ (w[i + 1]! >>> 3))) | 0;
  },
  sha256msg2: (a, b) => {
    const sigma = (x: number): number => rotr(x, 17) ^ rotr(x, 19) ^ (x >>> 10);
    const w16 = (a.i32[0]! + sigma(b.i32[2]!)) | 0;
    const w17 = (a.i32[1]! + sigma(b.i32[3]!)) | 0;
    a.i32.set([w16, w17, (a.i32[2]! + sigma(w16)) | 0, (a.i32[3]! + sigma(w17)) | 0]);
  },
};

/** SHA256RNDS2: two rounds, with W + K in the low half of XMM0. */
export function sha256Rounds(dest: Lanes, source: Lanes, words: Lanes): void {
  let [h, g, d, c] = [dest.i32[0]!, dest.i32[1]!, dest.i32[2]!, dest.i32[3]!];
  let [f, e, b, a] = [source.i32[0]!, source.i32[1]!, source.i32[2]!, source.i32[3]!];
  for (let round = 0; round < 2; round++) {
    const t1 = (h + ((e & f) ^ (~e & g)) + (rotr(e, 6) ^ rotr(e, 11) ^ rotr(e, 25)) + words.i32[round]!) | 0;
    const t2 = (((a & b) ^ (a & c) ^ (b & c)) + (rotr(a, 2) ^ rotr(a, 13) ^ rotr(a, 22))) | 0;
    [h, g, f, e, d, c, b, a] = [g, f, e, (d + t1) | 0, c, b, a, (t1 + t2) | 0];
  }
  dest.i32.set([f, e, b, a]);
}

export const cryptoImmediates: Partial<Record<SimdMnemonic, ImmediateFunction>> = {
  aeskeygenassist: (a, b, _, imm) => {
    const x1 = bytesThroughBox(b.i32[1]!);
    const x3 = bytesThroughBox(b.i32[3]!);
    a.i32.set([x1, rotr(x1, 8) ^ imm, x3, rotr(x3, 8) ^ imm]);
  },
  sha1rnds4: (a, b, _, imm) => {
    const { k, f } = SHA1[imm & 3]!;
    let [va, vb, vc, vd, e] = [a.i32[3]!, a.i32[2]!, a.i32[1]!, a.i32[0]!, 0];
    for (let round = 0; round < 4; round++) {
      const t = (f(vb, vc, vd) + rotl(va, 5) + b.i32[3 - round]! + e + k) | 0;
      [va, vb, vc, vd, e] = [t, va, rotl(vb, 30), vc, vd];
    }
    a.i32.set([vd, vc, vb, va]);
  },
};
