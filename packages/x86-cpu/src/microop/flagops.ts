import { I32, I64, Type } from '../wasm/opcodes.js';
import { Leave } from './accessors.js';
import type { Accessors } from './accessors.js';
import { toFlag } from './bits.js';
import { Flag, FlagKind } from './flags.js';
import { Family } from './registry.js';

/** Makes lazy flags into bits, and changes single flags. */
export const flagops = new Family();

/** Where the record of SS has CPL, and RFLAGS has IOPL. */
const CPL_SHIFT = 16 + 5;
const IOPL_SHIFT = 12;

/** Pushes 64 minus the width of the lazy operands: how far left they must move to fill 64 bits. */
function pushAlignment(c: Accessors): void {
  c.w.i64(64).i64(8);
  c.flagCode();
  c.w.i32(3).op(I32.and).extend().op(I64.shl, I64.sub);
}

/** Pushes whether the lazy flags are of a kind. */
function isKind(c: Accessors, kind: FlagKind): void {
  c.flagCode();
  c.w.i32(2).op(I32.shrU).i32(kind).op(I32.eq);
}

// CF as 0 or 1, without making the other flags. Field: destination.
flagops.define('carry', 'r', (c) => {
  const { w, t } = c;
  c.set(0, 8, () => {
    isKind(c, FlagKind.Sub);
    w.ifValue(Type.i64);
    c.flagA(8);
    c.flagB(8);
    w.op(I64.ltU).extend().else();
    isKind(c, FlagKind.Add);
    w.ifValue(Type.i64);
    // A sum that lost a bit is below its first operand, once both fill 64 bits.
    pushAlignment(c);
    w.set(t.c);
    c.flagA(8);
    w.get(t.c).op(I64.shl).set(t.a);
    c.flagB(8);
    w.get(t.c).op(I64.shl).get(t.a).op(I64.add).get(t.a).op(I64.ltU).extend().else();
    isKind(c, FlagKind.Result);
    w.ifValue(Type.i64);
    c.flagB(8);
    w.i64(1).op(I64.and).else();
    isKind(c, FlagKind.Ready);
    w.ifValue(Type.i64);
    c.flagA(8);
    w.i64(1).op(I64.and).else().i64(0).end().end().end().end();
  });
});

// Makes the flags ready. SF, ZF and PF follow from the result; CF, AF and OF from the operands.
flagops.define('ready', '', (c) => {
  const { w, t } = c;
  isKind(c, FlagKind.Ready);
  w.if().else();
  pushAlignment(c);
  w.set(t.c);
  c.flagA(8);
  w.get(t.c).op(I64.shl).set(t.a);
  c.flagB(8);
  w.get(t.c).op(I64.shl).set(t.b);
  isKind(c, FlagKind.Sub);
  w.if();
  w.get(t.a).get(t.b).op(I64.sub).set(t.r);
  w.get(t.a).get(t.b).op(I64.ltU).extend();
  w.get(t.a).get(t.b).op(I64.xor).tee(t.d).get(t.a).get(t.r).op(I64.xor, I64.and).i64(63).op(I64.shrU);
  toFlag(w, Flag.of);
  w.op(I64.or).get(t.d).get(t.r).op(I64.xor).get(t.c).op(I64.shrU).i64(Flag.af).op(I64.and, I64.or).set(t.d);
  w.else();
  isKind(c, FlagKind.Add);
  w.if();
  w.get(t.a).get(t.b).op(I64.add).set(t.r);
  w.get(t.r).get(t.a).op(I64.ltU).extend();
  w.get(t.a).get(t.r).op(I64.xor).get(t.b).get(t.r).op(I64.xor, I64.and).i64(63).op(I64.shrU);
  toFlag(w, Flag.of);
  w.op(I64.or).get(t.a).get(t.b).op(I64.xor).get(t.r).op(I64.xor).get(t.c).op(I64.shrU).i64(Flag.af).op(I64.and, I64.or).set(t.d);
  w.else();
  w.get(t.a).set(t.r).i64(0);
  isKind(c, FlagKind.Result);
  w.ifValue(Type.i64);
  c.flagB(8);
  w.else().i64(0).end().op(I64.or).set(t.d);
  w.end().end();
  w.get(t.r).op(I64.eqz).extend();
  toFlag(w, Flag.zf);
  w.get(t.r).i64(63).op(I64.shrU);
  toFlag(w, Flag.sf);
  w.op(I64.or);
  w.get(t.r).get(t.c).op(I64.shrU).i64(0xff).op(I64.and, I64.popcnt).i64(1).op(I64.and).i64(1).op(I64.xor);
  toFlag(w, Flag.pf);
  w.op(I64.or).get(t.d).op(I64.or).set(t.d);
  c.flags(FlagKind.Ready, 4, t.d);
  w.end();
});

// The flags must be ready. Field: slot whose bit 0 becomes CF.
flagops.define('setcarry', 'r', (c) => {
  const { w, t } = c;
  c.flagA(8);
  w.i64(~Flag.cf).op(I64.and);
  c.get(0, 8);
  w.i64(1).op(I64.and, I64.or).set(t.d);
  c.flags(FlagKind.Ready, 4, t.d);
});

// RFLAGS as PUSHF stores it: RF and VM read 0. The flags must be ready. Field: destination.
flagops.define('readflags', 'r', (c) => {
  c.set(0, 8, () => {
    c.flagA(8);
    c.systemFlags();
    c.w.i32(~(Flag.rf | Flag.vm)).op(I32.and).i32(Flag.fixed).op(I32.or).extend().op(I64.or);
  });
});

// SAHF: SF, ZF, AF, PF and CF from a byte. The flags must be ready. Field: source.
flagops.define('sahf', 'r', (c) => {
  const { w, t } = c;
  c.flagA(8);
  w.i64(Flag.of).op(I64.and);
  c.get(0, 1);
  w.i64(Flag.cf | Flag.pf | Flag.af | Flag.zf | Flag.sf).op(I64.and, I64.or).set(t.d);
  c.flags(FlagKind.Ready, 4, t.d);
});

// IF off, where CPL is at most IOPL; #GP(0) elsewhere. Nothing waits for it: what the flag holds off was held off by the flag alone. Field: the record of SS.
flagops.define('cli', 'r', (c) => {
  const { w } = c;
  c.get(0, 4);
  w.wrap().i32(CPL_SHIFT).op(I32.shrU).i32(3).op(I32.and);
  c.systemFlags();
  w.i32(IOPL_SHIFT).op(I32.shrU).i32(3).op(I32.and, I32.gtU).if();
  c.fault(Leave.Protection);
  w.end();
  c.setSystemFlags(() => {
    c.systemFlags();
    w.i32(~Flag.if).op(I32.and);
  });
});

// Direction flag.
flagops.define('cld', '', (c) => {
  c.setSystemFlags(() => {
    c.systemFlags();
    c.w.i32(~Flag.df).op(I32.and);
  });
});
flagops.define('std', '', (c) => {
  c.setSystemFlags(() => {
    c.systemFlags();
    c.w.i32(Flag.df).op(I32.or);
  });
});
