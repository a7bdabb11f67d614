import { I64 } from '../wasm/opcodes.js';
import type { Accessors } from './accessors.js';
import { cut, signExtend, toFlag, topBit } from './bits.js';
import { Flag, FlagKind, SIZES } from './flags.js';
import type { Size } from './flags.js';
import { Family } from './registry.js';

/**
 * Shifts and rotates. Fields: destination, source, count. A count of zero (after masking) leaves flags and, but for the
 * zero-extension of a 32-bit destination, the value. Where the architecture leaves OF undefined (counts other than 1),
 * it is what the one-bit formula gives; AF is 0.
 */
export const shift = new Family();

/** Puts the masked count into b: 6 bits for 64-bit operands, else 5 (SDM volume 2, SAL/SAR/SHL/SHR). */
function fetchCount(c: Accessors, field: number, size: Size): void {
  c.get(field, 1);
  c.w.i64(size === 8 ? 63 : 31).op(I64.and).set(c.t.b);
}

const SHIFTS = ['shl', 'shr', 'sar'] as const;
const ROTATES = ['rol', 'ror'] as const;

/** Pushes a shifted by b. */
function pushShift(c: Accessors, name: (typeof SHIFTS)[number]): void {
  c.w.get(c.t.a).get(c.t.b).op({ shl: I64.shl, shr: I64.shrU, sar: I64.shrS }[name]);
}

/** Pushes a rotated by b. */
function pushRotate(c: Accessors, name: (typeof ROTATES)[number], size: Size): void {
  const { w, t } = c;
  if (size === 8) {
    w.get(t.a).get(t.b).op(name === 'rol' ? I64.rotl : I64.rotr);
    return;
  }
  // The value repeated through 64 bits rotates as the short one does.
  const repeated = { 1: 0x0101010101010101n, 2: 0x0001000100010001n, 4: 0x0000000100000001n }[size];
  w.get(t.a).i64(repeated).op(I64.mul).get(t.b).op(name === 'rol' ? I64.rotl : I64.rotr);
}

for (const size of SIZES) {
  for (const name of SHIFTS) {
    const fetchValue = (c: Accessors): void => {
      c.get(1, size);
      if (name === 'sar') signExtend(c.w, size);
      c.w.set(c.t.a);
    };
    shift.defineWithImmediate(`${name}${size}`, 'rrr', 1, (c) => {
      fetchValue(c);
      fetchCount(c, 2, size);
      c.set(0, size, () => pushShift(c, name));
    });
    shift.defineWithImmediate(`${name}${size}.f`, 'rrr', 1, (c) => {
      const { w, t } = c;
      fetchValue(c);
      fetchCount(c, 2, size);
      pushShift(c, name);
      cut(w, size);
      w.set(t.r);
      w.get(t.b).op(I64.eqz).if().else();
      // CF: the last bit shifted out.
      if (name !== 'shl') w.get(t.a).get(t.b).i64(1).op(I64.sub, name === 'sar' ? I64.shrS : I64.shrU);
      else if (size === 8) w.get(t.a).i64(64).get(t.b).op(I64.sub, I64.shrU);
      else w.get(t.a).get(t.b).op(I64.shl).i64(8 * size).op(I64.shrU);
      w.i64(1).op(I64.and).set(t.d);
      // OF: for SHL the sign changed, for SHR the sign was set, for SAR never.
      if (name === 'shl') {
        w.get(t.r);
        topBit(w, size);
        w.get(t.d).op(I64.xor);
        toFlag(w, Flag.of);
        w.get(t.d).op(I64.or).set(t.d);
      } else if (name === 'shr') {
        w.get(t.a);
        topBit(w, size);
        toFlag(w, Flag.of);
        w.get(t.d).op(I64.or).set(t.d);
      }
      c.flags(FlagKind.Result, size, t.r, t.d);
      w.end();
      c.set(0, size, () => w.get(t.r));
    });
  }
  for (const name of ROTATES) {
    shift.defineWithImmediate(`${name}${size}`, 'rrr', 1, (c) => {
      c.get(1, size);
      c.w.set(c.t.a);
      fetchCount(c, 2, size);
      c.set(0, size, () => pushRotate(c, name, size));
    });
    // Touches CF and OF only, so the flags must be ready.
    shift.define(`${name}${size}.f`, 'rrr', (c) => {
      const { w, t } = c;
      c.get(1, size);
      w.set(t.a);
      fetchCount(c, 2, size);
      pushRotate(c, name, size);
      cut(w, size);
      w.set(t.r);
      w.get(t.b).op(I64.eqz).if().else();
      if (name === 'rol') {
        w.get(t.r).i64(1).op(I64.and).tee(t.d).get(t.r);
        topBit(w, size);
        w.op(I64.xor);
      } else {
        w.get(t.r);
        topBit(w, size);
        w.tee(t.d).get(t.r).i64(8 * size - 2).op(I64.shrU).i64(1).op(I64.and, I64.xor);
      }
      toFlag(w, Flag.of);
      w.get(t.d).op(I64.or).set(t.d);
      replaceCarryAndOverflow(c);
      w.end();
      c.set(0, size, () => w.get(t.r));
    });
  }
  // RCL and RCR rotate through CF: one bit a step. Fields: destination, source, count, carry slot. Flags must be ready.
  for (const name of ['rcl', 'rcr'] as const) {
    const rotate = (c: Accessors): void => {
      const { w, t } = c;
      c.get(1, size);
      w.set(t.r);
      fetchCount(c, 2, size);
      c.get(3, 8);
      w.set(t.d);
      w.block().loop();
      w.get(t.b).op(I64.eqz).brIf(1);
      if (name === 'rcl') {
        w.get(t.r);
        topBit(w, size);
        w.get(t.r).i64(1).op(I64.shl).get(t.d).op(I64.or);
        cut(w, size);
        w.set(t.r).set(t.d);
      } else {
        w.get(t.r).i64(1).op(I64.and);
        w.get(t.r).i64(1).op(I64.shrU).get(t.d).i64(8 * size - 1).op(I64.shl, I64.or).set(t.r).set(t.d);
      }
      w.get(t.b).i64(1).op(I64.sub).set(t.b).br(0);
      w.end().end();
    };
    shift.define(`${name}${size}`, 'rrrr', (c) => {
      rotate(c);
      c.set(0, size, () => c.w.get(c.t.r));
    });
    shift.define(`${name}${size}.f`, 'rrrr', (c) => {
      const { w, t } = c;
      rotate(c);
      fetchCount(c, 2, size);
      w.get(t.b).op(I64.eqz).if().else();
      w.get(t.r);
      topBit(w, size);
      if (name === 'rcl') w.get(t.d);
      else w.get(t.r).i64(8 * size - 2).op(I64.shrU).i64(1).op(I64.and);
      w.op(I64.xor);
      toFlag(w, Flag.of);
      w.get(t.d).op(I64.or).set(t.d);
      replaceCarryAndOverflow(c);
      w.end();
      c.set(0, size, () => w.get(t.r));
    });
  }
}

/** Puts CF and OF from d into the ready flags. */
function replaceCarryAndOverflow(c: Accessors): void {
  const { w, t } = c;
  c.flagA(8);
  w.i64(~(Flag.cf | Flag.of)).op(I64.and).get(t.d).op(I64.or).set(t.d);
  c.flags(FlagKind.Ready, 4, t.d);
}

// SHLD and SHRD: fields destination, value, filler, count. Counts above 16 of a 16-bit operand are undefined; here the filler
// is followed by the value itself, as if value and filler were one 32-bit ring.
for (const size of [2, 4, 8] as const) {
  for (const name of ['shld', 'shrd'] as const) {
    const compute = (c: Accessors): void => {
      const { w, t } = c;
      const bits = 8 * size;
      c.get(1, size);
      w.set(t.a);
      c.get(2, size);
      w.set(t.c);
      fetchCount(c, 3, size);
      if (size === 8) {
        // The filler's shift is split in two, because a shift by 64 (count 0) would be one by 0.
        const [forward, backward] = name === 'shld' ? [I64.shl, I64.shrU] : [I64.shrU, I64.shl];
        w.get(t.a).get(t.b).op(forward);
        w.get(t.c).i64(1).op(backward).i64(63).get(t.b).op(I64.sub, backward, I64.or).set(t.r);
        return;
      }
      if (size === 2) {
        if (name === 'shld') w.get(t.a).i64(32).op(I64.shl).get(t.c).i64(16).op(I64.shl, I64.or).get(t.a).op(I64.or).get(t.b).op(I64.shl).i64(32).op(I64.shrU);
        else w.get(t.a).i64(32).op(I64.shl).get(t.c).i64(16).op(I64.shl, I64.or).get(t.a).op(I64.or).get(t.b).op(I64.shrU);
      } else if (name === 'shld') w.get(t.a).i64(bits).op(I64.shl).get(t.c).op(I64.or).get(t.b).op(I64.shl).i64(bits).op(I64.shrU);
      else w.get(t.c).i64(bits).op(I64.shl).get(t.a).op(I64.or).get(t.b).op(I64.shrU);
      cut(w, size);
      w.set(t.r);
    };
    shift.define(`${name}${size}`, 'rrrr', (c) => {
      compute(c);
      c.set(0, size, () => c.w.get(c.t.r));
    });
    shift.define(`${name}${size}.f`, 'rrrr', (c) => {
      const { w, t } = c;
      compute(c);
      w.get(t.b).op(I64.eqz).if().else();
      if (name === 'shrd') w.get(t.a).get(t.b).i64(1).op(I64.sub, I64.shrU);
      else if (size === 8) w.get(t.a).i64(64).get(t.b).op(I64.sub, I64.shrU);
      else w.get(t.a).get(t.b).op(I64.shl).i64(8 * size).op(I64.shrU);
      w.i64(1).op(I64.and);
      w.get(t.r).get(t.a).op(I64.xor);
      topBit(w, size);
      toFlag(w, Flag.of);
      w.op(I64.or).set(t.d);
      c.flags(FlagKind.Result, size, t.r, t.d);
      w.end();
      c.set(0, size, () => w.get(t.r));
    });
  }
}

