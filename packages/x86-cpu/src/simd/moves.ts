/** Moves between vectors, general registers and memory (SDM volume 2). */
import { OperandKind } from '../decode/instruction.js';
import type { Instruction } from '../decode/instruction.js';
import { simdOp } from '../decode/simd-op.js';
import type { SimdMnemonic } from '../decode/simd-op.js';
import { PageAccess } from '../paging/index.js';
import type { Core } from '../processor/core.js';
import { Vector } from '../processor/fault.js';
import { registerAddress } from '../system/operands.js';
import { Outcome } from '../system/outcome.js';
import type { SystemInstructions } from '../system/outcome.js';
import type { VectorUnit } from './vector-unit.js';
import { Mxcsr } from './vector-unit.js';

export const moveInstructions: SystemInstructions = new Map();

const RDI = 7;

/** Requirements, work, and what MMX means for the x87. */
function define(mnemonic: SimdMnemonic, work: (unit: VectorUnit, instruction: Instruction, core: Core) => void): void {
  moveInstructions.set(simdOp(mnemonic), (core, instruction) => {
    const unit = core.vector;
    unit.require(instruction);
    work(unit, instruction, core);
    const { operands } = instruction;
    if (operands[0].kind === OperandKind.Mmx || operands[1].kind === OperandKind.Mmx) unit.enterMmx();
    return Outcome.Done;
  });
}

/** Whole operands of 16 bytes, aligned or not. */
for (const [mnemonics, aligned] of [
  [['movaps', 'movapd', 'movdqa', 'movntps', 'movntpd', 'movntdq', 'movntdqa'], true],
  [['movups', 'movupd', 'movdqu', 'lddqu', 'movntq'], false],
] as const) {
  for (const mnemonic of mnemonics) {
    define(mnemonic, (unit, instruction) => {
      const [destination, source] = instruction.operands;
      unit.read(instruction, source, unit.b, aligned);
      unit.write(instruction, destination, unit.b, aligned);
    });
  }
}

/** A scalar from memory clears the rest of the register, from a register it leaves it. */
for (const [mnemonic, bytes] of [['movss', 4], ['movsd', 8]] as const) {
  define(mnemonic, (unit, instruction) => {
    const [destination, source] = instruction.operands;
    unit.read(instruction, source, unit.b);
    if (destination.kind === OperandKind.Xmm && source.kind === OperandKind.Xmm) unit.b.u8.copyWithin(bytes, bytes).set(unit.xmm[destination.reg]!.u8.subarray(bytes), bytes);
    unit.write(instruction, destination, unit.b);
  });
}

/** 4 or 8 bytes, the rest of the vector becoming zero. */
for (const mnemonic of ['movd', 'movq', 'movq2dq', 'movdq2q'] as const) {
  define(mnemonic, (unit, instruction) => {
    const [destination, source] = instruction.operands;
    unit.read(instruction, source, unit.b);
    if (source.kind === OperandKind.Xmm || source.kind === OperandKind.Mmx) {
      if (destination.kind === OperandKind.Xmm || destination.kind === OperandKind.Mmx) unit.b.u64[1] = 0n;
    }
    unit.write(instruction, destination, unit.b);
  });
}

/** One half to or from memory, or between registers, the other half staying. */
for (const [mnemonic, to, from] of [
  ['movlps', 0, 0], ['movlpd', 0, 0], ['movhps', 1, 1], ['movhpd', 1, 1], ['movhlps', 0, 1], ['movlhps', 1, 0],
] as const) {
  define(mnemonic, (unit, instruction) => {
    const [destination, source] = instruction.operands;
    unit.read(instruction, source, unit.b);
    if (destination.kind === OperandKind.Mem) {
      unit.a.u64[0] = unit.b.u64[from]!;
      unit.write(instruction, destination, unit.a);
    } else {
      unit.xmm[destination.reg]!.u64[to] = unit.b.u64[source.kind === OperandKind.Mem ? 0 : from]!;
    }
  });
}

/** Sign bits of the lanes as a number. */
for (const [mnemonic, width] of [['movmskps', 4], ['movmskpd', 8], ['pmovmskb', 1]] as const) {
  define(mnemonic, (unit, instruction, core) => {
    const [destination, source] = instruction.operands;
    unit.read(instruction, source, unit.b);
    let mask = 0;
    for (let i = 0; i < source.size / width; i++) mask |= (unit.b.u8[(i + 1) * width - 1]! >> 7) << i;
    core.registers.setGpr(destination.reg, mask, 0);
  });
}

/** One lane out to a register or memory. */
for (const [mnemonic, width] of [['pextrb', 1], ['pextrw', 2], ['pextrd', 0], ['extractps', 4]] as const) {
  define(mnemonic, (unit, instruction) => {
    const [destination, source] = instruction.operands;
    const bytes = width === 0 ? destination.size : width;
    unit.read(instruction, source, unit.b);
    const at = bytes * (instruction.immLo & (source.size / bytes - 1));
    unit.a.i32.fill(0);
    unit.a.u8.set(unit.b.u8.subarray(at, at + bytes));
    unit.write(instruction, destination, unit.a);
  });
}

/** One lane in. */
for (const [mnemonic, width] of [['pinsrb', 1], ['pinsrw', 2], ['pinsrd', 0]] as const) {
  define(mnemonic, (unit, instruction) => {
    const [destination, source] = instruction.operands;
    const bytes = width === 0 ? source.size : width;
    unit.read(instruction, source, unit.b);
    unit.read(instruction, destination, unit.a);
    unit.a.u8.set(unit.b.u8.subarray(0, bytes), bytes * (instruction.immLo & (destination.size / bytes - 1)));
    unit.write(instruction, destination, unit.a);
  });
}

/** The bytes whose mask has its top bit set go to [rDI]. Nothing is written before all of it can be. */
for (const mnemonic of ['maskmovq', 'maskmovdqu'] as const) {
  define(mnemonic, (unit, instruction, core) => {
    const [value, mask] = instruction.operands;
    unit.read(instruction, value, unit.a);
    unit.read(instruction, mask, unit.b);
    const chosen = unit.b.u8.slice();
    const address = registerAddress(core, instruction, RDI, value.size);
    const access = core.mmu.mode | PageAccess.Write;
    if (!chosen.subarray(0, value.size).some((byte) => byte & 0x80)) return;
    core.readBytes(address, value.size, access, unit.b.u8);
    for (let i = 0; i < value.size; i++) if (chosen[i]! & 0x80) unit.b.u8[i] = unit.a.u8[i]!;
    core.writeBytes(address, value.size, core.mmu.mode, unit.b.u8);
  });
}

moveInstructions.set(simdOp('emms'), (core) => {
  core.vector.requireMmx();
  core.vector.leaveMmx();
  return Outcome.Done;
});

moveInstructions.set(simdOp('ldmxcsr'), (core, instruction) => {
  const unit = core.vector;
  unit.requireSse();
  unit.read(instruction, instruction.operands[0], unit.b);
  const value = unit.b.i32[0]!;
  if (value & ~Mxcsr.writable) core.raise(Vector.gp, 0);
  unit.mxcsr = value;
  return Outcome.Done;
});
moveInstructions.set(simdOp('stmxcsr'), (core, instruction) => {
  const unit = core.vector;
  unit.requireSse();
  unit.a.i32[0] = unit.mxcsr;
  unit.write(instruction, instruction.operands[0], unit.a);
  return Outcome.Done;
});
