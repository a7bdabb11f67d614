import { I32, I64 } from '../wasm/opcodes.js';
import { Leave } from './accessors.js';
import type { Accessors } from './accessors.js';
import { cut, signExtend } from './bits.js';
import { Flag, FlagKind, SIZES } from './flags.js';
import type { Size } from './flags.js';
import { Family } from './registry.js';

/**
 * Multiplication and division. The flags that MUL and IMUL leave undefined (SF, ZF, AF, PF) come from the low half of the
 * product; DIV and IDIV leave the flags alone.
 */
export const multiply = new Family();

const LOW_HALF = 0xffffffff;
const CARRY_AND_OVERFLOW = Flag.cf | Flag.of;

/** Pushes the high 64 bits of a * b, from four 32-bit products; a and b stay, c and d do not. */
function pushHighProduct(c: Accessors, signed: boolean): void {
  const { w, t } = c;
  const low = (): void => void w.i64(LOW_HALF).op(I64.and);
  const high = (): void => void w.i64(32).op(I64.shrU);
  w.get(t.a);
  high();
  w.get(t.b);
  low();
  w.op(I64.mul).get(t.a);
  low();
  w.get(t.b);
  low();
  w.op(I64.mul);
  high();
  w.op(I64.add).set(t.c);
  w.get(t.a);
  low();
  w.get(t.b);
  high();
  w.op(I64.mul).get(t.c);
  low();
  w.op(I64.add).set(t.d);
  w.get(t.a);
  high();
  w.get(t.b);
  high();
  w.op(I64.mul).get(t.c);
  high();
  w.op(I64.add).get(t.d);
  high();
  w.op(I64.add);
  if (signed) {
    w.get(t.a).i64(63).op(I64.shrS).get(t.b).op(I64.and, I64.sub);
    w.get(t.b).i64(63).op(I64.shrS).get(t.a).op(I64.and, I64.sub);
  }
}

/** Fetches two factors into a and b, extended to 64 bits. */
function fetchFactors(c: Accessors, first: number, second: number, size: Size, signed: boolean): void {
  c.get(first, size);
  if (signed) signExtend(c.w, size);
  c.get(second, size);
  if (signed) signExtend(c.w, size);
  c.w.set(c.t.b).set(c.t.a);
}

/** Puts CF and OF into d: whether the i32 on the stack is set. */
function carryAndOverflowIf(c: Accessors): void {
  c.w.extend().i64(CARRY_AND_OVERFLOW).op(I64.mul).set(c.t.d);
}

for (const size of [2, 4, 8] as const) {
  // IMUL with two or three operands: fields destination, factor, factor.
  multiply.defineWithImmediate(`imul${size}`, 'rrr', size, (c) => {
    c.set(0, size, () => {
      c.get(1, size);
      c.get(2, size);
      c.w.op(I64.mul);
    });
  });
  multiply.defineWithImmediate(`imul${size}.f`, 'rrr', size, (c) => {
    const { w, t } = c;
    fetchFactors(c, 1, 2, size, true);
    w.get(t.a).get(t.b).op(I64.mul).set(t.r);
    if (size === 8) {
      pushHighProduct(c, true);
      w.get(t.r).i64(63).op(I64.shrS, I64.ne);
    } else {
      w.get(t.r).get(t.r);
      signExtend(w, size);
      w.op(I64.ne);
    }
    carryAndOverflowIf(c);
    w.get(t.r);
    cut(w, size);
    w.set(t.r);
    c.flags(FlagKind.Result, size, t.r, t.d);
    c.set(0, size, () => w.get(t.r));
  });
}

for (const size of SIZES) {
  for (const signed of [false, true]) {
    // Fields: low destination and first factor, high destination, second factor. The 8-bit product goes to AX, the low destination.
    multiply.define(`${signed ? 'smul' : 'umul'}${size}`, 'rrr', (c) => {
      const { w, t } = c;
      fetchFactors(c, 0, 2, size, signed);
      w.get(t.a).get(t.b).op(I64.mul).set(t.r);
      if (size === 8) {
        pushHighProduct(c, signed);
        w.set(t.a).get(t.a);
        if (signed) w.get(t.r).i64(63).op(I64.shrS, I64.ne);
        else w.op(I64.eqz, I32.eqz);
      } else {
        w.get(t.r).i64(8 * size).op(signed ? I64.shrS : I64.shrU).set(t.a);
        w.get(t.r).get(t.r);
        if (signed) signExtend(w, size);
        else cut(w, size);
        w.op(I64.ne);
      }
      carryAndOverflowIf(c);
      w.get(t.r);
      cut(w, size);
      w.set(t.b);
      c.flags(FlagKind.Result, size, t.b, t.d);
      if (size === 1) {
        c.set(0, 2, () => w.get(t.r));
        return;
      }
      c.set(0, size, () => w.get(t.r));
      c.set(1, size, () => w.get(t.a));
    });
  }

  for (const signed of [false, true]) {
    // Fields: low half and quotient, high half and remainder, divisor. With 8 bits AX is divided, into AL and AH.
    multiply.define(`${signed ? 'sdiv' : 'udiv'}${size}`, 'rrr', (c) => {
      const { w, t } = c;
      c.get(2, size);
      if (signed) signExtend(w, size);
      w.set(t.b);
      if (size === 8) divideWide(c, signed);
      else divideNarrow(c, size, signed);
      c.set(0, size, () => w.get(t.r));
      c.set(1, size, () => w.get(t.d));
    });
  }
}

function divideError(c: Accessors): void {
  c.w.if();
  c.fault(Leave.Divide);
  c.w.end();
}

/** Divides a dividend of at most 64 bits by b: quotient to r, remainder to d. */
function divideNarrow(c: Accessors, size: Size, signed: boolean): void {
  const { w, t } = c;
  if (size === 1) {
    c.get(0, 2);
    if (signed) signExtend(w, 2);
  } else {
    c.get(1, size);
    w.i64(8 * size).op(I64.shl);
    c.get(0, size);
    w.op(I64.or);
    if (signed && size === 2) signExtend(w, 4);
  }
  w.set(t.a);
  w.get(t.b).op(I64.eqz);
  divideError(c);
  if (signed && size === 4) {
    // The one quotient that i64 division itself refuses.
    w.get(t.a).i64(-(2n ** 63n)).op(I64.eq).get(t.b).i64(-1).op(I64.eq, I32.and);
    divideError(c);
  }
  w.get(t.a).get(t.b).op(signed ? I64.divS : I64.divU).set(t.r);
  w.get(t.r).get(t.r);
  if (signed) signExtend(w, size);
  else cut(w, size);
  w.op(I64.ne);
  divideError(c);
  w.get(t.a).get(t.b).op(signed ? I64.remS : I64.remU).set(t.d);
}

/** Divides RDX:RAX by b: quotient to r, remainder to d. */
function divideWide(c: Accessors, signed: boolean): void {
  const { w, t } = c;
  c.get(0, 8);
  w.set(t.a);
  c.get(1, 8);
  w.set(t.d);
  w.get(t.b).op(I64.eqz);
  divideError(c);
  // n: bit 0 the quotient is negative, bit 1 the dividend was.
  w.i32(0).set(t.n);
  if (signed) {
    w.get(t.d).i64(0).op(I64.ltS).if().i32(3).set(t.n);
    w.i64(0).get(t.a).op(I64.sub).tee(t.a).op(I64.eqz).extend();
    w.get(t.d).i64(-1).op(I64.xor, I64.add).set(t.d).end();
    w.get(t.b).i64(0).op(I64.ltS).if();
    w.get(t.n).i32(1).op(I32.xor).set(t.n);
    w.i64(0).get(t.b).op(I64.sub).set(t.b).end();
  }
  // The quotient fits only if the high half is below the divisor.
  w.get(t.d).get(t.b).op(I64.geU);
  divideError(c);
  w.get(t.d).op(I64.eqz).if();
  w.get(t.a).get(t.b).op(I64.divU).set(t.r);
  w.get(t.a).get(t.b).op(I64.remU).set(t.d);
  w.else();
  // Long division, a bit a step: d is the running remainder, a gives its bits at the top and takes the quotient's at the bottom.
  w.i64(64).set(t.c).loop();
  w.get(t.d).i64(0).op(I64.ltS).extend().set(t.r);
  w.get(t.d).i64(1).op(I64.shl).get(t.a).i64(63).op(I64.shrU, I64.or).set(t.d);
  w.get(t.a).i64(1).op(I64.shl).set(t.a);
  w.get(t.d).get(t.b).op(I64.geU).get(t.r).wrap().op(I32.or).if();
  w.get(t.d).get(t.b).op(I64.sub).set(t.d);
  w.get(t.a).i64(1).op(I64.or).set(t.a).end();
  w.get(t.c).i64(1).op(I64.sub).tee(t.c).op(I64.eqz, I32.eqz).brIf(0).end();
  w.get(t.a).set(t.r).end();
  if (signed) {
    // A negative quotient reaches one further than a positive one.
    w.get(t.r).i64(2n ** 63n - 1n).get(t.n).i32(1).op(I32.and).extend().op(I64.add, I64.gtU);
    divideError(c);
    w.get(t.n).i32(1).op(I32.and).if().i64(0).get(t.r).op(I64.sub).set(t.r).end();
    w.get(t.n).i32(2).op(I32.and).if().i64(0).get(t.d).op(I64.sub).set(t.d).end();
  }
}
