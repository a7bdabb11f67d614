/** D9 E0 to D9 FF: instructions on the top of the stack (SDM volume 2, table A-10). */
import { EXTENDED, indefiniteOf } from '../float/index.js';
import { approximate, constant, examine, extract, magnitude, negated, ONE, remainder, root, roundInteger, scale } from './arithmetic.js';
import { compareStack, push, pushOver, replaceTop, trigonometric, twoOperands, twoResults } from './operations.js';
import { Status } from './unit.js';
import type { X87Unit } from './unit.js';

/** log₂ of 1 + x without losing small x. */
const log2p1 = (x: number): number => Math.log1p(x) / Math.LN2;

/** False for what is no instruction. */
export function topOfStack(unit: X87Unit, modrm: number): boolean {
  switch (modrm) {
    case 0xd0:
      return true;
    case 0xe0:
    case 0xe1:
      replaceTop(unit, modrm === 0xe0 ? negated : magnitude);
      return true;
    case 0xe4:
      compareStack(unit, () => 0n, true, 0);
      return true;
    case 0xe5:
      unit.status = (unit.status & ~Status.conditions) | examine(unit);
      return true;
    case 0xf0:
      replaceTop(unit, (x) => approximate(unit.env, x, (value) => Math.expm1(value * Math.LN2)));
      return true;
    case 0xf1:
      twoOperands(unit, (x, y) => y * Math.log2(x));
      return true;
    case 0xf2:
      twoResults(unit, (x) => approximate(unit.env, x, Math.tan), () => ONE);
      return true;
    case 0xf3:
      twoOperands(unit, (x, y) => Math.atan2(y, x));
      return true;
    case 0xf4: {
      unit.begin();
      const x = unit.operand(0);
      const parts = unit.hasStackFault ? { exponent: x, significand: x } : extract(unit.env, x);
      pushOver(unit, parts.exponent, parts.significand);
      unit.end();
      return true;
    }
    case 0xf5:
    case 0xf8: {
      unit.begin();
      const x = unit.operand(0);
      const y = unit.operand(1);
      const { result, conditions } = unit.hasStackFault ? { result: indefiniteOf(EXTENDED), conditions: undefined } : remainder(unit.env, x, y, modrm === 0xf5);
      unit.env.roundedUp = false;
      unit.end();
      // Without a quotient only C2 and C1 are cleared.
      if (conditions === undefined) unit.status &= ~Status.c2;
      if (unit.isBlocked) return true;
      unit.setBits(0, result);
      if (conditions !== undefined) unit.status = (unit.status & ~Status.conditions) | conditions;
      return true;
    }
    case 0xf6:
    case 0xf7:
      unit.top += modrm === 0xf6 ? -1 : 1;
      unit.status &= ~Status.c1;
      return true;
    case 0xf9:
      twoOperands(unit, (x, y) => y * log2p1(x));
      return true;
    case 0xfa:
      replaceTop(unit, (x) => root(unit, x));
      return true;
    case 0xfb:
      twoResults(unit, (x) => approximate(unit.env, x, Math.sin), (x) => approximate(unit.env, x, Math.cos));
      return true;
    case 0xfc:
      replaceTop(unit, (x) => roundInteger(unit.env, x));
      return true;
    case 0xfd: {
      unit.begin();
      const x = unit.operand(0);
      const y = unit.operand(1);
      const result = unit.hasStackFault ? indefiniteOf(EXTENDED) : scale(unit.env, x, y);
      unit.end();
      if (!unit.isBlocked) unit.setBits(0, result);
      return true;
    }
    case 0xfe:
    case 0xff:
      trigonometric(unit, modrm === 0xfe ? Math.sin : Math.cos);
      return true;
    default:
      if (modrm >= 0xe8 && modrm <= 0xee) {
        push(unit, () => constant(modrm - 0xe8, unit.env.rounding));
        return true;
      }
      return false;
  }
}
