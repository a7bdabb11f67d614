// The cases of vector instructions, made from their numbers: recorder and test make the same.
import { OPCODE_MAP_SIMD } from '../../dist/decode/opcode-map-simd.js';
import { SIMD_OPS, firstSimdOp } from '../../dist/decode/simd-op.js';

export const DATA = 0x10000000;
export const MEMORY = 1024;
/** Offset in the FXSAVE image. */
export const Fx = { control: 0, status: 2, tag: 4, mxcsr: 24, st: 32, xmm: 160, used: 416 };

/** Bytes of a case's state: sixteen registers, flags, vector, FXSAVE image, memory. */
export const STATE_BYTES = 18 * 8 + 512 + MEMORY;

/** xorshift32, seeded by text. */
export function randomOf(seed) {
  let state = [...seed].reduce((hash, letter) => Math.imul(hash ^ letter.charCodeAt(0), 16777619), 0x811c9dc5) || 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state >>> 0;
  };
}

const SINGLES = [0, 0x80000000, 0x3f800000, 0xbf800000, 0x7f800000, 0xff800000, 0x7fc00001, 0xffc12345, 0x7f812345, 0x00000001, 0x807fffff, 0x00800000, 0x7f7fffff, 0x3fc00000, 0x4b000001, 0x4effffff, 0x4f000000, 0xcf000000, 0x3effffff, 0x33800000];
const DOUBLES = [0n, 1n << 63n, 0x3ff0000000000000n, 0xbff8000000000000n, 0x7ff0000000000000n, 0xfff0000000000000n, 0x7ff8000000000001n, 0xfff8123456789abcn, 0x7ff0123456789abcn, 1n, 0x800fffffffffffffn, 0x10000000000000n, 0x7fefffffffffffffn, 0x41dfffffffc00000n, 0x41e0000000000000n, 0xc1e0000000200000n, 0x43e0000000000000n, 0x3fdfffffffffffffn, 0x4340000000000001n, 0x36a0000000000000n, 0x47efffffe0000000n];

/** 16 bytes for a vector register: numbers of a kind that suits the mnemonic, mixed with noise. */
function vector(next, view, at, kind) {
  for (let i = 0; i < 16; i += 4) view.setUint32(at + i, next(), true);
  const choice = next() % 8;
  if (kind === 'single') {
    for (let i = 0; i < 4; i++) {
      if (choice < 4) view.setUint32(at + 4 * i, SINGLES[next() % SINGLES.length], true);
      else if (choice < 7) view.setFloat32(at + 4 * i, ((next() | 0) / 2 ** (next() % 40)), true);
    }
  } else if (kind === 'double') {
    for (let i = 0; i < 2; i++) {
      if (choice < 4) view.setBigUint64(at + 8 * i, DOUBLES[next() % DOUBLES.length], true);
      else if (choice < 7) view.setFloat64(at + 8 * i, ((next() | 0) * (next() >>> 0)) / 2 ** (next() % 80), true);
    }
  } else if (choice < 3) {
    // Small numbers, so that counts, indices and comparisons meet; and the ends of ranges.
    for (let i = 0; i < 16; i++) view.setUint8(at + i, [0, 1, 2, 0x7f, 0x80, 0xff, next() % 20, next() % 8][next() % 8]);
  } else if (choice === 3) {
    view.setBigUint64(at, BigInt(next() % 70), true);
  }
}

const kindOf = (mnemonic) => (/^(u?comis|cvtt?)?.*(ps2|ss2|[^p]ps$|ss$)/.test(mnemonic) && !/^cvt(dq|pi|si)2/.test(mnemonic) ? 'single' : /(pd2|sd2|pd$|sd$)/.test(mnemonic) && !/^(pcmp|pa|ps|pm|cvt(dq|pi|si)2)/.test(mnemonic) ? 'double' : 'integer');

const LEFT_OUT = new Set(['fxsave', 'fxrstor', 'xsave', 'xrstor', 'xsaveopt', 'rcpps', 'rcpss', 'rsqrtps', 'rsqrtss']);
const PREFIX_BYTES = { NP: [], 66: [0x66], F3: [0xf3], F2: [0xf2] };

/** Every form that is recorded: a row of the opcode map with registers or memory. */
export function* vectorForms() {
  for (const row of OPCODE_MAP_SIMD) {
    const mnemonic = SIMD_OPS[row.op - firstSimdOp];
    if (LEFT_OUT.has(mnemonic)) continue;
    const words = row.match.split(' ');
    const rm = row.operands === '' ? ['none'] : words.includes('reg') ? ['register'] : words.includes('mem') || /\bM/.test(row.operands) ? ['memory'] : ['register', 'memory'];
    for (const kind of rm) {
      for (const wide of /\b[EG]y\b/.test(row.operands) ? [false, true] : [false]) {
        yield { name: `${mnemonic} ${row.operands}${words.length > 1 ? ` ${words.slice(1).join(' ')}` : ''} ${PREFIX_BYTES[words[0]].map((byte) => byte.toString(16)).join('')} ${kind}${wide ? ' REX.W' : ''}`, row, words, mnemonic, kind, wide };
      }
    }
  }
}

const CASES = 14;
export const casesOf = ({ mnemonic }) => (kindOf(mnemonic) === 'integer' ? CASES : 2 * CASES);

/** The bytes and the state before of one case of a form. */
export function vectorCase(form, number) {
  const { row, words, mnemonic, kind, wide } = form;
  const next = randomOf(`${form.name} ${number}`);
  const state = new Uint8Array(STATE_BYTES);
  const view = new DataView(state.buffer);
  const registers = 18 * 8;
  const numbers = kindOf(mnemonic);
  for (let i = 0; i < 16; i++) view.setBigUint64(8 * i, (BigInt(next()) << 32n) | BigInt(next()), true);
  for (const register of [0, 2]) if (next() % 2) view.setBigUint64(8 * register, BigInt.asUintN(64, BigInt((next() % 40) - 20)), true);
  view.setBigUint64(8 * 3, BigInt(DATA + 256), true);
  view.setBigUint64(8 * 7, BigInt(DATA + 512 + (next() % 16)), true);
  view.setBigUint64(8 * 16, 0x202n | BigInt(next() & 0x8d5), true);
  const fx = registers;
  view.setUint16(fx + Fx.control, 0x37f, true);
  view.setUint8(fx + Fx.tag, 0xff);
  const rounding = numbers === 'integer' ? 0 : next() % 4;
  const flush = next() % 6 === 0 ? 0x8040 & next() : 0;
  const unmasked = next() % 8 === 0 ? 1 << (7 + (next() % 6)) : 0;
  view.setUint32(fx + Fx.mxcsr, ((0x1f80 & ~unmasked) | (rounding << 13) | flush | (next() % 2 ? 0x20 : 0)) >>> 0, true);
  for (let i = 0; i < 8; i++) {
    vector(next, view, fx + Fx.st + 16 * i, numbers);
    view.setUint16(fx + Fx.st + 16 * i + 8, 0xffff, true);
    view.setUint32(fx + Fx.st + 16 * i + 10, 0, true);
    view.setUint16(fx + Fx.st + 16 * i + 14, 0, true);
  }
  for (let i = 0; i < 16; i++) vector(next, view, fx + Fx.xmm + 16 * i, numbers);
  for (let i = 0; i < MEMORY; i += 16) vector(next, view, registers + 512 + i, numbers);

  const reg = words.find((word) => word.startsWith('/')) === undefined ? next() & 7 : Number(words.find((word) => word.startsWith('/')).slice(1));
  const misaligned = next() % 8 === 0 ? next() % 16 : 0;
  // [rbx + disp8]; registers that addresses stand in are not destinations.
  const generalDestination = row.operands.startsWith('G') || (/^(E|R)/.test(row.operands) && kind === 'register');
  const safe = (register) => (generalDestination || /[ER][ywbd]/.test(row.operands) ? [0, 1, 2, 5, 6, 8, 9, 10][register] & 7 : register);
  const rmRegister = safe(next() & 7);
  const regField = row.operands.startsWith('G') ? safe(reg) : reg;
  const modrm = kind === 'memory' ? [0x43 | (regField << 3), 16 * (next() % 4) + misaligned] : [0xc0 | (regField << 3) | rmRegister];
  const escape = row.opcode > 0xffff ? [0x0f, (row.opcode >> 8) & 0xff] : [0x0f];
  const immediate = /\bIb\b/.test(row.operands) ? [next() % 3 === 0 ? next() % 40 : next() & 0xff] : [];
  const code = [...PREFIX_BYTES[words[0]], ...(wide ? [0x48] : []), ...escape, row.opcode & 0xff, ...(row.operands === '' ? [] : modrm), ...immediate];
  return { code, state };
}
