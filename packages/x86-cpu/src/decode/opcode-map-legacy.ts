import { Op } from './op.js';
import { FormFlag, OPCODE_MAP_64 } from './opcode-map-64.js';
import type { OpcodeForm } from './opcode-map-64.js';

function form(opcode: number, match: string, op: Op, operands = '', flags = 0): OpcodeForm {
  return { opcode, match, op, operands, flags };
}

const B = FormFlag.Byte;
const L = FormFlag.Lock;

/** Opcodes that 64-bit mode took away or gave another meaning (SDM volume 2, appendix A, "i64"). */
const LEGACY_ONLY: readonly OpcodeForm[] = [
  form(0x06, '', Op.Push, 'ES'),
  form(0x07, '', Op.Pop, 'ES'),
  form(0x0e, '', Op.Push, 'CS'),
  form(0x16, '', Op.Push, 'SS'),
  form(0x17, '', Op.Pop, 'SS'),
  form(0x1e, '', Op.Push, 'DS'),
  form(0x1f, '', Op.Pop, 'DS'),
  form(0x27, '', Op.Daa),
  form(0x2f, '', Op.Das),
  form(0x37, '', Op.Aaa),
  form(0x3f, '', Op.Aas),
  ...Array.from({ length: 8 }, (_, i) => form(0x40 + i, '', Op.Inc, 'Zv')),
  ...Array.from({ length: 8 }, (_, i) => form(0x48 + i, '', Op.Dec, 'Zv')),
  form(0x60, '', Op.Pusha),
  form(0x61, '', Op.Popa),
  form(0x62, '', Op.Bound, 'Gv Ma'),
  form(0x63, '', Op.Arpl, 'Ew Gw'),
  // 82 is 80 once more.
  ...[Op.Add, Op.Or, Op.Adc, Op.Sbb, Op.And, Op.Sub, Op.Xor, Op.Cmp].map((op, i) => form(0x82, `/${i}`, op, 'Eb sIb', B | (op === Op.Cmp ? 0 : L))),
  form(0x9a, '', Op.CallFar, 'Ap'),
  form(0xc4, '', Op.Les, 'Gv Mp'),
  form(0xc5, '', Op.Lds, 'Gv Mp'),
  form(0xce, '', Op.Into),
  form(0xd4, '', Op.Aam, 'Ib', B),
  form(0xd5, '', Op.Aad, 'Ib', B),
  form(0xd6, '', Op.Salc, '', B),
  form(0xea, '', Op.JmpFar, 'Ap'),
];

/** Instructions that exist in 64-bit mode only ("o64"). */
const LONG_ONLY: ReadonlySet<number> = new Set<Op>([Op.Movsxd, Op.Swapgs, Op.Rdfsbase, Op.Rdgsbase, Op.Wrfsbase, Op.Wrgsbase]);

/** The opcodes of 16- and 32-bit code. SDM volume 2, appendix A; APM volume 3, appendix A. */
export const OPCODE_MAP_LEGACY: readonly OpcodeForm[] = [...LEGACY_ONLY, ...OPCODE_MAP_64.filter(({ op }) => !LONG_ONLY.has(op))];
