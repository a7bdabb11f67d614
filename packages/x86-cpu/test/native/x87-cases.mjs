// The cases of x87 instructions, made from their numbers: recorder and test make the same.
import { DATA, Fx, MEMORY, STATE_BYTES, randomOf } from './vector-cases.mjs';

const FXSAVE = 18 * 8;

/** Left out: approximations, and images that hold pointers. By opcode and ModRM.reg or ModRM. */
const LEFT_OUT = new Set(['1 m4', '1 m6', '5 m4', '5 m6', '1 f0', '1 f1', '1 f2', '1 f3', '1 f9', '1 fb', '1 fe', '1 ff', '3 e3', '3 e0', '3 e1', '3 e4']);
/** Forms that are no instructions on an AMD processor, or aliases of other ones. */
const hex = (value) => value.toString(16);

export function* x87Forms() {
  for (let opcode = 0; opcode < 8; opcode++) {
    for (let reg = 0; reg < 8; reg++) if (!LEFT_OUT.has(`${opcode} m${reg}`)) yield { name: `d${hex(8 + opcode)} /${reg} memory`, opcode, reg, modrm: -1 };
    for (let modrm = 0xc0; modrm < 0x100; modrm++) {
      // Of the register rows, three registers are enough.
      const row = modrm >> 3;
      const special = opcode === 1 && row >= 0x1c || opcode === 3 && row === 0x1c || modrm === 0xe9 || modrm === 0xd9 || modrm === 0xe0;
      if (!special && ![0, 1, 5].includes(modrm & 7)) continue;
      if (!LEFT_OUT.has(`${opcode} ${hex(modrm)}`)) yield { name: `d${hex(8 + opcode)} ${hex(modrm)}`, opcode, reg: -1, modrm };
    }
  }
}

export const X87_CASES = 24;

const EXPONENTS = [0x3fff, 0x3fff, 0x4000, 0x3ffe, 0x4005, 0x401e, 0x403e, 0x403d, 0x4040, 0x3fdf, 0x3fc0, 0x43fe, 0x7ffe, 0x7fff, 0, 0, 1, 0x3c01, 0x3f81, 0x407e, 0x407f, 0x4060, 0x4010];
const SIGNIFICANDS = [0x8000000000000000n, 0xc000000000000000n, 0xffffffffffffffffn, 0x8000000000000001n, 0xa000000000000000n, 0x8000008000000000n, 0x80000000000003ffn, 0x8000000000000400n, 0x9234567890abcdefn];

function extended(next, view, at) {
  const kind = next() % 16;
  let significand = next() % 3 === 0 ? (BigInt(next()) << 32n) | BigInt(next()) | (1n << 63n) : SIGNIFICANDS[next() % SIGNIFICANDS.length];
  let exponent = EXPONENTS[next() % EXPONENTS.length];
  if (exponent === 0 && kind !== 0) significand = kind < 8 ? 0n : significand & ~(1n << 63n);
  if (exponent === 0x7fff && kind < 8) significand = 1n << 63n;
  if (kind === 15) significand &= ~(1n << 63n);
  if (kind === 14) {
    // A whole number.
    significand = (BigInt(next()) << 32n) | (1n << 63n);
    exponent = 0x3fff + (next() % 40);
  }
  view.setBigUint64(at, significand, true);
  view.setUint16(at + 8, exponent | (next() % 2 << 15), true);
}

export function x87Case(form, number) {
  const next = randomOf(`${form.name} ${number}`);
  const state = new Uint8Array(STATE_BYTES);
  const view = new DataView(state.buffer);
  for (let i = 0; i < 16; i++) view.setBigUint64(8 * i, (BigInt(next()) << 32n) | BigInt(next()), true);
  view.setBigUint64(8 * 3, BigInt(DATA + 256), true);
  view.setBigUint64(8 * 16, 0x202n | BigInt(next() & 0x8d5), true);
  const unmasked = next() % 5 === 0 ? next() & 0x3f : 0;
  view.setUint16(FXSAVE + Fx.control, (0x7f & ~unmasked) | ([0, 2, 3, 3, 3][next() % 5] << 8) | (next() % 4 << 10), true);
  view.setUint16(FXSAVE + Fx.status, (next() % 8 << 11) | (next() & 0x4700) | (next() % 3 === 0 ? 0x20 : 0) & ~unmasked, true);
  view.setUint8(FXSAVE + Fx.tag, next() % 3 === 0 ? next() & 0xff : next() % 3 === 0 ? 0 : 0x7f << (next() % 2));
  if (next() % 2) view.setUint8(FXSAVE + Fx.tag, 0xff);
  view.setUint32(FXSAVE + Fx.mxcsr, 0x1f80, true);
  for (let i = 0; i < 8; i++) extended(next, view, FXSAVE + Fx.st + 16 * i);
  for (let at = 0; at < MEMORY; at += 16) {
    const choice = next() % 4;
    const base = FXSAVE + 512 + at;
    for (let i = 0; i < 16; i += 4) view.setUint32(base + i, next(), true);
    if (choice === 0) extended(next, view, base);
    else if (choice === 1) view.setFloat64(base, (next() | 0) / 2 ** (next() % 40), true);
    else if (choice === 2) view.setFloat32(base, [0, -0, 1, -1.5, 1e-40, Infinity, NaN, 3e38, 2 ** -149][next() % 9], true);
    else for (let i = 0; i < 10; i++) view.setUint8(base + i, i === 9 ? (next() & 1) << 7 : (next() % 10) | (next() % 10 << 4));
  }
  const modrm = form.modrm >= 0 ? [form.modrm] : [0x43 | (form.reg << 3), 16 * (next() % 5)];
  return { code: [0xd8 + form.opcode, ...modrm], state };
}
