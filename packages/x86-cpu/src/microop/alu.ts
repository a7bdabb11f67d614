import { I64 } from '../wasm/opcodes.js';
import type { Accessors } from './accessors.js';
import { effectiveAddress } from './address.js';
import { cut, toFlag, topBit } from './bits.js';
import { Flag, FlagKind, SIZES } from './flags.js';
import type { Size } from './flags.js';
import { Family } from './registry.js';

const OPERATIONS = { add: I64.add, sub: I64.sub, and: I64.and, or: I64.or, xor: I64.xor } as const;

/** The operations whose flags are left lazily. */
export type AluName = keyof typeof OPERATIONS;
export const ALU_NAMES = Object.keys(OPERATIONS) as AluName[];

/** Fetches two operands into a and b. */
export function fetchOperands(c: Accessors, first: number, second: number, size: Size): void {
  c.get(first, size);
  c.get(second, size);
  c.w.set(c.t.b).set(c.t.a);
}

/** Puts a op b into r, cut to the size. */
export function computeAlu(c: Accessors, name: AluName, size: Size): void {
  const { w, t } = c;
  w.get(t.a).get(t.b).op(OPERATIONS[name]);
  if (name === 'add' || name === 'sub') cut(w, size);
  w.set(t.r);
}

/** Leaves the flags of a op b = r. */
export function leaveAluFlags(c: Accessors, name: AluName, size: Size): void {
  const { t } = c;
  if (name === 'add') c.flags(FlagKind.Add, size, t.a, t.b);
  else if (name === 'sub') c.flags(FlagKind.Sub, size, t.a, t.b);
  else c.flags(FlagKind.Logic, size, t.r);
}

/** Addition, subtraction and logic. Carry-consuming operations take the carry from a slot that `carry` filled. */
export const alu = new Family();

const { fields: baseFields, push: pushBase } = effectiveAddress.base;

for (const size of SIZES) {
  for (const name of ALU_NAMES) {
    alu.defineWithImmediate(`${name}${size}`, 'rrr', size, (c) => {
      c.set(0, size, () => {
        c.get(1, size);
        c.get(2, size);
        c.w.op(OPERATIONS[name]);
      });
    });
    alu.defineWithImmediate(`${name}${size}.f`, 'rrr', size, (c) => {
      fetchOperands(c, 1, 2, size);
      computeAlu(c, name, size);
      leaveAluFlags(c, name, size);
      c.set(0, size, () => c.w.get(c.t.r));
    });
    alu.define(`${name}${size}.f.load`, `r${baseFields}`, (c) => {
      c.load(size, () => pushBase(c, 1));
      c.w.set(c.t.b);
      c.get(0, size);
      c.w.set(c.t.a);
      computeAlu(c, name, size);
      leaveAluFlags(c, name, size);
      c.set(0, size, () => c.w.get(c.t.r));
    });
    alu.defineWithImmediate(`${name}${size}.f.modify`, `${baseFields}r`, size, (c) => {
      c.modify(
        size,
        () => pushBase(c, 0),
        () => {
          c.w.set(c.t.a);
          c.get(2, size);
          c.w.set(c.t.b);
          computeAlu(c, name, size);
          c.w.get(c.t.r);
        },
      );
      leaveAluFlags(c, name, size);
    });
  }

  alu.defineWithImmediate(`cmp${size}`, 'rr', size, (c) => {
    fetchOperands(c, 0, 1, size);
    c.flags(FlagKind.Sub, size, c.t.a, c.t.b);
  });
  alu.defineWithImmediate(`test${size}`, 'rr', size, (c) => {
    fetchOperands(c, 0, 1, size);
    computeAlu(c, 'and', size);
    c.flags(FlagKind.Logic, size, c.t.r);
  });
  alu.defineWithImmediate(`cmp${size}.load`, `${baseFields}r`, size, (c) => {
    c.load(size, () => pushBase(c, 0));
    c.w.set(c.t.a);
    c.get(2, size);
    c.w.set(c.t.b);
    c.flags(FlagKind.Sub, size, c.t.a, c.t.b);
  });

  for (const name of ['adc', 'sbb'] as const) {
    // a ± b ± carry without flags: the value a read-modify-write stores before its flags are committed.
    alu.define(`${name}${size}`, 'rrrr', (c) => {
      c.set(0, size, () => {
        c.get(1, size);
        c.get(2, size);
        c.w.op(name === 'adc' ? I64.add : I64.sub);
        c.get(3, 8);
        c.w.op(name === 'adc' ? I64.add : I64.sub);
      });
    });
    alu.define(`${name}${size}.f`, 'rrrr', (c) => {
      fetchOperands(c, 1, 2, size);
      const { w, t } = c;
      w.get(t.a).get(t.b).op(name === 'adc' ? I64.add : I64.sub);
      c.get(3, 8);
      w.op(name === 'adc' ? I64.add : I64.sub);
      cut(w, size);
      w.set(t.r);
      pushCarryChainFlags(c, name, size);
      w.set(t.d);
      c.flags(FlagKind.Result, size, t.r, t.d);
      c.set(0, size, () => w.get(t.r));
    });
  }
  for (const name of ['inc', 'dec'] as const) {
    // CF survives: the last field is the slot that holds it.
    alu.define(`${name}${size}.f`, 'rrr', (c) => {
      const { w, t } = c;
      c.get(1, size);
      w.i64(1).op(name === 'inc' ? I64.add : I64.sub);
      cut(w, size);
      w.set(t.r);
      c.get(2, 8);
      // AF: the low digit wrapped; OF: the sign wrapped.
      w.get(t.r).i64(15).op(I64.and).i64(name === 'inc' ? 0 : 15).op(I64.eq).extend();
      toFlag(w, Flag.af);
      w.op(I64.or).get(t.r);
      const minimum = size === 8 ? -(2 ** 63) : 2 ** (8 * size - 1);
      if (name === 'inc') w.i64(BigInt(minimum));
      else w.i64(BigInt(minimum) - 1n);
      w.op(I64.eq).extend();
      toFlag(w, Flag.of);
      w.op(I64.or).set(t.d);
      c.flags(FlagKind.Result, size, t.r, t.d);
      c.set(0, size, () => w.get(t.r));
    });
  }
}

/**
 * Pushes CF, AF and OF of a + b + carry (a - b - carry) = r. The carries out of every bit are the majority of the
 * operands and the inverted result, so one expression serves every size.
 */
function pushCarryChainFlags(c: Accessors, name: 'adc' | 'sbb', size: Size): void {
  const { w, t } = c;
  if (name === 'adc') {
    w.get(t.a).get(t.b).op(I64.and).get(t.a).get(t.b).op(I64.or).get(t.r).i64(-1).op(I64.xor, I64.and, I64.or);
  } else {
    w.get(t.a).i64(-1).op(I64.xor).tee(t.c).get(t.b).op(I64.and).get(t.c).get(t.b).op(I64.or).get(t.r).op(I64.and, I64.or);
  }
  topBit(w, size);
  w.get(t.a).get(t.b).op(I64.xor).get(t.r).op(I64.xor).i64(Flag.af).op(I64.and, I64.or);
  if (name === 'adc') w.get(t.a).get(t.r).op(I64.xor).get(t.b).get(t.r).op(I64.xor, I64.and);
  else w.get(t.a).get(t.b).op(I64.xor).get(t.a).get(t.r).op(I64.xor, I64.and);
  topBit(w, size);
  toFlag(w, Flag.of);
  w.op(I64.or);
}
