/** MMX, SSE to SSE4.2, AES, PCLMULQDQ and SHA, one instruction at a time on copies of its operands. */
import { OperandKind } from '../decode/instruction.js';
import { simdOp } from '../decode/simd-op.js';
import type { SimdMnemonic } from '../decode/simd-op.js';
import { Flag } from '../microop/flags.js';
import { Outcome } from '../system/outcome.js';
import type { SystemInstruction, SystemInstructions } from '../system/outcome.js';
import { cryptoFunctions, cryptoImmediates, sha256Rounds } from './crypto.js';
import { floatInstructions } from './float.js';
import { immediateFunctions } from './immediate.js';
import type { ImmediateFunction } from './immediate.js';
import { integerFunctions } from './integer.js';
import { moveInstructions } from './moves.js';
import { stateImages } from './state-images.js';
import { stringInstructions } from './strings.js';

/** Destination and source of one size, and the immediate, if there is one, for the function; in the source's place it is a count of shifts. */
function plain(f: ImmediateFunction, aligned = true): SystemInstruction {
  return (core, instruction) => {
    const unit = core.vector;
    const [destination, source] = instruction.operands;
    unit.require(instruction);
    if (source.kind === OperandKind.Imm) {
      unit.b.i32.fill(0);
      unit.b.i32[0] = instruction.immLo;
    } else {
      unit.read(instruction, source, unit.b, aligned);
    }
    unit.read(instruction, destination, unit.a);
    f(unit.a, unit.b, destination.size, instruction.immLo);
    if (destination.kind === OperandKind.Mmx) unit.enterMmx();
    unit.write(instruction, destination, unit.a);
    return Outcome.Done;
  };
}

/** The SHA instructions take memory at any address (as recorded; SDM volume 2 asks for 16 bytes). */
const isSha = (mnemonic: string): boolean => mnemonic.startsWith('sha');

export const simdInstructions: SystemInstructions = new Map([...moveInstructions, ...floatInstructions, ...stringInstructions, ...stateImages]);

for (const functions of [integerFunctions, cryptoFunctions, immediateFunctions, cryptoImmediates]) {
  for (const [mnemonic, f] of Object.entries(functions)) simdInstructions.set(simdOp(mnemonic as SimdMnemonic), plain(f, !isSha(mnemonic)));
}

/** XMM0 as a third operand: its lanes' top bits choose lanes of the source. */
for (const [mnemonic, width] of [['pblendvb', 1], ['blendvps', 4], ['blendvpd', 8]] as const) {
  simdInstructions.set(simdOp(mnemonic), (core, instruction) => {
    const mask = core.vector.xmm[0]!.u8.slice();
    return plain((a, b) => {
      for (let i = 0; i < 16; i++) if (mask[i - (i % width) + width - 1]! & 0x80) a.u8[i] = b.u8[i]!;
    })(core, instruction);
  });
}
simdInstructions.set(simdOp('sha256rnds2'), (core, instruction) => plain((a, b) => sha256Rounds(a, b, core.vector.xmm[0]!), false)(core, instruction));

/** Of a register the immediate chooses the lane, memory is one lane. */
simdInstructions.set(simdOp('insertps'), (core, instruction) => {
  const { immLo, operands } = instruction;
  const from = operands[1].kind === OperandKind.Mem ? 0 : (immLo >> 6) & 3;
  return plain((a, b) => {
    a.i32[(immLo >> 4) & 3] = b.i32[from]!;
    for (let i = 0; i < 4; i++) if ((immLo >> i) & 1) a.i32[i] = 0;
  })(core, instruction);
});

simdInstructions.set(simdOp('ptest'), (core, instruction) => {
  const unit = core.vector;
  unit.require(instruction);
  unit.read(instruction, instruction.operands[1], unit.b);
  unit.read(instruction, instruction.operands[0], unit.a);
  let both = 0;
  let onlySource = 0;
  for (let i = 0; i < 4; i++) {
    both |= unit.a.i32[i]! & unit.b.i32[i]!;
    onlySource |= ~unit.a.i32[i]! & unit.b.i32[i]!;
  }
  const flags = (both === 0 ? Flag.zf : 0) | (onlySource === 0 ? Flag.cf : 0);
  core.writeFlags((core.readFlags() & ~(Flag.cf | Flag.pf | Flag.af | Flag.zf | Flag.sf | Flag.of)) | flags);
  return Outcome.Done;
});
