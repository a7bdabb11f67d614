import type { MicroOp } from './accessors.js';

/**
 * Which micro-operations are cases of the interpreter's switch. Compiled integer code spends nearly all its time in these;
 * more of them would cost more than they gain, because V8's register allocation gives up on functions much beyond
 * 40 KiB (design: measured on Node 20).
 */
const PATTERNS: readonly RegExp[] = [
  /^move[1248]#?$/,
  /^(add|sub|and|or|xor)[48](\.f)?#?$/,
  /^(and|or|xor|add|sub)1\.f#?$/,
  /^(cmp|test)[148]#?$/,
  /^(shl|shr|sar)[48](\.f)?#$/,
  /^(shl|shr|sar)[48]$/,
  /^(rol|ror)[48]#$/,
  /^imul[48](\.f)?#?$/,
  /^lea[48]\.(base|index|both)$/,
  /^load[1248]\.(base|index|both)$/,
  /^store[1248]\.(base|index|both)$/,
  /^store[148]\.base#$/,
  /^zload[12]\.4\.(base|index|both)$/,
  /^sload[124]\.[48]\.(base)$/,
  /^sload4\.8\.(index|both)$/,
  /^zero[12]\.4$/,
  /^sign(1\.4|2\.4|4\.8)$/,
  /^(add|sub|and|or|xor)[48]\.f\.load$/,
  /^(add|sub|and|or)[48]\.f\.modify#?$/,
  /^cmp[148]\.load#?$/,
  /^(push8|pop8|push8#)$/,
  /^(goto|jump|call|return|system|jump\.load|call\.jump)$/,
  /^cmp[48]\.if\.(b|ae|e|ne|be|a|l|ge|le|g)#?$/,
  /^cmp1\.if\.(e|ne|be|a|b|ae)#$/,
  /^test[48]\.if\.(e|ne|s|ns|le|g)$/,
  /^test[14]\.if\.(e|ne)#$/,
  /^test1\.if\.(e|ne)$/,
  /^(add|sub)[48]\.if\.ne#$/,
  /^if\.sub[148]\.(b|ae|e|ne|be|a)$/,
  /^if\.sub[48]\.(l|ge|le|g)$/,
  /^if\.logic[148]\.(e|ne)$/,
  /^is\.sub[48]\.(b|ae|e|ne|a|be|l|g)$/,
  /^is\.logic[48]\.(e|ne)$/,
  /^if\.ready\.(e|ne|b|ae|be|a|s|ns|l|ge|le|g)$/,
  /^(ready|carry|count)$/,
  /^select[48]$/,
  /^rep\.(movs|stos)[18]$/,
];

/** All of them as one: every name of the catalog is tried at start-up. */
const HOT = new RegExp(PATTERNS.map((pattern) => pattern.source).join('|'));

export function isHot(operation: MicroOp): boolean {
  return HOT.test(operation.name);
}
