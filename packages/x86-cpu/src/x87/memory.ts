/** Loads and stores of the x87: floating-point numbers, integers, packed decimals (SDM volume 1, 8.2). */
import { convert, DOUBLE, EXTENDED, FloatClass, FloatFlag, fromInteger, Rounding, SINGLE, toInteger, unpack } from '../float/index.js';
import type { FloatFormat } from '../float/index.js';
import type { Linear } from '../code/block.js';
import type { Core } from '../processor/core.js';
import { PageAccess } from '../paging/index.js';
import type { X87Unit } from './unit.js';

const bytes = new Uint8Array(16);
const view = new DataView(bytes.buffer);

const FORMATS: Readonly<Record<number, FloatFormat>> = { 4: SINGLE, 8: DOUBLE, 10: EXTENDED };

function read(core: Core, address: Linear, size: number): bigint {
  bytes.fill(0);
  core.readBytes(address, size, core.mmu.mode, bytes);
  return view.getBigUint64(0, true) | (BigInt(view.getUint16(8, true)) << 64n);
}

function write(core: Core, address: Linear, size: number, value: bigint): void {
  view.setBigUint64(0, BigInt.asUintN(64, value), true);
  view.setUint16(8, Number((value >> 64n) & 0xffffn), true);
  core.writeBytes(address, size, core.mmu.mode, bytes);
}

/** A store that must not happen must still be possible. */
export function probe(core: Core, address: Linear, size: number): void {
  core.readBytes(address, size, core.mmu.mode | PageAccess.Write, bytes);
}

/** A number of 4, 8 or 10 bytes in memory, as an extended one. */
export function loadFloat(core: Core, unit: X87Unit, address: Linear, size: number): bigint {
  const raw = read(core, address, size);
  return size === 10 ? raw : convert(FORMATS[size]!, EXTENDED, unit.env, raw);
}

/** A signed integer of 2, 4 or 8 bytes. */
export function loadInteger(core: Core, unit: X87Unit, address: Linear, size: number): bigint {
  return fromInteger(EXTENDED, unit.env, BigInt.asIntN(8 * size, read(core, address, size)));
}

/** Stores ST(0) in a format; false when an exception that is not masked kept it from being stored. */
export function storeFloat(core: Core, unit: X87Unit, address: Linear, size: number): boolean {
  const value = unit.operand(0);
  const raw = size === 10 ? value : convert(EXTENDED, FORMATS[size]!, unit.env, value);
  // A store looks at no denormals.
  unit.env.flags &= ~FloatFlag.Denormal;
  if (unit.env.flags & ~unit.env.masked & ~FloatFlag.Precision) {
    probe(core, address, size);
    return false;
  }
  write(core, address, size, raw);
  return true;
}

/** Stores ST(0) as an integer; `truncate` for FISTTP. */
export function storeInteger(core: Core, unit: X87Unit, address: Linear, size: number, truncate: boolean): boolean {
  const raw = toInteger(EXTENDED, unit.env, unit.operand(0), 8 * size, truncate ? Rounding.Zero : unit.env.rounding);
  if (unit.isBlocked) {
    probe(core, address, size);
    return false;
  }
  write(core, address, size, raw);
  return true;
}

const DECIMAL_BYTES = 10;
const DECIMAL_INDEFINITE = 0xffffc000000000000000n;
const DECIMAL_LIMIT = 10n ** 18n;

/** FBLD: eighteen digits and a sign. */
export function loadDecimal(core: Core, unit: X87Unit, address: Linear): bigint {
  const raw = read(core, address, DECIMAL_BYTES);
  let value = 0n;
  for (let digit = 17; digit >= 0; digit--) value = value * 10n + ((raw >> BigInt(4 * digit)) & 15n);
  const negative = (raw >> 79n) === 1n;
  const bits = fromInteger(EXTENDED, unit.env, value);
  return negative ? bits | (1n << 79n) : bits;
}

/** FBSTP's store. */
export function storeDecimal(core: Core, unit: X87Unit, address: Linear): boolean {
  const { env } = unit;
  const operand = unit.operand(0);
  const negative = unpack(EXTENDED, operand).negative;
  const before = env.flags;
  let magnitude = BigInt.asIntN(64, toInteger(EXTENDED, env, operand, 64, env.rounding));
  if (magnitude < 0n) magnitude = -magnitude;
  let raw = DECIMAL_INDEFINITE;
  if (magnitude < DECIMAL_LIMIT && !((env.flags & ~before) & FloatFlag.Invalid) && unpack(EXTENDED, operand).class !== FloatClass.QuietNan && !unit.hasStackFault) {
    raw = negative ? 1n << 79n : 0n;
    for (let digit = 0n; digit < 18n; digit++, magnitude /= 10n) raw |= (magnitude % 10n) << (4n * digit);
  } else {
    env.flags = (before | FloatFlag.Invalid) & ~FloatFlag.Precision;
  }
  if (unit.isBlocked) {
    probe(core, address, DECIMAL_BYTES);
    return false;
  }
  write(core, address, DECIMAL_BYTES, raw);
  return true;
}
