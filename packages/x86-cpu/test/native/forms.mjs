// Every form that is recorded: rows of the decoder's opcode map, by prefixes and kind of operand.
import { Op } from '../../dist/decode/index.js';
import { FormFlag, OPCODE_MAP_64 } from '../../dist/decode/opcode-map-64.js';
import { firstSimdOp } from '../../dist/decode/simd-op.js';

const named = (names) => new Set(names.split(' ').map((name) => Op[name]));

/** Left out: what a recording cannot hold, what the operating system or a hypervisor answers in the processor's place. README.md says why for each. */
const LEFT_OUT = named(
  'Cpuid Rdtsc Rdtscp Rdpid Rdrand Rdseed Rdpmc Xgetbv Xsetbv Syscall Sysenter Sysexit Vmcall Vmmcall Vmgexit Tdcall Sgdt Sidt Sldt Str Smsw Monitor Mwait Int1',
);

/** Instructions whose operands decide much: more cases of each. */
export const RICH = named('Rol Ror Rcl Rcr Shl Shr Sar Shld Shrd Bt Bts Btr Btc Mul Imul Div Idiv Cmpxchg Cmpxchg8b Movs Cmps Stos Lods Scas Adc Sbb Enter Iret Popf');
export const STRINGS = named('Movs Cmps Stos Lods Scas');

/** Opcodes that 64-bit mode does not have, with the bytes behind them: #UD. */
const INVALID = [
  ...[0x06, 0x07, 0x0e, 0x16, 0x17, 0x1e, 0x1f, 0x27, 0x2f, 0x37, 0x3f, 0x60, 0x61, 0x82, 0x9a, 0xce, 0xd4, 0xd5, 0xd6, 0xea].map((opcode) => [opcode]),
  ...[0x04, 0x0a, 0x0c, 0x24, 0x25, 0x26, 0x27, 0x36, 0x39, 0x3b, 0x3c, 0x3d, 0x3e, 0x3f, 0xa6, 0xa7].map((opcode) => [0x0f, opcode]),
  ...[1, 2, 3, 4, 5, 6].flatMap((reg) => [[0xc6, reg << 3], [0xc7, reg << 3], [0xfe, 0xc0 | ((reg + 1) << 3)]]),
  [0xff, 0xf8],
  [0xff, 0x3f],
  // A far branch and LEA take no register.
  [0xff, 0xd8],
  [0xff, 0xe8],
  [0x8d, 0xc1],
  ...[0, 1, 2, 3].map((reg) => [0x0f, 0xba, 0xc0 | (reg << 3)]),
  // Segment registers 6 and 7, and CS as a destination.
  [0x8c, 0xf0],
  [0x8c, 0xf8],
  [0x8e, 0xc8],
  [0x8e, 0xf0],
  [0x8e, 0xf8],
];

const hex = (byte) => byte.toString(16).padStart(2, '0');
export const opcodeName = (opcode) => (opcode > 0xffff ? `0f 38 ${hex(opcode & 0xff)}` : opcode > 0xff ? `0f ${hex(opcode & 0xff)}` : hex(opcode));

/** A set of prefixes: legacy ones, what is asked of REX (`w`, and whether there is one), and how many cases in proportion. */
const shape = (name, legacy, rex, weight) => ({ name, legacy, rex, weight });
const SHAPES = [
  shape('', [], 'none', 3),
  shape('66', [0x66], 'none', 3),
  shape('REX.W', [], 'w', 3),
  shape('REX', [], 'any', 2),
  shape('66 REX', [0x66], 'any', 1),
  shape('66 REX.W', [0x66], 'w', 1),
  shape('67', [0x67], 'any', 1),
  shape('FS', [0x64], 'none', 1),
  shape('GS', [0x65], 'w', 1),
  shape('ES CS SS DS', [0x26], 'none', 1),
  shape('F2', [0xf2], 'none', 1),
  shape('F3', [0xf3], 'none', 1),
  shape('LOCK', [0xf0], 'any', 3),
];
const REPEATED = [
  shape('F2 66', [0xf2, 0x66], 'none', 1),
  shape('F3 66', [0xf3, 0x66], 'none', 1),
  shape('F2 REX.W', [0xf2], 'w', 1),
  shape('F3 REX.W', [0xf3], 'w', 1),
  shape('F2 67', [0xf2, 0x67], 'none', 1),
  shape('F3 67', [0xf3, 0x67], 'none', 1),
  shape('F3 FS', [0xf3, 0x64], 'none', 1),
];

export function kindsOf(row) {
  const { match, operands, flags } = row;
  if (match.includes('=') || !(match.includes('/') || /\b[EGMRSCD][a-z]*\b/.test(operands))) return ['none'];
  if (flags & FormFlag.RegisterRm || match.includes('reg')) return ['register'];
  if (match.includes('mem') || /\bM/.test(operands)) return ['memory'];
  return /\b[EG]b\b/.test(operands) ? ['register', 'high byte', 'memory'] : ['register', 'memory'];
}

/** Vector and x87 instructions have recordings of their own. */
export const isRecorded = ({ op }) => !LEFT_OUT.has(op) && op !== Op.X87 && op < firstSimdOp;

/** What is recorded of a form: how its bytes are made and how many cases there are. */
export function* enumerateForms() {
  for (const row of OPCODE_MAP_64) {
    if (!isRecorded(row)) continue;
    const shapes = STRINGS.has(row.op) ? [...SHAPES, ...REPEATED] : SHAPES;
    for (const kind of kindsOf(row)) {
      for (const prefixes of shapes) {
        if (kind === 'high byte' && prefixes.rex !== 'none') continue;
        if (kind === 'high byte' && prefixes.weight === 1) continue;
        const weight = prefixes.weight * (RICH.has(row.op) ? 3 : 1);
        const words = [opcodeName(row.opcode), row.match, row.operands].filter((word) => word !== '').join(' ');
        yield { row, kind, prefixes, weight, name: `${words}; ${prefixes.name === '' ? 'no prefix' : prefixes.name}; ${kind}` };
      }
    }
  }
}

/** Instructions that do not exist. */
export function* enumerateInvalid() {
  for (const bytes of INVALID) yield { bytes, name: `${bytes.map(hex).join(' ')}; invalid` };
}
