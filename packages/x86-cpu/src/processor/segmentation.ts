import { Segment } from '../memory/layout.js';
import { IMPLICIT } from './core.js';
import type { Core } from './core.js';
import { Vector } from './fault.js';
import { Attribute, isCanonical, joinHalves } from './registers.js';

/** A descriptor as read from a table (SDM volume 3, 3.4.5 and 7.2.3). */
export interface Descriptor {
  attributes: number;
  limit: number;
  baseLo: number;
  baseHi: number;
}

/** Records used again and again: one for data and system descriptors, one for code, which outlives the reading of a stack's. */
const descriptor: Descriptor = { attributes: 0, limit: 0, baseLo: 0, baseHi: 0 };
const codeDescriptor: Descriptor = { attributes: 0, limit: 0, baseLo: 0, baseHi: 0 };

/** Type field of a descriptor that names code; of one that names writable data; conforming code; accessed. */
const TYPE_CODE = 8;
const TYPE_CONFORMING = 4;
const TYPE_READABLE_OR_WRITABLE = 2;
const TYPE_ACCESSED = 1;

export function privilegeOf(attributes: number): number {
  return (attributes >> 5) & 3;
}

/**
 * Reads the descriptor a selector names; the record returned is used again by the next call, and the raw halves are in `Core.lo` and `hi`. `fault` is the
 * vector for a selector outside its table, `external` is added to error codes.
 */
export function readDescriptor(core: Core, selector: number, fault: number, external: number, out: Descriptor = descriptor): Descriptor {
  const { registers } = core;
  const local = (selector & 4) !== 0;
  const offset = selector & ~7;
  const errorCode = (selector & ~3) | external;
  if (local && !(registers.attributes(Segment.ldtr) & Attribute.p)) core.raise(fault, errorCode);
  const limit = local ? registers.limit(Segment.ldtr) : registers.gdtrLimit;
  if (offset + 7 > limit) core.raise(fault, errorCode);
  const base = local ? registers.base(Segment.ldtr) : registers.gdtrBase;
  core.read64(base + offset, IMPLICIT);
  const { lo, hi } = core;
  const rawLimit = (lo & 0xffff) | (hi & 0xf0000);
  out.attributes = ((hi >> 8) & 0xff) | ((hi >> 8) & 0xf000);
  out.limit = out.attributes & Attribute.g ? (rawLimit << 12) | 0xfff : rawLimit;
  out.baseLo = ((lo >>> 16) & 0xffff) | ((hi & 0xff) << 16) | (hi & 0xff000000);
  out.baseHi = 0;
  return out;
}

/** Sets the accessed bit of a code or data descriptor in its table, where it is clear. */
export function markAccessed(core: Core, selector: number, attributes: number): void {
  if (attributes & TYPE_ACCESSED) return;
  const { registers } = core;
  const base = selector & 4 ? registers.base(Segment.ldtr) : registers.gdtrBase;
  const at = base + (selector & ~7) + 5;
  core.writeSized(at, 1, core.read8(at, IMPLICIT) | TYPE_ACCESSED, 0, IMPLICIT);
}

/** Loads CS at a privilege level from a descriptor that has been checked. */
export function loadCode(core: Core, selector: number, code: Descriptor, cpl: number): void {
  const { attributes, limit, baseLo, baseHi } = code;
  markAccessed(core, selector, attributes);
  core.registers.setSegment(Segment.cs, (selector & ~3) | cpl, attributes | TYPE_ACCESSED, limit, baseLo, baseHi);
}

/**
 * Loads a segment register as real mode does: the base follows from the selector. Limit and kind stay, which is what makes big real mode; the segment
 * becomes present and, unless it is CS, writable data (SDM volume 3, 21.1.1; APM volume 2, 1.2.3).
 */
export function loadReal(core: Core, segment: number, selector: number): void {
  const { registers } = core;
  const kept = registers.attributes(segment);
  const attributes = segment === Segment.cs ? kept | Attribute.p | Attribute.s : (kept & (Attribute.db | Attribute.g)) | Attribute.p | Attribute.s | 3;
  registers.setSegment(segment, selector, attributes, registers.limit(segment), (selector & 0xffff) << 4, 0);
}

/** Loads SS with a null selector of a privilege level, as 64-bit mode does when that changes. */
export function loadNullStack(core: Core, cpl: number): void {
  core.registers.setSegment(Segment.ss, cpl, Attribute.p | Attribute.s | Attribute.db | Attribute.g | 3 | (cpl << 5), 0xffffffff, 0, 0);
}

/** Reads and checks a descriptor for SS at a privilege level: `fault` for what is wrong with it, #SS if it is not present. */
export function readStack(core: Core, selector: number, cpl: number, fault: number, external: number): Descriptor {
  const errorCode = (selector & ~3) | external;
  if ((selector & ~3) === 0) core.raise(fault, external);
  const stack = readDescriptor(core, selector, fault, external);
  const type = stack.attributes & Attribute.type;
  if (!(stack.attributes & Attribute.s) || type & TYPE_CODE || !(type & TYPE_READABLE_OR_WRITABLE)) core.raise(fault, errorCode);
  if ((selector & 3) !== cpl || privilegeOf(stack.attributes) !== cpl) core.raise(fault, errorCode);
  if (!(stack.attributes & Attribute.p)) core.raise(Vector.ss, errorCode);
  return stack;
}

/** Loads SS from a descriptor that has been checked. */
export function loadCheckedStack(core: Core, selector: number, stack: Descriptor): void {
  const { attributes, limit, baseLo, baseHi } = stack;
  markAccessed(core, selector, attributes);
  core.registers.setSegment(Segment.ss, selector, attributes | TYPE_ACCESSED, limit, baseLo, baseHi);
}

/** Loads SS from a selector (SDM volume 3, 6.14 and MOV): 64-bit code below ring 3 may have a null one. */
export function loadStack(core: Core, selector: number, cpl: number, longCode: boolean): void {
  if ((selector & ~3) === 0 && longCode && cpl !== 3 && (selector & 3) === cpl) loadNullStack(core, cpl);
  else loadCheckedStack(core, selector, readStack(core, selector, cpl, Vector.gp, 0));
}

/** Loads ES, DS, FS or GS from a selector (SDM volume 2, MOV). */
export function loadData(core: Core, segment: number, selector: number): void {
  if (core.registers.isReal) {
    loadReal(core, segment, selector);
    return;
  }
  if ((selector & ~3) === 0) {
    core.registers.setSegment(segment, selector, 0, 0, 0, 0);
    return;
  }
  const errorCode = selector & ~3;
  const { attributes, limit, baseLo, baseHi } = readDescriptor(core, selector, Vector.gp, 0);
  const type = attributes & Attribute.type;
  if (!(attributes & Attribute.s) || (type & (TYPE_CODE | TYPE_READABLE_OR_WRITABLE)) === TYPE_CODE) core.raise(Vector.gp, errorCode);
  const conforming = (type & (TYPE_CODE | TYPE_CONFORMING)) === (TYPE_CODE | TYPE_CONFORMING);
  const privilege = privilegeOf(attributes);
  if (!conforming && (core.registers.cpl > privilege || (selector & 3) > privilege)) core.raise(Vector.gp, errorCode);
  if (!(attributes & Attribute.p)) core.raise(Vector.np, errorCode);
  markAccessed(core, selector, attributes);
  core.registers.setSegment(segment, selector, attributes | TYPE_ACCESSED, limit, baseLo, baseHi);
}

/**
 * Makes data segments that an outer privilege level may not use null (SDM volume 3, 5.8.6). The base stays: a kernel that had loaded FS or GS and then
 * written its base finds it again when user code comes back.
 */
export function dropInnerSegments(core: Core, cpl: number): void {
  const { registers } = core;
  for (const segment of [Segment.es, Segment.ds, Segment.fs, Segment.gs]) {
    const attributes = registers.attributes(segment);
    const conformingCode = (attributes & 0xc) === 0xc;
    if (attributes & Attribute.p && !conformingCode && privilegeOf(attributes) < cpl) registers.dropSegment(segment);
  }
}

/** Reads a descriptor that must be code, as the target of a transfer. The record returned is used again by the next call. */
export function readCode(core: Core, selector: number, external: number): Descriptor {
  if ((selector & ~3) === 0) core.raise(Vector.gp, external);
  const code = readDescriptor(core, selector, Vector.gp, external, codeDescriptor);
  const type = code.attributes & Attribute.type;
  if (!(code.attributes & Attribute.s) || !(type & TYPE_CODE)) core.raise(Vector.gp, (selector & ~3) | external);
  return code;
}

/** Whether code of these attributes runs at its caller's privilege. */
export function isConforming(attributes: number): boolean {
  return (attributes & TYPE_CONFORMING) !== 0;
}

/** Loads LDTR or TR from the GDT: 16-byte descriptors in IA-32e mode, 8 bytes otherwise (SDM volume 3, 7.2.3). */
export function loadSystemSegment(core: Core, segment: number, selector: number): void {
  const { registers } = core;
  const long = registers.isLongMode;
  if ((selector & ~3) === 0) {
    if (segment === Segment.tr) core.raise(Vector.gp, 0);
    registers.setSegment(segment, selector, 0, 0, 0, 0);
    return;
  }
  const errorCode = selector & ~3;
  if (selector & 4 || (selector & ~7) + (long ? 15 : 7) > registers.gdtrLimit) core.raise(Vector.gp, errorCode);
  const { attributes, limit, baseLo } = readDescriptor(core, selector, Vector.gp, 0);
  const type = attributes & Attribute.type;
  const LDT = 2;
  const AVAILABLE_TSS = 9;
  const AVAILABLE_TSS_16 = 1;
  const accepted = segment === Segment.tr ? type === AVAILABLE_TSS || (type === AVAILABLE_TSS_16 && !long) : type === LDT;
  if (attributes & Attribute.s || !accepted) core.raise(Vector.gp, errorCode);
  if (!(attributes & Attribute.p)) core.raise(Vector.np, errorCode);
  const at = registers.gdtrBase + (selector & ~7);
  const baseHi = long ? core.read32(at + 8, IMPLICIT) : 0;
  if (!isCanonical(joinHalves(baseLo, baseHi))) core.raise(Vector.gp, errorCode);
  const BUSY = 2;
  if (segment === Segment.tr) core.writeSized(at + 5, 1, (attributes & 0xff) | BUSY, 0, IMPLICIT);
  registers.setSegment(segment, selector, segment === Segment.tr ? attributes | BUSY : attributes, limit, baseLo, baseHi);
}
