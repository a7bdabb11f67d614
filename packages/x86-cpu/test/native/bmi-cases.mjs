// The cases of BMI and ADX instructions, made from their numbers: recorder and test make the same.
import { OPCODE_MAP_64 } from '../../dist/decode/opcode-map-64.js';
import { OPCODE_MAP_VEX } from '../../dist/decode/opcode-map-vex.js';
import { Op } from '../../dist/decode/op.js';
import { DATA, Fx, MEMORY, STATE_BYTES, randomOf } from './vector-cases.mjs';

const FXSAVE = 18 * 8;
const NAMES = new Map(Object.entries(Op).map(([name, op]) => [op, name]));
const ROWS = [...OPCODE_MAP_VEX, ...OPCODE_MAP_64.filter(({ op }) => op === Op.Adcx || op === Op.Adox)];
const PREFIX = { NP: 0, 66: 1, F3: 2, F2: 3 };

export function* bmiForms() {
  for (const row of ROWS) for (const kind of ['register', 'memory']) for (const wide of [false, true]) yield { name: `${NAMES.get(row.op)} ${kind}${wide ? ' W' : ''}`, row, kind, wide };
}

export const BMI_CASES = 24;

const QUADS = [0n, 1n, 2n ** 64n - 1n, 2n ** 63n, 2n ** 31n, 2n ** 32n, 0x0123456789abcdefn, 0xff00ff00ff00ff00n, 0x0804n, 0x2010n, 0x3fn, 0x40n, 0x1f20n];

export function bmiCase({ name, row, kind, wide }, number) {
  const next = randomOf(`${name} ${number}`);
  const state = new Uint8Array(STATE_BYTES);
  const view = new DataView(state.buffer);
  const quad = () => (next() % 2 ? QUADS[next() % QUADS.length] : (BigInt(next()) << 32n) | BigInt(next()));
  for (let i = 0; i < 16; i++) view.setBigUint64(8 * i, quad(), true);
  view.setBigUint64(8 * 3, BigInt(DATA + 256), true);
  view.setBigUint64(8 * 16, 0x202n | BigInt(next() & 0x8d5), true);
  view.setUint16(FXSAVE + Fx.control, 0x37f, true);
  view.setUint32(FXSAVE + Fx.mxcsr, 0x1f80, true);
  for (let at = 0; at < MEMORY; at += 8) view.setBigUint64(FXSAVE + 512 + at, quad(), true);
  // Any register but the one that addresses.
  const register = () => [0, 1, 2, 5, 6, 7, 8, 12][next() % 8];
  const words = row.match.split(' ');
  const slash = words.find((word) => word.startsWith('/'));
  const reg = slash === undefined ? register() : Number(slash[1]);
  const rm = kind === 'memory' ? 3 : register();
  const modrm = [(kind === 'memory' ? 0x40 : 0xc0) | ((reg & 7) << 3) | (rm & 7), ...(kind === 'memory' ? [8 * (next() % 8)] : [])];
  const immediate = /Ib/.test(row.operands) ? [next() & 0xff] : [];
  const opcode = row.opcode & 0xff;
  if (row.op === Op.Adcx || row.op === Op.Adox) {
    const rex = 0x40 | (wide ? 8 : 0) | (reg & 8 ? 4 : 0) | (rm & 8 ? 1 : 0);
    return { code: [words[0] === '66' ? 0x66 : 0xf3, rex, 0x0f, 0x38, opcode, ...modrm], state };
  }
  // RORX has no second source: VEX.vvvv is all ones then.
  const vvvv = /By/.test(row.operands) ? register() : 0;
  const first = (reg & 8 ? 0 : 0x80) | 0x40 | (rm & 8 ? 0 : 0x20) | (row.opcode >> 8 === 0x0f3a ? 3 : 2);
  const second = (wide ? 0x80 : 0) | ((~vvvv & 15) << 3) | PREFIX[words[0]];
  return { code: [0xc4, first, second, opcode, ...modrm, ...immediate], state };
}
