// From a form to cases: operands in registers and memory, pointers, stacks and branch targets.
import { Op, OperandKind } from '../../dist/decode/index.js';
import { CODE, CODE_START, DATA, PAGE, WRITABLE, branchTarget, pointer } from './address-space.mjs';
import { encode, put } from './encode.mjs';
import { STRINGS } from './forms.mjs';

const [RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI] = [0, 1, 2, 3, 4, 5, 6, 7];
const BASE_RIP = 16;
const BIT_TESTS = new Set([Op.Bt, Op.Bts, Op.Btr, Op.Btc]);
const SHIFTS = new Set([Op.Rol, Op.Ror, Op.Rcl, Op.Rcr, Op.Shl, Op.Shr, Op.Sar, Op.Shld, Op.Shrd]);
const LOOPS = new Set([Op.Loop, Op.Loope, Op.Loopne, Op.Jrcxz]);
const NEAR_BRANCHES = new Set([Op.Jmp, Op.Jcc, Op.Call, Op.Ret, ...LOOPS]);
const NO_ACCESS = new Set([Op.Lea, Op.Nop, Op.Prefetch]);
/** Registers an instruction uses without naming them. */
const IMPLICIT = new Map([
  [Op.Mul, [RAX, RDX]],
  [Op.Imul, [RAX, RDX]],
  [Op.Div, [RAX, RDX]],
  [Op.Idiv, [RAX, RDX]],
  [Op.Cmpxchg, [RAX]],
  [Op.Cmpxchg8b, [RAX, RCX, RDX, RBX]],
  [Op.Cbw, [RAX]],
  [Op.Cwd, [RAX, RDX]],
  [Op.Lahf, [RAX]],
  [Op.Sahf, [RAX]],
]);
const STATUS_AND_DIRECTION = 0xcd5n;
/** RFLAGS that POPF and IRET may be given: all but TF, which would trap, and RF, which no recording shows. */
const POPPED_FLAGS = 0x3e_feff_fn & ~0x1_0100n;

/** Selectors of Linux's GDT, and others: null, kernel and user segments of each kind, the empty LDT, behind the limit. */
const SELECTORS = [0n, 1n, 3n, 0x2bn, 0x2an, 0x28n, 0x33n, 0x30n, 0x23n, 0x10n, 0x13n, 0x18n, 0x1bn, 0x04n, 0x07n, 0xfff8n, 0xfffbn];
const CODE_SELECTORS = [0x33n, 0x33n, 0x33n, 0x33n, 0x30n, 0x10n, 0x13n, 0x2bn, 0n, 3n, 0x07n, 0xfffbn];
const STACK_SELECTORS = [0x2bn, 0x2bn, 0x2bn, 0x2bn, 0x2bn, 0x2an, 0n, 3n, 0x1bn, 0x33n, 0xfffbn];
/** Vectors whose gates user mode may not use. */
const INT_VECTORS = [0n, 1n, 2n, 5n, 6n, 8n, 13n, 14n, 32n, 0x7fn, 200n, 255n];

export const defaultRegister = (register) => 0x0101_0101_0101_0101n * BigInt(register + 1);
export const defaultByte = (i) => (i * 73 + (i >> 3) * 29 + 17) & 0xff;

function bytesOf(value, size) {
  const bytes = new Uint8Array(size);
  put(bytes, 0, size, value);
  return bytes;
}

/** One case in the making. */
class Draft {
  set = new Map();
  patches = [];
  flags;
  rip = CODE + CODE_START;
  fsBase = 0n;
  gsBase = 0n;

  constructor(form, random, encoded) {
    Object.assign(this, { form, random, ...encoded });
    this.flags = 0x202n | (random.next64() & (STRINGS.has(form.row.op) ? STATUS_AND_DIRECTION : 0x8d5n));
  }

  /** Puts bytes into memory before the instruction, where they fit. */
  patch(linear, bytes) {
    const offset = linear - DATA;
    if (offset < 0n || offset + BigInt(bytes.length) > WRITABLE || this.patches.length === 2) return;
    this.patches.push({ offset: Number(offset), bytes });
  }

  get(register) {
    return this.set.get(register) ?? defaultRegister(register);
  }
}

/** The dice for a pointer: the first cases of a form keep to good ones. */
function pointerKind(draft, index) {
  if (index === 0) return 0;
  return draft.random.pick(draft.form.weight === 1 ? [0, 0, 0, 1, 2] : [0, 0, 0, 0, 0, 1, 2, 2]);
}

function aim(draft, size, index) {
  const low = draft.instruction.addressSize === 4 || draft.instruction.base === BASE_RIP;
  for (;;) {
    const target = pointer(draft.random, size, pointerKind(draft, index));
    if (!low || target < 0x4000_0000n) return target;
  }
}

/** Gives the operands' registers values. */
function setOperands(draft) {
  const { instruction, random, immediate, immediateAt, code } = draft;
  const { operands, operandCount, operandSize, op } = instruction;
  for (let i = 0; i < operandCount; i++) {
    const operand = operands[i];
    if (operand.kind === OperandKind.Reg) draft.set.set(operand.reg, random.value(operand.high8 ? 2 : operand.size));
  }
  for (const register of IMPLICIT.get(op) ?? []) draft.set.set(register, random.value(operandSize));
  if (immediate > 0) put(code, immediateAt, immediate, random.value(immediate));
  if (!SHIFTS.has(op)) return;
  const count = operands[operandCount - 1];
  if (count.kind === OperandKind.Reg) draft.set.set(RCX, (draft.get(RCX) & ~0xffn) | random.count(8 * operandSize));
  else if (immediate === 1) put(code, immediateAt, 1, random.count(8 * operandSize));
}

/** Makes the memory operand's address `target`; false where the dice gave an address that cannot be aimed. */
function aimOperand(draft, target) {
  const { instruction, random, set, code } = draft;
  const { base, index, scale, addressSize, segment, op, operands, operandSize } = instruction;
  let offset = target;
  if (segment >= 0) {
    const segmentBase = addressSize === 4 || base === BASE_RIP || base < 0 ? 0x40n : random.pick([0x40n, 0x123_4567n, 0x6fff_0000_1230n]);
    if (segment === 4) draft.fsBase = segmentBase;
    else draft.gsBase = segmentBase;
    offset -= segmentBase;
  }
  if (BIT_TESTS.has(op) && operands[1].kind === OperandKind.Reg) {
    const bit = operands[1].reg;
    if (bit === base || bit === index || base === BASE_RIP || base < 0) return false;
    const bits = 8 * operandSize;
    const number = BigInt.asIntN(bits, random.once(3) ? random.value(operandSize) : BigInt(random.below(1600) - 800));
    set.set(bit, BigInt.asUintN(64, bits === 64 ? number : BigInt.asUintN(bits, number) | (random.next64() << BigInt(bits))));
    const width = BigInt(bits);
    offset -= ((number - (((number % width) + width) % width)) / width) * BigInt(operandSize);
  }
  // moffs: the address stands in the code.
  if (/\bO[bv]\b/.test(draft.form.row.operands)) {
    put(code, code.length - addressSize, addressSize, offset);
    return true;
  }
  if (index >= 0 && index === base) return false;
  if (index >= 0) {
    const value = base < 0 ? BigInt(random.below(64)) : random.once(2) ? 16n * BigInt(random.below(4)) : random.value(8);
    set.set(index, value);
    offset -= value << BigInt(scale);
  }
  const displacement = BigInt.asIntN(64, (BigInt(instruction.dispHi >>> 0) << 32n) | BigInt(instruction.dispLo >>> 0));
  if (base < 0 || base === BASE_RIP) {
    if (base === BASE_RIP) offset -= draft.rip + BigInt(code.length);
    if (BigInt.asIntN(32, offset) !== offset) return false;
    put(code, draft.immediateAt - 4, 4, offset);
    return true;
  }
  const value = offset - displacement;
  set.set(base, addressSize === 4 ? BigInt.asUintN(32, value) | (random.next64() & ~0xffff_ffffn) : BigInt.asUintN(64, value));
  return true;
}

/** Gives division a chance not to overflow, and comparisons one to be equal. */
function relateOperands(draft, target) {
  const { instruction, random, set, memory } = draft;
  const { op, operandSize, operands, base, index } = instruction;
  const used = (register) => base === register || index === register;
  if ((op === Op.Div || op === Op.Idiv) && !random.once(3) && !used(RDX) && !(operands[0].kind === OperandKind.Reg && operands[0].reg === RDX && operandSize > 1)) {
    const negative = op === Op.Idiv && random.once(2);
    if (operandSize === 1) {
      if (!used(RAX) && operands[0].reg !== RAX) set.set(RAX, (draft.get(RAX) & ~0xffffn) | (negative ? 0xff80n : 0n) | (draft.get(RAX) & 0x7fn));
    } else set.set(RDX, negative ? (1n << 64n) - 1n : random.once(3) ? random.next64() & 3n : 0n);
  }
  if (op === Op.Cmpxchg && random.once(2) && !used(RAX)) {
    if (memory === undefined) {
      const value = draft.get(operands[0].reg);
      set.set(RAX, operands[0].high8 ? value >> 8n : value);
    } else draft.patch(target, bytesOf(draft.get(RAX), operandSize));
  }
  if (op === Op.Cmpxchg8b && random.once(2)) {
    const half = memory.size / 2;
    draft.patch(target, Uint8Array.from([...bytesOf(draft.get(RAX), half), ...bytesOf(draft.get(RDX), half)]));
  }
}

function aimStrings(draft, index) {
  const { instruction, random, set } = draft;
  const { operandSize: size, op, rep, segment, addressSize } = instruction;
  const garbage = () => (addressSize === 4 ? random.next64() & ~0xffff_ffffn : 0n);
  const forward = (draft.flags & 0x400n) === 0n;
  let source = aim(draft, size, index);
  // Two addresses that both fault would show an order that no manual gives.
  const isGood = source >= DATA + 512n && source < DATA + WRITABLE - 512n;
  let destination = isGood ? (random.once(3) ? source + BigInt(random.below(17) - 8) : aim(draft, size, index)) : aim(draft, size, 0);
  let count = BigInt(random.below(20));
  if (rep !== 0 && index > 0 && random.once(3)) {
    // A count that only a fault can end, near the end of what may be accessed.
    const end = forward ? DATA + WRITABLE - BigInt(5 * size + random.below(4)) : DATA + BigInt(4 * size + random.below(4));
    if (random.once(2)) source = end;
    else destination = end;
    count = random.pick([1000n, 0x8000_0000n, addressSize === 4 ? 0xffff_ffffn : (1n << 64n) - 1n]);
  }
  if (rep === 0) count = random.value(8);
  if (op === Op.Cmps || op === Op.Scas) {
    const same = Uint8Array.from({ length: size * (1 + random.below(Math.floor(48 / size))) }, () => (rep === 2 ? random.below(256) : 0x5a));
    const start = (at) => (forward ? at : at - BigInt(same.length - size));
    if (rep !== 2 || random.once(2)) draft.patch(start(destination), same);
    if (op === Op.Cmps && rep !== 2) draft.patch(start(source), same);
    set.set(RAX, op === Op.Scas && random.once(2) ? 0x5a5a_5a5a_5a5a_5a5an : random.value(size));
  } else set.set(RAX, random.value(size));
  if (segment >= 0) {
    const base = addressSize === 4 ? 0x40n : random.pick([0x40n, 0x6fff_0000_1230n]);
    if (segment === 4) draft.fsBase = base;
    else draft.gsBase = base;
    source -= base;
  }
  set.set(RSI, BigInt.asUintN(addressSize * 8, source) | garbage());
  set.set(RDI, BigInt.asUintN(addressSize * 8, destination) | garbage());
  set.set(RCX, rep === 0 ? count : BigInt.asUintN(addressSize * 8, count) | garbage());
}

const isSegmentPush = ({ op, operands }) => (op === Op.Push || op === Op.Pop) && operands[0].kind === OperandKind.SegReg;

/** Stacks: RSP, RBP, and what lies there. */
function aimStack(draft, index) {
  const { instruction, random, set, code, immediateAt } = draft;
  const { op, operandSize: size, operands, base } = instruction;
  // Far returns read their frame in an order of the processor's own, so that all of it is there.
  const top = () => (op === Op.RetFar || op === Op.Iret ? pointer(random, size, 0) : aim(draft, size, index));
  if (op === Op.Leave) set.set(RBP, top());
  else if ([Op.Pop, Op.Ret, Op.Popf, Op.RetFar, Op.Iret].includes(op)) {
    if (op !== Op.Pop || base !== RSP) set.set(RSP, top());
  } else if (base !== RSP) set.set(RSP, BigInt.asUintN(64, top() + BigInt(size)));
  const stack = draft.get(RSP);
  if (op === Op.Ret) draft.patch(stack, bytesOf(branchTarget(random, draft.rip, code.length), 8));
  if (op === Op.Popf) draft.patch(stack, bytesOf(random.next64() & POPPED_FLAGS, size));
  if (op === Op.Pop) draft.patch(stack, bytesOf(isSegmentPush(instruction) ? random.pick(SELECTORS) : random.value(size), size));
  if (op === Op.RetFar || op === Op.Iret) {
    const frame = [branchTarget(random, draft.rip, code.length), random.pick(CODE_SELECTORS)];
    if (op === Op.Iret) frame.push(random.next64() & POPPED_FLAGS, random.value(8), random.pick(STACK_SELECTORS));
    draft.patch(stack, Uint8Array.from(frame.flatMap((value) => [...bytesOf(value, size)])));
  }
  if (op === Op.RetFar && draft.immediate > 0) put(code, immediateAt, 2, BigInt(random.below(256)));
  if (op === Op.Enter) {
    set.set(RBP, random.once(4) ? top() : DATA + 512n + BigInt(random.below(7000)));
    put(code, immediateAt, 2, random.once(2) ? BigInt(random.below(256)) : random.value(2));
    put(code, immediateAt + 2, 1, BigInt(random.pick([0, 0, 1, 2, 3, 5, 31, 32, 33, 255])));
  }
  return op !== Op.Call || operands[0].kind !== OperandKind.Reg || operands[0].reg !== RSP;
}

/** One case of a form, its `index`-th; undefined where the dice gave one that cannot be run or whose outcome is undefined. */
export function makeCase(form, random, index) {
  const encoded = encode(form, random);
  if (encoded === undefined) return undefined;
  const draft = new Draft(form, random, encoded);
  const { instruction, set, code, memory, immediate, immediateAt } = draft;
  const { op, operands, operandSize } = instruction;
  const has66 = form.prefixes.legacy.includes(0x66);
  if (NEAR_BRANCHES.has(op) && has66) return undefined;
  if ((op === Op.JmpFar || op === Op.CallFar) && operandSize === 8) return undefined;
  if (op === Op.Bswap && operandSize === 2) return undefined;

  setOperands(draft);
  if (op === Op.Int) put(code, immediateAt, 1, random.pick(INT_VECTORS));
  let target = 0n;
  if (operands[0].kind === OperandKind.Rel) {
    const from = draft.rip + BigInt(code.length);
    for (;;) {
      const distance = branchTarget(random, draft.rip, code.length) - from;
      if (BigInt.asIntN(8 * immediate, distance) !== distance) continue;
      put(code, immediateAt, immediate, distance);
      break;
    }
  }
  if (STRINGS.has(op)) aimStrings(draft, index);
  if (LOOPS.has(op)) set.set(RCX, random.once(2) ? BigInt(random.below(3)) : random.value(instruction.addressSize));
  if ([Op.Push, Op.Pop, Op.Call, Op.Ret, Op.Leave, Op.Enter, Op.Pushf, Op.Popf, Op.RetFar, Op.Iret, Op.CallFar].includes(op) && !aimStack(draft, index)) return undefined;
  if (op === Op.Xlat) {
    const at = aim(draft, 1, index);
    const al = BigInt(random.below(256));
    set.set(RAX, (random.next64() & ~0xffn) | al);
    let base = at - al;
    if (instruction.segment === 4) base -= draft.fsBase = 0x40n;
    if (instruction.segment === 5) base -= draft.gsBase = 0x80n;
    set.set(RBX, BigInt.asUintN(64, base));
  }
  // With a segment base the stack could lie in the kernel's half, of whose pages Linux tells nothing.
  if ([Op.Push, Op.Pop, Op.Call, Op.CallFar].includes(op) && instruction.base === RSP && instruction.segment >= 0) return undefined;
  if (memory !== undefined && !NO_ACCESS.has(op)) {
    const size = Math.max(memory.size, 1);
    target = aim(draft, size, index);
    if (op === Op.Cmpxchg8b && !random.once(4)) target &= ~15n;
    if (!aimOperand(draft, target)) return undefined;
    relateOperands(draft, target);
    if (op === Op.Jmp || op === Op.Call) {
      // Of a target that is not canonical and a stack that faults, vendors check one or the other first.
      if (op === Op.Call && instruction.base !== RSP) set.set(RSP, pointer(random, 8, 0));
      draft.patch(target, bytesOf(branchTarget(random, draft.rip, code.length), 8));
    }
    if (op === Op.JmpFar || op === Op.CallFar) {
      draft.patch(target, Uint8Array.from([...bytesOf(branchTarget(random, draft.rip, code.length), operandSize), ...bytesOf(random.pick(CODE_SELECTORS), 2)]));
    } else if ([Op.MovSeg, Op.Lar, Op.Lsl, Op.Verr, Op.Verw].includes(op)) draft.patch(target, bytesOf(random.pick(SELECTORS), 2));
    else if (![Op.Jmp, Op.Call, Op.Cmpxchg8b, Op.Cmpxchg].includes(op)) draft.patch(target, bytesOf(random.value(Math.min(size, 8)), Math.min(size, 8)));
  } else if (memory !== undefined) {
    for (const register of [instruction.base, instruction.index]) if (register >= 0 && register < 16) set.set(register, random.value(8));
  } else {
    relateOperands(draft, 0n);
    const source = operands[instruction.operandCount - 1];
    if ((op === Op.Jmp || op === Op.Call) && source?.kind === OperandKind.Reg) {
      set.set(source.reg, branchTarget(random, draft.rip, code.length));
      if (op === Op.Call) set.set(RSP, pointer(random, 8, 0));
    }
    if ([Op.MovSeg, Op.Lar, Op.Lsl, Op.Verr, Op.Verw].includes(op) && source.kind === OperandKind.Reg) {
      set.set(source.reg, random.pick(SELECTORS) | (random.next64() & ~0xffffn));
    }
  }
  if ([Op.Rdfsbase, Op.Rdgsbase, Op.MovSeg, Op.Pop].includes(op) || op === Op.Wrfsbase || op === Op.Wrgsbase) {
    if (draft.fsBase === 0n) draft.fsBase = random.pick([0n, 0x6fff_1234_5678n, 0xffff_8000_0000_0000n]);
    if (draft.gsBase === 0n) draft.gsBase = random.pick([0n, 0x6fff_8765_4321n, 0xffff_ffff_ffff_fff0n]);
  }
  if ((op === Op.Shld || op === Op.Shrd) && operandSize === 2) {
    const count = operands[2].kind === OperandKind.Imm ? code[immediateAt] : Number(draft.get(RCX) & 0xffn);
    if ((count & 31) > 16) return undefined;
  }
  return finish(draft);
}

function finish({ code, set, flags, rip, fsBase, gsBase, patches, instruction }) {
  return { code, set, flags, rip, fsBase, gsBase, patches, op: instruction?.op };
}

/** A case of bytes that are no instruction. */
export function makeInvalid(bytes, random) {
  return { code: Uint8Array.from([...bytes, 0, 0, 0, 0]), set: new Map(), flags: 0x202n | (random.next64() & 0x8d5n), rip: CODE + CODE_START, fsBase: 0n, gsBase: 0n, patches: [] };
}

/** A case at the end of the code page, of which the last `missing` bytes lie on a page that is not there. */
export function makeCutOff(form, random, missing) {
  const one = makeCase(form, random, 0);
  if (one === undefined || one.code.length <= missing) return undefined;
  return { ...one, rip: CODE + PAGE - BigInt(one.code.length - missing) };
}

/** An addition behind so many prefixes that it is `length` bytes long. */
export function makeLong(random, length) {
  const addition = [0x01, 0xc8];
  return makeInvalidLong([...Array.from({ length: length - 2 }, () => random.pick([0x26, 0x2e, 0x36, 0x3e, 0x66])), ...addition], random);
}

function makeInvalidLong(bytes, random) {
  return { ...makeInvalid([], random), code: Uint8Array.from(bytes), set: new Map([[RAX, random.value(8)], [RCX, random.value(8)]]) };
}
