import { OperandKind } from '../decode/instruction.js';
import { Op } from '../decode/op.js';
import { Segment } from '../memory/layout.js';
import type { Size } from '../microop/flags.js';
import { Temporary } from './builder.js';
import type { BlockBuilder } from './builder.js';
import { emitCondition } from './control.js';
import type { Lowerings } from './lowering.js';

/** Data movement and the stack. */
export const moves: Lowerings = new Map();

const RAX = 0;
const RDX = 2;
const RBX = 3;
const RSP = 4;
const RBP = 5;

function store(b: BlockBuilder, size: Size, value: number): void {
  b.withAddress((form, fields) => b.emit(`store${size}.${form}`, ...fields, value));
}

for (const op of [Op.Mov, Op.Movnti] as const) {
  moves.set(op, (b) => {
    const [destination, source] = b.instruction.operands;
    const size = b.sizeOf(destination.size);
    if (destination.kind === OperandKind.Mem) store(b, size, b.slot(source));
    else if (source.kind === OperandKind.Mem) {
      b.withAddress((form, fields) => b.emit(`load${size}.${form}`, b.slot(destination), ...fields));
    } else b.emit(`move${size}`, b.slot(destination), b.slot(source));
  });
}

function extension(sign: boolean) {
  return (b: BlockBuilder): void => {
    const [destination, source] = b.instruction.operands;
    const from = b.sizeOf(source.size);
    let to = b.sizeOf(destination.size);
    // A 32-bit result clears the upper half, so zero extension to 64 bits is that to 32.
    if (!sign && to === 8) to = 4;
    const slot = b.slot(destination);
    const extends_ = from < to;
    if (source.kind === OperandKind.Mem) {
      const name = extends_ ? `${sign ? 's' : 'z'}load${from}.${to}` : `load${to}`;
      b.withAddress((form, fields) => b.emit(`${name}.${form}`, slot, ...fields));
    } else b.emit(extends_ ? `${sign ? 'sign' : 'zero'}${from}.${to}` : `move${to}`, slot, b.slot(source));
  };
}
moves.set(Op.Movzx, extension(false));
moves.set(Op.Movsx, extension(true));
moves.set(Op.Movsxd, extension(true));

moves.set(Op.Movbe, (b) => {
  const [destination, source] = b.instruction.operands;
  const size = b.sizeOf(destination.size);
  if (destination.kind === OperandKind.Mem) {
    const swapped = b.temporary(Temporary.first);
    b.emit(`bswap${size}`, swapped, b.slot(source));
    store(b, size, swapped);
  } else b.emit(`bswap${size}`, b.slot(destination), b.value(source, size));
});

moves.set(Op.Lea, (b) => {
  const destination = b.instruction.operands[0];
  const size = b.sizeOf(destination.size);
  const slot = b.slot(destination);
  b.plainAddress((form, fields) => {
    if (b.instruction.addressSize === 2 && size === 4) {
      const address = b.temporary(Temporary.address);
      b.emit(`lea2.${form}`, address, ...fields);
      b.emit('zero2.4', slot, address);
    } else if (b.instruction.addressSize === 4 && size === 8) b.emit(`lea4.${form}`, slot, ...fields);
    else b.emit(`lea${size}.${form}`, slot, ...fields);
  });
});

moves.set(Op.Xchg, (b) => {
  // Either operand may be the memory one; the other is a register.
  const [first, second] = b.instruction.operands;
  const [place, other] = second.kind === OperandKind.Mem ? [second, first] : [first, second];
  const size = b.sizeOf(place.size);
  const old = b.temporary(Temporary.first);
  if (place.kind === OperandKind.Mem) {
    const [base, displacement] = b.baseAddress();
    b.emit(`wload${size}`, old, base!, displacement!);
    b.emit(`store${size}.base`, base!, displacement!, b.slot(other));
  } else {
    b.emit(`move${size}`, old, b.slot(place));
    b.emit(`move${size}`, b.slot(place), b.slot(other));
  }
  b.emit(`move${size}`, b.slot(other), old);
});

moves.set(Op.Xlat, (b) => {
  const address = b.temporary(Temporary.address);
  b.emit('zero1.8', address, b.register(RAX));
  b.emit('add8', address, address, b.register(RBX));
  b.finishAddress(address);
  b.emit('load1.base', b.register(RAX), address, 0);
});

moves.set(Op.Bswap, (b) => {
  const destination = b.instruction.operands[0];
  const slot = b.slot(destination);
  // Undefined for 16 bits (SDM volume 2, BSWAP); processors clear the register's low word.
  if (destination.size === 2) b.emit('move2', slot, b.number(0));
  else b.emit(`bswap${b.sizeOf(destination.size)}`, slot, slot);
});

moves.set(Op.Cmovcc, (b) => {
  const [destination, source] = b.instruction.operands;
  const size = b.sizeOf(destination.size);
  const value = b.value(source, size);
  const condition = b.temporary(Temporary.condition);
  emitCondition(b, condition);
  b.emit(`select${size}`, b.slot(destination), value, b.slot(destination), condition);
});

moves.set(Op.Setcc, (b) => {
  const destination = b.instruction.operands[0];
  const condition = b.temporary(Temporary.condition);
  emitCondition(b, condition);
  if (destination.kind === OperandKind.Mem) store(b, 1, condition);
  else b.emit('move1', b.slot(destination), condition);
});

moves.set(Op.Push, (b) => {
  const { operands, operandSize } = b.instruction;
  const size = operandSize === 2 ? 2 : 8;
  b.emit(`push${size}`, b.register(RSP), b.value(operands[0], size));
});

moves.set(Op.Pop, (b) => {
  const { operands, operandSize, base, index } = b.instruction;
  const size = operandSize === 2 ? 2 : 8;
  const stack = b.register(RSP);
  if (operands[0].kind !== OperandKind.Mem) {
    b.emit(`pop${size}`, b.slot(operands[0]), stack);
    return;
  }
  // The address is computed after RSP was incremented (SDM volume 2, POP); RSP itself changes last. RSP is never an index.
  const value = b.temporary(Temporary.first);
  b.emit(`load${size}.base`, value, stack, 0);
  if (base === RSP && index < 0 && b.instruction.segment < 0 && b.instruction.addressSize === 8) {
    b.emit(`store${size}.base`, stack, b.instruction.dispLo + size, value);
  } else {
    const [slot, displacement] = b.baseAddress();
    b.emit(`store${size}.base`, slot!, displacement! + (base === RSP ? size : 0), value);
  }
  b.emit('lea8.base', stack, stack, size);
});

moves.set(Op.Pushf, (b) => {
  const flags = b.temporary(Temporary.first);
  b.ready();
  b.emit('readflags', flags);
  b.emit(`push${b.instruction.operandSize === 2 ? 2 : 8}`, b.register(RSP), flags);
});

moves.set(Op.Lahf, (b) => {
  const flags = b.temporary(Temporary.first);
  b.ready();
  b.emit('readflags', flags);
  b.emit('move1', b.register(RAX) + 1, flags);
});
moves.set(Op.Sahf, (b) => {
  b.ready();
  b.emit('sahf', b.register(RAX) + 1);
});
moves.set(Op.Clc, (b) => {
  b.ready();
  b.emit('setcarry', b.number(0));
});
moves.set(Op.Stc, (b) => {
  b.ready();
  b.emit('setcarry', b.number(1));
});
moves.set(Op.Cmc, (b) => {
  const carry = b.temporary(Temporary.first);
  b.emit('xor8', carry, b.carry(), b.number(1));
  b.ready();
  b.emit('setcarry', carry);
});
moves.set(Op.Cli, (b) => b.emit('cli', b.segmentRecord(Segment.ss)));
moves.set(Op.Cld, (b) => b.emit('cld'));
moves.set(Op.Std, (b) => b.emit('std'));

// Nesting level 0; the others are system instructions.
moves.set(Op.Enter, (b) => {
  const { immLo } = b.instruction;
  const frame = b.temporary(Temporary.first);
  const stack = b.register(RSP);
  b.emit('store8.base', stack, -8, b.register(RBP));
  // Nothing is written where RSP ends up, but it must be writable (SDM volume 2, ENTER).
  b.emit('wload8', b.temporary(Temporary.second), stack, -8 - immLo);
  b.emit('lea8.base', frame, stack, -8);
  b.emit('lea8.base', stack, stack, -8 - immLo);
  b.emit('move8', b.register(RBP), frame);
});

moves.set(Op.Leave, (b) => {
  const size = b.instruction.operandSize === 2 ? 2 : 8;
  const value = b.temporary(Temporary.first);
  b.emit(`load${size}.base`, value, b.register(RBP), 0);
  b.emit('lea8.base', b.register(RSP), b.register(RBP), size);
  b.emit(`move${size}`, b.register(RBP), value);
});

moves.set(Op.Cbw, (b) => {
  const size = b.sizeOf(b.instruction.operandSize);
  b.emit({ 1: '', 2: 'sign1.2', 4: 'sign2.4', 8: 'sign4.8' }[size], b.register(RAX), b.register(RAX));
});
moves.set(Op.Cwd, (b) => b.emit(`spread${b.sizeOf(b.instruction.operandSize)}`, b.register(RDX), b.register(RAX)));

for (const op of [Op.Nop, Op.Prefetch, Op.Endbr, Op.Lfence, Op.Mfence, Op.Sfence] as const) {
  moves.set(op, () => undefined);
}
// A cache line flush reads its byte, as far as faults go.
for (const op of [Op.Clflush, Op.Clflushopt, Op.Clwb] as const) {
  moves.set(op, (b) => {
    b.withAddress((form, fields) => b.emit(`load1.${form}`, b.temporary(Temporary.first), ...fields));
  });
}
