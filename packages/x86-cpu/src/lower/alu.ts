import { immediateCount } from '../code/flag-use.js';
import { OperandKind } from '../decode/instruction.js';
import { Op } from '../decode/op.js';
import { FlagKind } from '../microop/flags.js';
import type { Size } from '../microop/flags.js';
import type { BlockBuilder } from './builder.js';
import { Temporary } from './builder.js';
import type { Lowerings } from './lowering.js';

/**
 * Integer arithmetic. With a memory destination the order is: probe and load, compute, store, then the same computation
 * again for its flags, so that a store that faults leaves the flags alone.
 */
export const arithmetic: Lowerings = new Map();

const KIND_OF = { add: FlagKind.Add, sub: FlagKind.Sub, and: FlagKind.Logic, or: FlagKind.Logic, xor: FlagKind.Logic } as const;

/** Appends `.f` unless nobody sees the flags. */
function flagged(b: BlockBuilder, name: string): string {
  return b.flagsDead ? name : `${name}.f`;
}

/** The source of a register-to-register operation on `slot`: a move just before it is merged into it. */
function mergeMove(b: BlockBuilder, slot: number, size: Size): number {
  if (size < 4) return slot;
  const last = b.steps.at(-1);
  if (last === undefined || last.fields[0] !== slot) return slot;
  return b.takeBack(new RegExp(`^move${size}$`))?.fields[1] ?? slot;
}

/** Emits a two-source operation on a register destination, `slot = slot op value`. */
function emitOnRegister(b: BlockBuilder, name: string, size: Size, slot: number, value: number): void {
  const source = mergeMove(b, slot, size);
  b.emit(name, slot, source, value === slot ? source : value);
}

for (const [op, name] of [
  [Op.Add, 'add'],
  [Op.Sub, 'sub'],
  [Op.And, 'and'],
  [Op.Or, 'or'],
  [Op.Xor, 'xor'],
] as const) {
  arithmetic.set(op, (b) => {
    const [destination, source] = b.instruction.operands;
    const size = b.sizeOf(destination.size);
    if (destination.kind === OperandKind.Mem) {
      b.emit(`${name}${size}.f.modify`, ...b.baseAddress(), b.slot(source));
    } else if (source.kind === OperandKind.Mem) {
      b.emit(`${name}${size}.f.load`, b.slot(destination), ...b.baseAddress());
    } else {
      emitOnRegister(b, flagged(b, `${name}${size}`), size, b.slot(destination), b.slot(source));
      if (b.flagsDead) return;
    }
    b.leaves(KIND_OF[name], size);
  });
}

arithmetic.set(Op.Cmp, (b) => {
  const [first, second] = b.instruction.operands;
  const size = b.sizeOf(first.size);
  if (first.kind === OperandKind.Mem) b.emit(`cmp${size}.load`, ...b.baseAddress(), b.slot(second));
  else b.emit(`cmp${size}`, b.slot(first), b.value(second, size));
  b.leaves(FlagKind.Sub, size);
});

arithmetic.set(Op.Test, (b) => {
  const [first, second] = b.instruction.operands;
  const size = b.sizeOf(first.size);
  b.emit(`test${size}`, b.value(first, size), b.slot(second));
  b.leaves(FlagKind.Logic, size);
});

/**
 * An operation without a fused memory form: `name` computes, `name.f` also leaves flags. `emitOn` emits it for a
 * destination and a source slot; `before` makes what the flags form needs, after the last access that can fault.
 */
function readModifyWrite(
  b: BlockBuilder,
  name: string,
  emitOn: (name: string, destination: number, source: number) => void,
  before: () => void = () => undefined,
): void {
  const destination = b.instruction.operands[0];
  const size = b.sizeOf(destination.size);
  if (destination.kind !== OperandKind.Mem) {
    const slot = b.slot(destination);
    if (!b.flagsDead) before();
    emitOn(flagged(b, name), slot, slot);
    return;
  }
  const [base, displacement] = b.baseAddress();
  const old = b.temporary(Temporary.first);
  const result = b.temporary(Temporary.second);
  b.emit(`wload${size}`, old, base!, displacement!);
  emitOn(name, result, old);
  b.emit(`store${size}.base`, base!, displacement!, result);
  if (b.flagsDead) return;
  before();
  emitOn(`${name}.f`, result, old);
}

for (const [op, name] of [
  [Op.Adc, 'adc'],
  [Op.Sbb, 'sbb'],
] as const) {
  arithmetic.set(op, (b) => {
    const [destination, source] = b.instruction.operands;
    const size = b.sizeOf(destination.size);
    const carry = b.carry();
    const value = b.value(source, size);
    readModifyWrite(b, `${name}${size}`, (form, to, from) => b.emit(form, to, from, value, carry));
    if (!b.flagsDead) b.leaves(FlagKind.Result, size);
  });
}

for (const [op, name, plain] of [
  [Op.Inc, 'inc', 'add'],
  [Op.Dec, 'dec', 'sub'],
] as const) {
  arithmetic.set(op, (b) => {
    const size = b.sizeOf(b.instruction.operands[0].size);
    const one = b.number(1);
    const carry = b.flagsDead ? one : b.carry();
    readModifyWrite(b, `${name}${size}`, (form, to, from) => {
      if (form.endsWith('.f')) b.emit(form, to, from, carry);
      else b.emit(`${plain}${size}`, to, from, one);
    });
    if (!b.flagsDead) b.leaves(FlagKind.Result, size);
  });
}

arithmetic.set(Op.Neg, (b) => {
  const size = b.sizeOf(b.instruction.operands[0].size);
  const zero = b.number(0);
  readModifyWrite(b, `sub${size}`, (form, to, from) => b.emit(form, to, zero, from));
  if (!b.flagsDead) b.leaves(FlagKind.Sub, size);
});

arithmetic.set(Op.Not, (b) => {
  const destination = b.instruction.operands[0];
  const size = b.sizeOf(destination.size);
  const ones = b.number(-1);
  if (destination.kind !== OperandKind.Mem) {
    b.emit(`xor${size}`, b.slot(destination), b.slot(destination), ones);
    return;
  }
  const [base, displacement] = b.baseAddress();
  const value = b.temporary(Temporary.first);
  b.emit(`wload${size}`, value, base!, displacement!);
  b.emit(`xor${size}`, value, value, ones);
  b.emit(`store${size}.base`, base!, displacement!, value);
});

for (const [op, name] of [
  [Op.Shl, 'shl'],
  [Op.Shr, 'shr'],
  [Op.Sar, 'sar'],
] as const) {
  arithmetic.set(op, (b) => {
    const [destination, count] = b.instruction.operands;
    const size = b.sizeOf(destination.size);
    const amount = b.slot(count);
    readModifyWrite(b, `${name}${size}`, (form, to, from) => {
      if (to === from) emitOnRegister(b, form, size, to, amount);
      else b.emit(form, to, from, amount);
    });
    leaveShiftFlags(b, size);
  });
}

for (const [op, name] of [
  [Op.Rol, 'rol'],
  [Op.Ror, 'ror'],
] as const) {
  arithmetic.set(op, (b) => {
    const [destination, count] = b.instruction.operands;
    const size = b.sizeOf(destination.size);
    const amount = b.slot(count);
    readModifyWrite(b, `${name}${size}`, (form, to, from) => b.emit(form, to, from, amount), () => b.ready());
  });
}

for (const [op, name] of [
  [Op.Rcl, 'rcl'],
  [Op.Rcr, 'rcr'],
] as const) {
  arithmetic.set(op, (b) => {
    const [destination, count] = b.instruction.operands;
    const size = b.sizeOf(destination.size);
    const amount = b.slot(count);
    const carry = b.carry();
    readModifyWrite(b, `${name}${size}`, (form, to, from) => b.emit(form, to, from, amount, carry), () => b.ready());
  });
}

for (const [op, name] of [
  [Op.Shld, 'shld'],
  [Op.Shrd, 'shrd'],
] as const) {
  arithmetic.set(op, (b) => {
    const [destination, filler, count] = b.instruction.operands;
    const size = b.sizeOf(destination.size);
    const amount = b.slot(count);
    readModifyWrite(b, `${name}${size}`, (form, to, from) => b.emit(form, to, from, b.slot(filler), amount));
    leaveShiftFlags(b, size);
  });
}

/** A count of zero leaves the flags, so a count in CL leaves either. */
function leaveShiftFlags(b: BlockBuilder, size: Size): void {
  if (b.flagsDead) return;
  const count = immediateCount(b.instruction);
  if (count > 0) b.leaves(FlagKind.Result, size);
  else if (count < 0) b.flagSource = undefined;
}

const RAX = 0;
const RDX = 2;

arithmetic.set(Op.Imul, (b) => {
  const { operands, operandCount } = b.instruction;
  if (operandCount === 1) {
    multiplyWide(b, 'smul');
    return;
  }
  const size = b.sizeOf(operands[0].size);
  const destination = b.slot(operands[0]);
  const first = operandCount === 3 ? b.value(operands[1], size) : destination;
  const second = operandCount === 3 ? b.slot(operands[2]) : b.value(operands[1], size);
  b.emit(flagged(b, `imul${size}`), destination, first, second);
  if (!b.flagsDead) b.leaves(FlagKind.Result, size);
});
arithmetic.set(Op.Mul, (b) => multiplyWide(b, 'umul'));

function multiplyWide(b: BlockBuilder, name: 'smul' | 'umul'): void {
  const factor = b.instruction.operands[0];
  const size = b.sizeOf(factor.size);
  b.emit(`${name}${size}`, b.register(RAX), b.register(RDX), b.value(factor, size));
  b.leaves(FlagKind.Result, size);
}

for (const [op, name] of [
  [Op.Div, 'udiv'],
  [Op.Idiv, 'sdiv'],
] as const) {
  arithmetic.set(op, (b) => {
    const divisor = b.instruction.operands[0];
    const size = b.sizeOf(divisor.size);
    // With 8 bits quotient and remainder are AL and AH.
    b.emit(`${name}${size}`, b.register(RAX), size === 1 ? b.register(RAX) + 1 : b.register(RDX), b.value(divisor, size));
  });
}

arithmetic.set(Op.Xadd, (b) => {
  const [destination, source] = b.instruction.operands;
  const size = b.sizeOf(destination.size);
  const old = b.temporary(Temporary.first);
  const sum = b.temporary(Temporary.second);
  if (destination.kind === OperandKind.Mem) {
    const [base, displacement] = b.baseAddress();
    b.emit(`wload${size}`, old, base!, displacement!);
    b.emit(`add${size}`, sum, old, b.slot(source));
    b.emit(`store${size}.base`, base!, displacement!, sum);
    b.emit(`add${size}.f`, sum, old, b.slot(source));
    b.emit(`move${size}`, b.slot(source), old);
  } else {
    b.emit(`move${size}`, old, b.slot(destination));
    b.emit(`add${size}.f`, sum, old, b.slot(source));
    b.emit(`move${size}`, b.slot(source), old);
    b.emit(`move${size}`, b.slot(destination), sum);
  }
  b.leaves(FlagKind.Add, size);
});

arithmetic.set(Op.Cmpxchg, (b) => {
  const [destination, source] = b.instruction.operands;
  const size = b.sizeOf(destination.size);
  const accumulator = b.register(RAX);
  const found = b.temporary(Temporary.first);
  const result = b.temporary(Temporary.second);
  if (destination.kind === OperandKind.Mem) {
    const [base, displacement] = b.baseAddress();
    b.emit(`wload${size}`, found, base!, displacement!);
    b.emit(`exchange${size}`, result, accumulator, found, b.slot(source));
    b.emit(`store${size}.base`, base!, displacement!, result);
    b.emit(`cmp${size}`, accumulator, found);
    b.emit(`accumulate${size}`, accumulator, found);
  } else {
    b.emit(`move${size}`, found, b.slot(destination));
    b.emit(`cmp${size}`, accumulator, found);
    b.emit(`replace${size}`, b.slot(destination), accumulator, found, b.slot(source));
  }
  b.leaves(FlagKind.Sub, size);
});
