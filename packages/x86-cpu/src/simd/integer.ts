/** Packed integers: MMX, SSE2 to SSE4.2 (SDM volume 2). `n` is the bytes of the vectors, 8 or 16. */
import type { SimdMnemonic } from '../decode/simd-op.js';
import type { Lanes } from './lanes.js';

/** Changes `a` by `b`. */
export type VectorFunction = (a: Lanes, b: Lanes, n: number) => void;

type View = 'u8' | 'i8' | 'u16' | 'i16' | 'u32' | 'i32' | 'f32';
const WIDTH: Readonly<Record<View, number>> = { u8: 1, i8: 1, u16: 2, i16: 2, u32: 4, i32: 4, f32: 4 };

/** Lane by lane; what is written is cut to the lane's width. */
function each(view: View, f: (x: number, y: number) => number): VectorFunction {
  const width = WIDTH[view];
  return (a, b, n) => {
    const left = a[view];
    const right = b[view];
    for (let i = 0; i < n / width; i++) left[i] = f(left[i]!, right[i]!);
  };
}

/** On 64-bit lanes. */
function each64(f: (x: bigint, y: bigint) => bigint): VectorFunction {
  return (a, b, n) => {
    for (let i = 0; i < n / 8; i++) a.u64[i] = f(a.u64[i]!, b.u64[i]!);
  };
}

const clamp = (low: number, high: number) => (x: number) => (x < low ? low : x > high ? high : x);
const s8 = clamp(-128, 127);
const s16 = clamp(-32768, 32767);
const toU8 = clamp(0, 255);
const toU16 = clamp(0, 65535);
const signed64 = (x: bigint): bigint => BigInt.asIntN(64, x);

/** A copy of the first n bytes of `a`, for functions whose lanes move. */
const old = new ArrayBuffer(16);
const oldBytes = new Uint8Array(old);
const oldI16 = new Int16Array(old);
const oldI32 = new Int32Array(old);
function keep(a: Lanes): void {
  oldBytes.set(a.u8);
}

/** Packs `from`-lanes of a, then of b. */
function pack(from: 'i16' | 'i32', to: 'i8' | 'u8' | 'i16' | 'u16', saturate: (x: number) => number): VectorFunction {
  return (a, b, n) => {
    const count = n / WIDTH[from];
    keep(a);
    const before = from === 'i16' ? oldI16 : oldI32;
    for (let i = 0; i < count; i++) a[to][i] = saturate(before[i]!);
    // Source and destination may be one register: `b` is a copy.
    for (let i = 0; i < count; i++) a[to][count + i] = saturate(b[from][i]!);
  };
}

/** Interleaves lanes of `width` bytes of the low or high halves. */
function unpack(width: number, high: boolean): VectorFunction {
  return (a, b, n) => {
    keep(a);
    const start = high ? n / 2 : 0;
    for (let lane = 0; lane < n / 2 / width; lane++) {
      for (let i = 0; i < width; i++) {
        a.u8[2 * lane * width + i] = oldBytes[start + lane * width + i]!;
        a.u8[(2 * lane + 1) * width + i] = b.u8[start + lane * width + i]!;
      }
    }
  };
}

/** Horizontal: pairs of `a`, then pairs of `b`. */
function pairs(view: 'i16' | 'i32', f: (x: number, y: number) => number): VectorFunction {
  return (a, b, n) => {
    const half = n / WIDTH[view] / 2;
    keep(a);
    const before = view === 'i16' ? oldI16 : oldI32;
    for (let i = 0; i < half; i++) a[view][i] = f(before[2 * i]!, before[2 * i + 1]!);
    for (let i = 0; i < half; i++) a[view][half + i] = f(b[view][2 * i]!, b[view][2 * i + 1]!);
  };
}

/** Shifts lanes of `bits` by the 64-bit count in `b`. */
function shift(bits: 16 | 32 | 64, kind: 'l' | 'r' | 'a'): VectorFunction {
  return (a, b, n) => {
    const count = b.i32[1] !== 0 || b.u32[0]! > bits - 1 ? bits : b.i32[0]!;
    if (bits === 64) {
      for (let i = 0; i < n / 8; i++) a.u64[i] = count === 64 ? 0n : kind === 'l' ? a.u64[i]! << BigInt(count) : a.u64[i]! >> BigInt(count);
      return;
    }
    const lanes = n / (bits / 8);
    for (let i = 0; i < lanes; i++) {
      if (kind === 'a') {
        const view = bits === 16 ? a.i16 : a.i32;
        view[i] = view[i]! >> Math.min(count, bits - 1);
      } else {
        const view = bits === 16 ? a.u16 : a.u32;
        view[i] = count === bits ? 0 : kind === 'l' ? view[i]! << count : view[i]! >>> count;
      }
    }
  };
}

/** Widens lanes of `b` into `a`. */
function widen(from: 'u8' | 'i8' | 'u16' | 'i16' | 'u32' | 'i32', to: 'i16' | 'i32' | 'i64'): VectorFunction {
  return (a, b) => {
    if (to === 'i64') for (let i = 0; i < 2; i++) a.i64[i] = BigInt(b[from][i]!);
    else for (let i = 0; i < 16 / WIDTH[to]; i++) a[to][i] = b[from][i]!;
  };
}

function bitwise(f: (x: number, y: number) => number): VectorFunction {
  return each('i32', f);
}

const and = bitwise((x, y) => x & y);
const andNot = bitwise((x, y) => ~x & y);
const or = bitwise((x, y) => x | y);
const xor = bitwise((x, y) => x ^ y);

/** Functions of a destination and a source of the same size. */
export const integerFunctions: Partial<Record<SimdMnemonic, VectorFunction>> = {
  pand: and, andps: and, andpd: and,
  pandn: andNot, andnps: andNot, andnpd: andNot,
  por: or, orps: or, orpd: or,
  pxor: xor, xorps: xor, xorpd: xor,
  paddb: each('u8', (x, y) => x + y), paddw: each('u16', (x, y) => x + y), paddd: each('i32', (x, y) => (x + y) | 0), paddq: each64((x, y) => x + y),
  psubb: each('u8', (x, y) => x - y), psubw: each('u16', (x, y) => x - y), psubd: each('i32', (x, y) => (x - y) | 0), psubq: each64((x, y) => x - y),
  paddsb: each('i8', (x, y) => s8(x + y)), paddsw: each('i16', (x, y) => s16(x + y)), paddusb: each('u8', (x, y) => toU8(x + y)), paddusw: each('u16', (x, y) => toU16(x + y)),
  psubsb: each('i8', (x, y) => s8(x - y)), psubsw: each('i16', (x, y) => s16(x - y)), psubusb: each('u8', (x, y) => toU8(x - y)), psubusw: each('u16', (x, y) => toU16(x - y)),
  pmullw: each('i16', (x, y) => x * y), pmulhw: each('i16', (x, y) => (x * y) >> 16), pmulhuw: each('u16', (x, y) => (x * y) / 65536),
  pmulhrsw: each('i16', (x, y) => (((x * y) >> 14) + 1) >> 1), pmulld: each('i32', Math.imul),
  pmuludq: (a, b, n) => {
    for (let i = 0; i < n / 8; i++) a.u64[i] = BigInt(a.u32[2 * i]!) * BigInt(b.u32[2 * i]!);
  },
  pmuldq: (a, b) => {
    for (let i = 0; i < 2; i++) a.i64[i] = BigInt(a.i32[2 * i]!) * BigInt(b.i32[2 * i]!);
  },
  pmaddwd: (a, b, n) => {
    for (let i = 0; i < n / 4; i++) a.i32[i] = (a.i16[2 * i]! * b.i16[2 * i]! + a.i16[2 * i + 1]! * b.i16[2 * i + 1]!) | 0;
  },
  pmaddubsw: (a, b, n) => {
    for (let i = 0; i < n / 2; i++) a.i16[i] = s16(a.u8[2 * i]! * b.i8[2 * i]! + a.u8[2 * i + 1]! * b.i8[2 * i + 1]!);
  },
  pavgb: each('u8', (x, y) => (x + y + 1) >> 1), pavgw: each('u16', (x, y) => (x + y + 1) >> 1),
  pminub: each('u8', Math.min), pmaxub: each('u8', Math.max), pminsw: each('i16', Math.min), pmaxsw: each('i16', Math.max),
  pminsb: each('i8', Math.min), pmaxsb: each('i8', Math.max), pminuw: each('u16', Math.min), pmaxuw: each('u16', Math.max),
  pminsd: each('i32', Math.min), pmaxsd: each('i32', Math.max), pminud: each('u32', Math.min), pmaxud: each('u32', Math.max),
  pcmpeqb: each('i8', (x, y) => (x === y ? -1 : 0)), pcmpeqw: each('i16', (x, y) => (x === y ? -1 : 0)), pcmpeqd: each('i32', (x, y) => (x === y ? -1 : 0)),
  pcmpgtb: each('i8', (x, y) => (x > y ? -1 : 0)), pcmpgtw: each('i16', (x, y) => (x > y ? -1 : 0)), pcmpgtd: each('i32', (x, y) => (x > y ? -1 : 0)),
  pcmpeqq: each64((x, y) => (x === y ? -1n : 0n)), pcmpgtq: each64((x, y) => (signed64(x) > signed64(y) ? -1n : 0n)),
  pabsb: each('i8', (_, y) => Math.abs(y)), pabsw: each('i16', (_, y) => Math.abs(y)), pabsd: each('i32', (_, y) => Math.abs(y)),
  psignb: each('i8', (x, y) => x * Math.sign(y)), psignw: each('i16', (x, y) => x * Math.sign(y)), psignd: each('i32', (x, y) => x * Math.sign(y)),
  packsswb: pack('i16', 'i8', s8), packuswb: pack('i16', 'u8', toU8), packssdw: pack('i32', 'i16', s16), packusdw: pack('i32', 'u16', toU16),
  punpcklbw: unpack(1, false), punpcklwd: unpack(2, false), punpckldq: unpack(4, false), punpcklqdq: unpack(8, false),
  punpckhbw: unpack(1, true), punpckhwd: unpack(2, true), punpckhdq: unpack(4, true), punpckhqdq: unpack(8, true),
  unpcklps: unpack(4, false), unpcklpd: unpack(8, false), unpckhps: unpack(4, true), unpckhpd: unpack(8, true),
  phaddw: pairs('i16', (x, y) => x + y), phaddd: pairs('i32', (x, y) => (x + y) | 0), phaddsw: pairs('i16', (x, y) => s16(x + y)),
  phsubw: pairs('i16', (x, y) => x - y), phsubd: pairs('i32', (x, y) => (x - y) | 0), phsubsw: pairs('i16', (x, y) => s16(x - y)),
  psllw: shift(16, 'l'), pslld: shift(32, 'l'), psllq: shift(64, 'l'), psrlw: shift(16, 'r'), psrld: shift(32, 'r'), psrlq: shift(64, 'r'), psraw: shift(16, 'a'), psrad: shift(32, 'a'),
  pslldq: (a, b) => a.u8.copyWithin(byteCount(b), 0).fill(0, 0, byteCount(b)),
  psrldq: (a, b) => a.u8.copyWithin(0, byteCount(b)).fill(0, 16 - byteCount(b)),
  pshufb: (a, b, n) => {
    keep(a);
    for (let i = 0; i < n; i++) a.u8[i] = b.u8[i]! & 0x80 ? 0 : oldBytes[b.u8[i]! & (n - 1)]!;
  },
  psadbw: (a, b, n) => {
    for (let half = 0; half < n; half += 8) {
      let sum = 0;
      for (let i = half; i < half + 8; i++) sum += Math.abs(a.u8[i]! - b.u8[i]!);
      a.u32[half / 4] = sum;
      a.u32[half / 4 + 1] = 0;
    }
  },
  phminposuw: (a, b) => {
    let index = 0;
    for (let i = 1; i < 8; i++) if (b.u16[i]! < b.u16[index]!) index = i;
    a.i32.fill(0);
    a.u16[0] = b.u16[index]!;
    a.u16[1] = index;
  },
  pmovsxbw: widen('i8', 'i16'), pmovsxbd: widen('i8', 'i32'), pmovsxbq: widen('i8', 'i64'), pmovsxwd: widen('i16', 'i32'), pmovsxwq: widen('i16', 'i64'), pmovsxdq: widen('i32', 'i64'),
  pmovzxbw: widen('u8', 'i16'), pmovzxbd: widen('u8', 'i32'), pmovzxbq: widen('u8', 'i64'), pmovzxwd: widen('u16', 'i32'), pmovzxwq: widen('u16', 'i64'), pmovzxdq: widen('u32', 'i64'),
  movsldup: (a, b) => a.i32.set([b.i32[0]!, b.i32[0]!, b.i32[2]!, b.i32[2]!]),
  movshdup: (a, b) => a.i32.set([b.i32[1]!, b.i32[1]!, b.i32[3]!, b.i32[3]!]),
  movddup: (a, b) => a.i32.set([b.i32[0]!, b.i32[1]!, b.i32[0]!, b.i32[1]!]),
};

/** Whole-register shifts take the count as a byte. */
const byteCount = (b: Lanes): number => Math.min(b.u8[0]!, 16);
