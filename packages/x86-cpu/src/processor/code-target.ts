import { Segment } from '../memory/layout.js';
import { IMPLICIT } from './core.js';
import type { Core } from './core.js';
import { Vector } from './fault.js';
import { Attribute, isCanonical } from './registers.js';
import type { Descriptor } from './segmentation.js';

/** Whether code of these attributes is 64-bit code now. */
export function isLongCode(core: Core, code: Descriptor): boolean {
  return core.registers.isLongMode && (code.attributes & Attribute.l) !== 0;
}

/** A code segment must be present, and not have both L and D in IA-32e mode (SDM volume 3, 5.2.1). */
export function requireUsable(core: Core, code: Descriptor, errorCode: number): void {
  if (isLongCode(core, code) && code.attributes & Attribute.db) core.raise(Vector.gp, errorCode);
  if (!(code.attributes & Attribute.p)) core.raise(Vector.np, errorCode);
}

/** A target must be canonical in 64-bit code, and within the limit in other code. */
export function requireTarget(core: Core, code: Descriptor, rip: number, external = 0): void {
  if (isLongCode(core, code) ? !isCanonical(rip) : rip > code.limit >>> 0) core.raise(Vector.gp, external);
}

/** Type of a TR descriptor: the TSS has the 32-bit layout (in IA-32e mode: the 64-bit one). */
const WIDE_TSS = 8;

/** A stack that the TSS names. */
export interface InnerStack {
  selector: number;
  offset: number;
}
const inner: InnerStack = { selector: 0, offset: 0 };

/** The stack of an inner privilege level, from a 16- or 32-bit TSS (SDM volume 3, 8.2.1); the record returned is used again by the next call. */
export function innerStack(core: Core, cpl: number, external: number): Readonly<InnerStack> {
  const { registers } = core;
  const wide = (registers.attributes(Segment.tr) & WIDE_TSS) !== 0;
  const at = wide ? 4 + 8 * cpl : 2 + 4 * cpl;
  const size = wide ? 4 : 2;
  if (at + size + 1 > registers.limit(Segment.tr)) core.raise(Vector.ts, (registers.selector(Segment.tr) & ~3) | external);
  const tss = registers.base(Segment.tr);
  inner.offset = wide ? core.read32(tss + at, IMPLICIT) >>> 0 : core.read16(tss + at, IMPLICIT);
  inner.selector = core.read16(tss + at + size, IMPLICIT);
  return inner;
}

/** RSP0 is 4 bytes into the 64-bit TSS; IST1 is at 0x24 (SDM volume 3, 8.7). */
const TSS_RSP0 = 4;
const TSS_IST1 = 0x24;

/** A stack pointer from the 64-bit TSS: of an interrupt stack 1 to 7, or of a privilege level if `ist` is 0. */
export function innerLongStack(core: Core, cpl: number, ist: number, external: number): number {
  const { registers } = core;
  const field = ist !== 0 ? TSS_IST1 + 8 * (ist - 1) : TSS_RSP0 + 8 * cpl;
  if (field + 7 > registers.limit(Segment.tr)) core.raise(Vector.ts, (registers.selector(Segment.tr) & ~3) | external);
  core.read64(registers.base(Segment.tr) + field, IMPLICIT);
  return core.value;
}
