/** What instructions of the x87 have in common: operands from the stack, exceptions before results, pops last. */
import { EXTENDED, indefiniteOf, Order } from '../float/index.js';
import { Flag } from '../microop/flags.js';
import type { Core } from '../processor/core.js';
import { approximate, approximate2, compareExtended, conditionsOf, isInRange, operate } from './arithmetic.js';
import { Status } from './unit.js';
import type { X87Unit } from './unit.js';

/** Compares ST(0) with a value; the operands are fetched already, so that an empty one has left its mark. */
function compareWith(unit: X87Unit, x: bigint, y: bigint, signaling: boolean): number {
  return unit.hasStackFault ? Order.Unordered : compareExtended(unit.env, x, y, signaling);
}

/** FCOM and its kin: conditions, then as many pops; an exception that is not masked keeps the pops from happening. */
export function compareStack(unit: X87Unit, y: () => bigint, signaling: boolean, pops: number): void {
  unit.begin();
  const x = unit.operand(0);
  const order = compareWith(unit, x, y(), signaling);
  unit.end();
  unit.setConditions(conditionsOf(order));
  if (!unit.isBlocked) for (let i = 0; i < pops; i++) unit.pop();
}

/** FCOMI and its kin: into ZF, PF and CF. */
export function compareFlags(core: Core, unit: X87Unit, i: number, signaling: boolean, pops: number): void {
  unit.begin();
  const x = unit.operand(0);
  const y = unit.operand(i);
  const order = compareWith(unit, x, y, signaling);
  unit.end(true);
  const flags = { [Order.Less]: Flag.cf, [Order.Equal]: Flag.zf, [Order.Greater]: 0, [Order.Unordered]: Flag.cf | Flag.zf | Flag.pf }[order]!;
  core.writeFlags((core.readFlags() & ~(Flag.cf | Flag.pf | Flag.zf | Flag.af | Flag.sf | Flag.of)) | flags);
  if (!unit.isBlocked) for (let n = 0; n < pops; n++) unit.pop();
}

/** ST(to) = ST(to) op value. */
export function arithmetic(unit: X87Unit, group: number, to: number, value: () => bigint, pops: number): void {
  unit.begin();
  const x = unit.operand(to);
  const y = value();
  const result = unit.hasStackFault ? indefiniteOf(EXTENDED) : operate(unit, group, x, y);
  unit.end();
  if (unit.isBlocked) return;
  unit.setBits(to, result);
  for (let i = 0; i < pops; i++) unit.pop();
}

/** Replaces ST(0) by a function of it. */
export function replaceTop(unit: X87Unit, f: (x: bigint) => bigint): void {
  unit.begin();
  const x = unit.operand(0);
  const result = unit.hasStackFault ? x : f(x);
  unit.end();
  if (!unit.isBlocked) unit.setBits(0, result);
}

export function push(unit: X87Unit, value: () => bigint): void {
  unit.begin();
  unit.push(value());
  unit.end();
}

/** FST, FIST, FBSTP: a store, then a pop if it happened. */
export function store(unit: X87Unit, work: () => boolean, pop: boolean): void {
  unit.begin();
  const stored = work();
  unit.end();
  if (stored && pop) unit.pop();
}

/** FST ST(i): an exact copy. */
export function copyTo(unit: X87Unit, i: number, pop: boolean): void {
  unit.begin();
  const value = unit.operand(0);
  unit.end();
  if (unit.isBlocked) return;
  unit.setBits(i, value);
  if (pop) unit.pop();
}

export function free(unit: X87Unit, i: number): void {
  unit.free(i);
  unit.status &= ~Status.c1;
}

export function exchange(unit: X87Unit, i: number): void {
  unit.begin();
  const a = unit.operand(0);
  const b = unit.operand(i);
  unit.end();
  if (unit.isBlocked) return;
  unit.setBits(0, b);
  unit.setBits(i, a);
}

/** FSIN, FCOS: outside their range only C2 is set. */
export function trigonometric(unit: X87Unit, f: (x: number) => number): void {
  if (!unit.isEmpty(0) && !isInRange(unit.bits(0))) {
    unit.setConditions(Status.c2 | (unit.status & (Status.c0 | Status.c3)));
    return;
  }
  replaceTop(unit, (x) => approximate(unit.env, x, f));
  unit.status &= ~Status.c2;
}

/** FPTAN, FSINCOS: two results. */
export function twoResults(unit: X87Unit, first: (x: bigint) => bigint, second: (x: bigint) => bigint): void {
  if (!unit.isEmpty(0) && !isInRange(unit.bits(0))) {
    unit.setConditions(Status.c2 | (unit.status & (Status.c0 | Status.c3)));
    return;
  }
  unit.begin();
  const x = unit.operand(0);
  const below = unit.hasStackFault ? x : first(x);
  const above = unit.hasStackFault ? x : second(x);
  pushOver(unit, below, above);
  unit.end();
  unit.status &= ~Status.c2;
}

/** Replaces ST(0) by `below` and pushes `above`; with no room both are the indefinite. */
export function pushOver(unit: X87Unit, below: bigint, above: bigint): void {
  if (unit.isBlocked) return;
  const room = unit.isEmpty(7);
  unit.push(above);
  if (!unit.isBlocked) unit.setBits(1, room ? below : indefiniteOf(EXTENDED));
}

/** FYL2X, FYL2XP1, FPATAN: ST(1) = f(ST(0), ST(1)), then a pop. */
export function twoOperands(unit: X87Unit, f: (x: number, y: number) => number): void {
  unit.begin();
  const x = unit.operand(0);
  const y = unit.operand(1);
  const result = unit.hasStackFault ? indefiniteOf(EXTENDED) : approximate2(unit.env, x, y, f);
  unit.end();
  if (unit.isBlocked) return;
  unit.setBits(1, result);
  unit.pop();
}
