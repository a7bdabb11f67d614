import { Op } from '../decode/op.js';
import { StateOffset } from '../memory/layout.js';
import { Vector } from '../processor/fault.js';
import { Cr4, isCanonical } from '../processor/registers.js';
import { operandAddress, requireRing0 } from './operands.js';
import { Outcome } from './outcome.js';
import type { SystemInstructions } from './outcome.js';

/** INVLPG and INVPCID. */
export const translations: SystemInstructions = new Map();

translations.set(Op.Invlpg, (core, instruction) => {
  requireRing0(core);
  core.flushPage(operandAddress(core, instruction));
  return Outcome.Done;
});

/** Types of INVPCID (SDM volume 2, INVPCID). */
const Invalidation = { address: 0, context: 1, allGlobal: 2, all: 3 } as const;

// Translations are not kept by PCID: whatever the type, at least what it names is dropped.
translations.set(Op.Invpcid, (core, instruction) => {
  requireRing0(core);
  const { registers, mmu } = core;
  const register = instruction.operands[0];
  const type = register.size === 8 ? registers.gpr(register.reg) : registers.gprLo(register.reg) >>> 0;
  const at = operandAddress(core, instruction);
  core.read64(at, mmu.mode);
  const { lo: pcid, hi: reserved } = core;
  core.read64(at + 8, mmu.mode);
  const linear = core.value;
  if (type < 0 || type > Invalidation.all || reserved !== 0 || pcid & ~0xfff) core.raise(Vector.gp, 0);
  const named = type === Invalidation.address || type === Invalidation.context;
  if (named && pcid !== 0 && !(registers.lo(StateOffset.cr4) & Cr4.pcide)) core.raise(Vector.gp, 0);
  if (type === Invalidation.address) {
    if (!isCanonical(linear)) core.raise(Vector.gp, 0);
    core.flushPage(linear);
  } else core.flushTranslations();
  return Outcome.Done;
});
