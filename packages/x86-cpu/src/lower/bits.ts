import { OperandKind } from '../decode/instruction.js';
import { Op } from '../decode/op.js';
import { FlagKind } from '../microop/flags.js';
import { Temporary } from './builder.js';
import type { BlockBuilder } from './builder.js';
import type { Lowerings } from './lowering.js';

/** Bit tests, which change CF alone, and bit scans. */
export const bits: Lowerings = new Map();

/** Leaves the bit in a slot as CF; OF, SF, AF and PF, which are undefined, stay as they were, as ZF must. */
function leaveCarry(b: BlockBuilder, bit: number): void {
  b.ready();
  b.emit('setcarry', bit);
}

for (const [op, name] of [
  [Op.Bt, undefined],
  [Op.Bts, 'bts'],
  [Op.Btr, 'btr'],
  [Op.Btc, 'btc'],
] as const) {
  bits.set(op, (b) => {
    const [operand, number] = b.instruction.operands;
    const size = b.sizeOf(operand.size);
    const index = b.slot(number);
    const bit = b.temporary(Temporary.condition);
    if (operand.kind !== OperandKind.Mem) {
      const slot = b.slot(operand);
      b.emit(`bit${size}`, bit, slot, index);
      if (name !== undefined) b.emit(`${name}${size}`, slot, slot, index);
      leaveCarry(b, bit);
      return;
    }
    const location = bitLocation(b, number.kind === OperandKind.Reg ? index : undefined);
    const old = b.temporary(Temporary.first);
    b.emit(name === undefined ? `load${size}.base` : `wload${size}`, old, ...location);
    b.emit(`bit${size}`, bit, old, index);
    if (name !== undefined) {
      b.emit(`${name}${size}`, old, old, index);
      b.emit(`store${size}.base`, ...location, old);
    }
    leaveCarry(b, bit);
  });
}

/** Where the operand of a bit instruction lies: with an index in a register, as far from the operand as the index says. */
function bitLocation(b: BlockBuilder, index: number | undefined): [number, number] {
  if (index === undefined) {
    const [base, displacement] = b.baseAddress();
    return [base!, displacement!];
  }
  // The distance is part of the effective address: it comes before the cut to 32 bits and the segment base.
  const address = b.temporary(Temporary.address);
  b.plainAddress((form, fields) => b.emit(`lea8.${form}`, address, ...fields));
  b.emit(`bitaddress${b.sizeOf(b.instruction.operands[0].size)}`, address, address, index);
  b.finishAddress(address);
  return [address, 0];
}

for (const [op, name, kind] of [
  [Op.Bsf, 'bsf', FlagKind.Logic],
  [Op.Bsr, 'bsr', FlagKind.Logic],
  [Op.Tzcnt, 'tzcnt', FlagKind.Result],
  [Op.Lzcnt, 'lzcnt', FlagKind.Result],
  [Op.Popcnt, 'popcnt', FlagKind.Ready],
] as const) {
  bits.set(op, (b) => {
    const [destination, source] = b.instruction.operands;
    const size = b.sizeOf(destination.size);
    b.emit(`${name}${size}`, b.slot(destination), b.value(source, size));
    b.leaves(kind, size);
  });
}
