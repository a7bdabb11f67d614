import type { MicroOp } from './accessors.js';
import { alu } from './alu.js';
import { bit } from './bit.js';
import { control } from './control.js';
import { flagops } from './flagops.js';
import { move } from './move.js';
import { multiply } from './multiply.js';
import { segment } from './segment.js';
import { shift } from './shift.js';
import { string } from './string.js';
import { isHot } from './hot.js';

const hot: MicroOp[] = [];
const rare: MicroOp[] = [];
for (const family of [alu, bit, control, flagops, move, multiply, segment, shift, string]) {
  for (const operation of family.members) (isHot(operation) ? hot : rare).push(operation);
}

/** All micro-operations in the order of their numbers: the hot ones first. */
export const microOps: readonly MicroOp[] = [...hot, ...rare];
microOps.forEach((operation, code) => {
  operation.code = code;
});

/** How many are hot: cases of the interpreter's one switch. The others are small functions. */
export const HOT_COUNT = hot.length;

const byName = new Map(microOps.map((operation) => [operation.name, operation]));

/** The micro-operation of a name. The lowering composes names, so a wrong one is an error of this package. */
export function microOp(name: string): MicroOp {
  const found = byName.get(name);
  if (found === undefined) throw new Error(`no micro-operation ${name}`);
  return found;
}

/** Whether there is one of this name. */
export function hasMicroOp(name: string): boolean {
  return byName.has(name);
}

if (byName.size !== microOps.length) throw new Error('two micro-operations share a name');
