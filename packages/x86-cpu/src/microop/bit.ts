import { I64 } from '../wasm/opcodes.js';
import { signExtend, toFlag } from './bits.js';
import { Flag, FlagKind, LOG2 } from './flags.js';
import { Family } from './registry.js';

/** Bit tests and scans. */
export const bit = new Family();

for (const size of [2, 4, 8] as const) {
  const width = 8 * size;
  // Fields: destination (0 or 1), value, bit number modulo the width.
  bit.define(`bit${size}`, 'rrr', (c) => {
    c.set(0, 8, () => {
      c.get(1, size);
      c.get(2, size);
      c.w.i64(width - 1).op(I64.and, I64.shrU).i64(1).op(I64.and);
    });
  });
  const changes = { bts: I64.or, btr: I64.and, btc: I64.xor } as const;
  for (const name of ['bts', 'btr', 'btc'] as const) {
    bit.define(`${name}${size}`, 'rrr', (c) => {
      c.set(0, size, () => {
        c.get(1, size);
        c.w.i64(1);
        c.get(2, size);
        c.w.i64(width - 1).op(I64.and, I64.shl);
        if (name === 'btr') c.w.i64(-1).op(I64.xor);
        c.w.op(changes[name]);
      });
    });
  }
  // The operand of a bit string in memory: fields destination, address of the string, signed bit number.
  bit.define(`bitaddress${size}`, 'rrr', (c) => {
    c.set(0, 8, () => {
      c.get(1, 8);
      c.get(2, size);
      signExtend(c.w, size);
      c.w.i64(3 + LOG2[size]).op(I64.shrS).i64(LOG2[size]).op(I64.shl, I64.add);
    });
  });

  // BSF and BSR keep the destination when the source is 0 (as all processors do; SDM and APM differ in wording).
  for (const name of ['bsf', 'bsr'] as const) {
    bit.define(`${name}${size}`, 'rr', (c) => {
      const { w, t } = c;
      c.get(1, size);
      w.set(t.a);
      c.flags(FlagKind.Logic, size, t.a);
      w.get(t.a).op(I64.eqz).if().else();
      c.set(0, size, () => {
        if (name === 'bsf') w.get(t.a).op(I64.ctz);
        else w.i64(63).get(t.a).op(I64.clz, I64.sub);
      });
      w.end();
    });
  }
  for (const name of ['tzcnt', 'lzcnt'] as const) {
    bit.define(`${name}${size}`, 'rr', (c) => {
      const { w, t } = c;
      c.get(1, size);
      w.set(t.a);
      if (name === 'lzcnt') w.get(t.a).op(I64.clz).i64(64 - width).op(I64.sub).set(t.r);
      else if (size === 8) w.get(t.a).op(I64.ctz).set(t.r);
      else w.get(t.a).i64(2 ** width).op(I64.or, I64.ctz).set(t.r);
      w.get(t.a).op(I64.eqz).extend().set(t.d);
      c.flags(FlagKind.Result, size, t.r, t.d);
      c.set(0, size, () => w.get(t.r));
    });
  }
  bit.define(`popcnt${size}`, 'rr', (c) => {
    const { w, t } = c;
    c.get(1, size);
    w.op(I64.popcnt).tee(t.r).op(I64.eqz).extend();
    toFlag(w, Flag.zf);
    w.set(t.d);
    c.flags(FlagKind.Ready, 4, t.d);
    c.set(0, size, () => w.get(t.r));
  });
}
