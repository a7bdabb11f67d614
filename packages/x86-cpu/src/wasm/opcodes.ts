/** WebAssembly instruction bytes, by the names of the core specification (section 5.4). */

/** Control instructions and locals. */
export const Ctl = {
  unreachable: 0x00,
  block: 0x02,
  loop: 0x03,
  if: 0x04,
  else: 0x05,
  end: 0x0b,
  br: 0x0c,
  brIf: 0x0d,
  brTable: 0x0e,
  return: 0x0f,
  call: 0x10,
  callIndirect: 0x11,
  drop: 0x1a,
  select: 0x1b,
} as const;

/** Operations on 32-bit integers. */
export const I32 = {
  load: 0x28,
  store: 0x36,
  eqz: 0x45,
  eq: 0x46,
  ne: 0x47,
  ltS: 0x48,
  gtU: 0x4b,
  add: 0x6a,
  sub: 0x6b,
  and: 0x71,
  or: 0x72,
  xor: 0x73,
  shl: 0x74,
  shrU: 0x76,
  wrapI64: 0xa7,
  load16U: 0x2f,
} as const;

/** Operations on 64-bit integers. */
export const I64 = {
  load: 0x29,
  load8U: 0x31,
  load16U: 0x33,
  load32S: 0x34,
  load32U: 0x35,
  store: 0x37,
  store8: 0x3c,
  store16: 0x3d,
  store32: 0x3e,
  eqz: 0x50,
  eq: 0x51,
  ne: 0x52,
  ltS: 0x53,
  ltU: 0x54,
  gtS: 0x55,
  gtU: 0x56,
  leS: 0x57,
  leU: 0x58,
  geS: 0x59,
  geU: 0x5a,
  clz: 0x79,
  ctz: 0x7a,
  popcnt: 0x7b,
  add: 0x7c,
  sub: 0x7d,
  mul: 0x7e,
  divS: 0x7f,
  divU: 0x80,
  remS: 0x81,
  remU: 0x82,
  and: 0x83,
  or: 0x84,
  xor: 0x85,
  shl: 0x86,
  shrS: 0x87,
  shrU: 0x88,
  rotl: 0x89,
  rotr: 0x8a,
  extendI32S: 0xac,
  extendI32U: 0xad,
  extend8S: 0xc2,
  extend16S: 0xc3,
  extend32S: 0xc4,
} as const;

/** Vector operations: each has the prefix before it. */
export const V128 = { prefix: 0xfd, load: 0x00, store: 0x0b, const: 0x0c, and: 0x4e, or: 0x50, xor: 0x51, anyTrue: 0x53, i32x4Shl: 0xab, i32x4ShrU: 0xad } as const;

/** Value types and the empty block type. */
export const Type = { i32: 0x7f, i64: 0x7e, v128: 0x7b, void: 0x40, funcref: 0x70, func: 0x60 } as const;

/** Section numbers of a module (specification section 5.5). */
export const Section = { type: 1, import: 2, function: 3, table: 4, export: 7, element: 9, code: 10, custom: 0 } as const;
