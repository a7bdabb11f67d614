import { Op } from './op.js';
import type { OpcodeForm } from './opcode-map-64.js';

function form(opcode: number, match: string, op: Op, operands: string): OpcodeForm {
  return { opcode, match, op, operands, flags: 0 };
}

/** BMI1 and BMI2: the instructions with a VEX prefix on general registers. VEX.L is 0; By is VEX.vvvv. SDM volume 2, appendix A.4; there is no AVX. */
export const OPCODE_MAP_VEX: readonly OpcodeForm[] = [
  form(0x0f38f2, 'NP', Op.Andn, 'Gy By Ey'),
  form(0x0f38f3, 'NP /1', Op.Blsr, 'By Ey'),
  form(0x0f38f3, 'NP /2', Op.Blsmsk, 'By Ey'),
  form(0x0f38f3, 'NP /3', Op.Blsi, 'By Ey'),
  form(0x0f38f5, 'NP', Op.Bzhi, 'Gy Ey By'),
  form(0x0f38f5, 'F3', Op.Pext, 'Gy By Ey'),
  form(0x0f38f5, 'F2', Op.Pdep, 'Gy By Ey'),
  form(0x0f38f6, 'F2', Op.Mulx, 'Gy By Ey'),
  form(0x0f38f7, 'NP', Op.Bextr, 'Gy Ey By'),
  form(0x0f38f7, '66', Op.Shlx, 'Gy Ey By'),
  form(0x0f38f7, 'F3', Op.Sarx, 'Gy Ey By'),
  form(0x0f38f7, 'F2', Op.Shrx, 'Gy Ey By'),
  form(0x0f3af0, 'F2', Op.Rorx, 'Gy Ey Ib'),
];
