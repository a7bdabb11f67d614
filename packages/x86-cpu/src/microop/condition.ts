import { I32, I64 } from '../wasm/opcodes.js';
import type { Local } from '../wasm/writer.js';
import type { Accessors } from './accessors.js';
import { signedOf, signExtend } from './bits.js';
import { Condition, Flag } from './flags.js';
import type { ConditionName, Size } from './flags.js';

const COMPARISON: Partial<Record<ConditionName, { code: number; signed: boolean }>> = {
  e: { code: I64.eq, signed: false },
  ne: { code: I64.ne, signed: false },
  b: { code: I64.ltU, signed: false },
  ae: { code: I64.geU, signed: false },
  be: { code: I64.leU, signed: false },
  a: { code: I64.gtU, signed: false },
  l: { code: I64.ltS, signed: true },
  ge: { code: I64.geS, signed: true },
  le: { code: I64.leS, signed: true },
  g: { code: I64.gtS, signed: true },
};

/** Conditions that follow from the operands of a subtraction without computing flags. */
export const SUB_CONDITIONS: readonly ConditionName[] = ['b', 'ae', 'e', 'ne', 'be', 'a', 's', 'ns', 'l', 'ge', 'le', 'g'];

/** Conditions that follow from a result when CF and OF are 0; the lowering maps the others to these. */
export const LOGIC_CONDITIONS: readonly ConditionName[] = ['e', 'ne', 's', 'ns', 'le', 'g'];

/** With CF = OF = 0 these mean the same. */
export const LOGIC_SYNONYMS: Partial<Record<ConditionName, ConditionName>> = { be: 'e', a: 'ne', l: 's', ge: 'ns' };

/** Pushes the i32 truth of a condition after a - b. */
export function pushSubCondition(c: Accessors, name: ConditionName, size: Size, a: Local, b: Local): void {
  const { w } = c;
  const comparison = COMPARISON[name];
  if (comparison !== undefined) {
    if (comparison.signed) {
      signedOf(w, a, size);
      signedOf(w, b, size);
    } else {
      w.get(a).get(b);
    }
    w.op(comparison.code);
    return;
  }
  w.get(a).get(b).op(I64.sub);
  signExtend(w, size);
  w.i64(0).op(name === 's' ? I64.ltS : I64.geS);
}

/** Pushes the i32 truth of a condition of a result whose CF and OF are 0. */
export function pushLogicCondition(c: Accessors, name: ConditionName, size: Size, result: Local): void {
  const { w } = c;
  if (name === 'e') {
    w.get(result).op(I64.eqz);
    return;
  }
  if (name === 'ne') {
    w.get(result).op(I64.eqz, I32.eqz);
    return;
  }
  signedOf(w, result, size);
  w.i64(0).op({ s: I64.ltS, ns: I64.geS, le: I64.leS, g: I64.gtS }[name as 's' | 'ns' | 'le' | 'g']);
}

/** Pushes the i32 truth of a condition when the flags are ready. */
export function pushReadyCondition(c: Accessors, name: ConditionName): void {
  const { w, t } = c;
  const number = Condition[name];
  const test = (mask: number): void => {
    c.flagA(8);
    w.i64(mask).op(I64.and, I64.eqz, I32.eqz);
  };
  const signUnlessOverflow = (): void => {
    c.flagA(8);
    w.tee(t.a).i64(Math.log2(Flag.of) - Math.log2(Flag.sf)).op(I64.shrU).get(t.a).op(I64.xor);
    w.i64(Flag.sf).op(I64.and, I64.eqz, I32.eqz);
  };
  switch (number >> 1) {
    case Condition.o >> 1:
      test(Flag.of);
      break;
    case Condition.b >> 1:
      test(Flag.cf);
      break;
    case Condition.e >> 1:
      test(Flag.zf);
      break;
    case Condition.be >> 1:
      test(Flag.cf | Flag.zf);
      break;
    case Condition.s >> 1:
      test(Flag.sf);
      break;
    case Condition.p >> 1:
      test(Flag.pf);
      break;
    case Condition.l >> 1:
      signUnlessOverflow();
      break;
    default:
      signUnlessOverflow();
      test(Flag.zf);
      w.op(I32.or);
  }
  if ((number & 1) === 1) w.op(I32.eqz);
}

/** Fetches the lazy operands of a subtraction into a and b. */
export function fetchLazyOperands(c: Accessors, size: Size): void {
  c.flagA(size);
  c.w.set(c.t.a);
  c.flagB(size);
  c.w.set(c.t.b);
}

/** Fetches the lazy result into r. */
export function fetchLazyResult(c: Accessors, size: Size): void {
  c.flagA(size);
  c.w.set(c.t.r);
}

