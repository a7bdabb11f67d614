import { Ctl, I64 } from '../wasm/opcodes.js';
import { ADDRESS_FORMS, effectiveAddress } from './address.js';
import { signExtend } from './bits.js';
import { SIZES } from './flags.js';
import type { Size } from './flags.js';
import { Family } from './registry.js';

/** Moves between slots and memory, extensions, address computation and the stack. */
export const move = new Family();

/** Sign extensions by source and destination size. */
export const EXTENSIONS: readonly (readonly [Size, Size])[] = [[1, 2], [1, 4], [1, 8], [2, 4], [2, 8], [4, 8]];

for (const size of SIZES) {
  move.defineWithImmediate(`move${size}`, 'rr', size, (c) => c.set(0, size, () => c.get(1, size)));
  // Fields: destination, value if the condition holds, value if not, condition slot (0 or 1).
  move.define(`select${size}`, 'rrrr', (c) => {
    c.set(0, size, () => {
      c.get(1, size);
      c.get(2, size);
      c.get(3, 8);
      c.w.wrap().op(Ctl.select);
    });
  });
}
// Zero extension: a narrow read is wide already.
for (const [from, to] of EXTENSIONS) {
  if (from !== 4) {
    move.define(`zero${from}.${to}`, 'rr', (c) => c.set(0, to, () => c.get(1, from)));
  }
  move.define(`sign${from}.${to}`, 'rr', (c) => {
    c.set(0, to, () => {
      c.get(1, from);
      signExtend(c.w, from);
    });
  });
}
// CWD, CDQ, CQO: every bit of the destination is the sign of the source.
for (const size of [2, 4, 8] as const) {
  move.define(`spread${size}`, 'rr', (c) => {
    c.set(0, size, () => {
      c.get(1, size);
      signExtend(c.w, size);
      c.w.i64(63).op(I64.shrS);
    });
  });
}

for (const form of ADDRESS_FORMS) {
  const { fields, push } = effectiveAddress[form];
  for (const size of [2, 4, 8] as const) {
    move.define(`lea${size}.${form}`, `r${fields}`, (c) => c.set(0, size, () => push(c, 1)));
  }
  for (const size of SIZES) {
    move.define(`load${size}.${form}`, `r${fields}`, (c) => {
      c.load(size, () => push(c, 1));
      c.w.set(c.t.a);
      c.set(0, size, () => c.w.get(c.t.a));
    });
    move.defineWithImmediate(`store${size}.${form}`, `${fields}r`, size, (c) => {
      c.store(size, () => push(c, 0), () => c.get(fields.length, size));
    });
  }
  for (const [from, to] of EXTENSIONS) {
    if (from !== 4) {
      move.define(`zload${from}.${to}.${form}`, `r${fields}`, (c) => {
        c.load(from, () => push(c, 1));
        c.w.set(c.t.a);
        c.set(0, to, () => c.w.get(c.t.a));
      });
    }
    move.define(`sload${from}.${to}.${form}`, `r${fields}`, (c) => {
      c.load(from, () => push(c, 1));
      signExtend(c.w, from);
      c.w.set(c.t.a);
      c.set(0, to, () => c.w.get(c.t.a));
    });
  }
}
for (const size of SIZES) {
  move.define(`wload${size}`, `r${effectiveAddress.base.fields}`, (c) => {
    c.loadForWrite(size, () => effectiveAddress.base.push(c, 1));
    c.w.set(c.t.a);
    c.set(0, size, () => c.w.get(c.t.a));
  });
}

// Fields: stack pointer, value. PUSH RSP pushes the old value, so the value is read before the pointer is written.
for (const size of [2, 8] as const) {
  move.defineWithImmediate(`push${size}`, 'rr', size, (c) => {
    const below = (): void => {
      c.get(0, 8);
      c.w.i64(size).op(I64.sub);
    };
    c.store(size, below, () => c.get(1, size));
    c.set(0, 8, below);
  });
  // Fields: destination, stack pointer. POP RSP leaves the popped value.
  move.define(`pop${size}`, 'rr', (c) => {
    const { w, t } = c;
    c.load(size, () => c.get(1, 8));
    w.set(t.a);
    c.set(1, 8, () => {
      c.get(1, 8);
      w.i64(size).op(I64.add);
    });
    c.set(0, size, () => w.get(t.a));
  });
}

// 1 if the source is not 0, else 0.
for (const size of [2, 4, 8] as const) {
  move.define(`nonzero${size}`, 'rr', (c) => {
    c.set(0, 8, () => {
      c.get(1, size);
      c.w.i64(0).op(I64.ne).extend();
    });
  });
}

for (const size of [2, 4, 8] as const) {
  move.define(`bswap${size}`, 'rr', (c) => {
    const { w, t } = c;
    c.get(1, size);
    // Swap bytes, then words, then halves: each step exchanges neighbours.
    w.set(t.a);
    const steps: readonly [bigint, number][] = [[0x00ff00ff00ff00ffn, 8], [0x0000ffff0000ffffn, 16]];
    for (const [mask, distance] of steps) {
      w.get(t.a).i64(mask).op(I64.and).i64(distance).op(I64.shl);
      w.get(t.a).i64(distance).op(I64.shrU).i64(mask).op(I64.and, I64.or).set(t.a);
    }
    w.get(t.a).i64(32).op(I64.rotl);
    if (size < 8) w.i64(64 - 8 * size).op(I64.shrU);
    w.set(t.a);
    c.set(0, size, () => w.get(t.a));
  });
}

// CMPXCHG. The one of accumulator and destination that does not change is not written, not even zero-extended.
for (const size of SIZES) {
  // Fields: accumulator, value found. The accumulator takes the value found unless they are equal.
  move.define(`accumulate${size}`, 'rr', (c) => {
    const { w, t } = c;
    c.get(0, size);
    c.get(1, size);
    w.set(t.b).tee(t.a).get(t.b).op(I64.ne).if();
    c.set(0, size, () => w.get(t.b));
    w.end();
  });
  // What a destination in memory is to hold. Fields: result, accumulator, value found, replacement.
  move.define(`exchange${size}`, 'rrrr', (c) => {
    c.set(0, size, () => {
      c.get(3, size);
      c.get(2, size);
      c.get(1, size);
      c.get(2, size);
      c.w.op(I64.eq, Ctl.select);
    });
  });
  // A destination in a register. Fields: destination, accumulator, value found, replacement.
  move.define(`replace${size}`, 'rrrr', (c) => {
    const { w, t } = c;
    c.get(1, size);
    c.get(2, size);
    c.get(3, size);
    w.set(t.c).set(t.b).get(t.b).op(I64.eq).if();
    c.set(0, size, () => w.get(t.c));
    w.else();
    c.set(1, size, () => w.get(t.b));
    w.end();
  });
}
