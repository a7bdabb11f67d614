// Every form of 32-bit code that user mode can execute or fault on, as cases: rows of the decoder's opcode map by prefixes and kind of operand.
import { Op, OperandKind, createInstruction, decode } from '../../dist/decode/index.js';
import { OPCODE_MAP_LEGACY } from '../../dist/decode/opcode-map-legacy.js';
import { CODE, CODE_START, DATA, PAGE, WRITABLE } from './address-space.mjs';
import { put } from './encode.mjs';
import { RICH, STRINGS, isRecorded, kindsOf, opcodeName } from './forms.mjs';

const [RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI] = [0, 1, 2, 3, 4, 5, 6, 7];
const MASK = 0xffff_ffffn;
const STACK_OPS = new Set([Op.Push, Op.Pop, Op.Pusha, Op.Popa, Op.Pushf, Op.Popf, Op.Call, Op.Ret, Op.CallFar, Op.RetFar, Op.Iret, Op.Enter, Op.Leave]);
const BIT_TESTS = new Set([Op.Bt, Op.Bts, Op.Btr, Op.Btc]);
const SHIFTS = new Set([Op.Rol, Op.Ror, Op.Rcl, Op.Rcr, Op.Shl, Op.Shr, Op.Sar, Op.Shld, Op.Shrd]);
const FAR_LOADS = new Set([Op.Les, Op.Lds, Op.Lfs, Op.Lgs, Op.Lss]);
const SELECTOR_READERS = new Set([Op.MovSeg, Op.Lar, Op.Lsl, Op.Verr, Op.Verw, Op.Arpl]);
/** Linux's flat user segments, null, the kernel's, the empty LDT, behind the limit. 64-bit code is left out: the case would go on in it. */
const SELECTORS = [0n, 3n, 0x2bn, 0x2bn, 0x2an, 0x28n, 0x23n, 0x10n, 0x18n, 0x1bn, 0x04n, 0x07n, 0xfff8n, 0xfffbn];
const CODE_SELECTORS = [0x23n, 0x23n, 0x23n, 0x23n, 0x20n, 0x10n, 0x13n, 0x2bn, 0n, 3n, 0x07n, 0xfffbn];
const INT_VECTORS = [0n, 1n, 2n, 5n, 6n, 8n, 13n, 14n, 32n, 0x7fn, 200n, 255n];
/** RFLAGS that POPF and IRET may be given: neither TF nor RF nor AC, under which the recorder's own code would be checked. */
const POPPED_FLAGS = 0x20_4fd5n | 0x3000n;

const shape = (name, bytes, weight) => ({ name, bytes, weight });
const SHAPES = [
  shape('', [], 4), shape('66', [0x66], 4), shape('67', [0x67], 2), shape('66 67', [0x66, 0x67], 1), shape('FS', [0x64], 1), shape('CS', [0x2e], 1), shape('SS', [0x36], 1),
  shape('ES', [0x26], 1), shape('F2', [0xf2], 1), shape('F3', [0xf3], 1), shape('LOCK', [0xf0], 2),
];
const REPEATED = [shape('F2 66', [0xf2, 0x66], 1), shape('F3 66', [0xf3, 0x66], 1), shape('F3 67', [0xf3, 0x67], 1), shape('F2 CS', [0xf2, 0x2e], 1)];

/** Opcodes of which 32-bit code has nothing, with the bytes behind them. */
const INVALID = [[0x0f, 0x04], [0x0f, 0x0a], [0x0f, 0x0c], [0x0f, 0x36], [0x0f, 0xa6], [0xff, 0xf8], [0xff, 0xd8], [0x8d, 0xc1], [0x62, 0xc1], [0x8c, 0xf0], [0x8e, 0xc8], [0xfe, 0xd0], [0xc6, 0x08]];

/** Forms in the order of the opcode map. */
export function* enumerateForms32() {
  for (const row of OPCODE_MAP_LEGACY) {
    if (!isRecorded(row)) continue;
    for (const kind of kindsOf(row)) {
      for (const prefixes of STRINGS.has(row.op) ? [...SHAPES, ...REPEATED] : SHAPES) {
        const words = [opcodeName(row.opcode), row.match, row.operands].filter((word) => word !== '').join(' ');
        yield { row, kind, prefixes, weight: prefixes.weight * (RICH.has(row.op) ? 3 : 1), name: `${words}; ${prefixes.name === '' ? 'no prefix' : prefixes.name}; ${kind}` };
      }
    }
  }
}

function modrmOf({ kind, row }, random) {
  const reg = /\/(\d)/.exec(row.match)?.[1];
  const whole = /=(\w\w)/.exec(row.match)?.[1];
  if (whole !== undefined) return [Number.parseInt(whole, 16)];
  if (kind === 'none') return [];
  const field = (reg === undefined ? random.below(8) : Number(reg)) << 3;
  if (kind === 'memory') return [(random.below(3) << 6) | field | random.below(8)];
  return [0xc0 | field | (kind === 'high byte' ? 4 + random.below(4) : random.below(8))];
}

/** Bytes at the end that are an immediate, a displacement of a branch, an address or a far pointer. */
function tailSize(operands, { operandSize, addressSize }) {
  if (/\bAp\b/.test(operands)) return operandSize + 2;
  if (/\bO[bv]\b/.test(operands)) return addressSize;
  if (/\bIwb\b|\bIw Ib\b/.test(operands)) return 3;
  if (/\bIw\b/.test(operands)) return 2;
  if (/\bs?Ib\b|\bJb\b/.test(operands)) return 1;
  if (/\b(Jz|Iz|Iv)\b/.test(operands)) return operandSize;
  return 0;
}

function encode(form, random) {
  const { row, prefixes } = form;
  const mandatory = row.match.includes('NP') ? undefined : /\b(66|F2|F3)\b/.exec(row.match)?.[1];
  const bytes = [...prefixes.bytes];
  if (mandatory !== undefined && !bytes.includes(Number.parseInt(mandatory, 16))) bytes.push(Number.parseInt(mandatory, 16));
  if (row.opcode > 0xffff) bytes.push(0x0f, 0x38);
  else if (row.opcode > 0xff) bytes.push(0x0f);
  bytes.push(row.opcode & 0xff, ...modrmOf(form, random));
  while (bytes.length < 15) bytes.push(random.below(256));
  const instruction = createInstruction();
  // LOCK is left out of what is decoded: illegal ones are cases too.
  const lock = prefixes.bytes.includes(0xf0);
  const shown = Uint8Array.from(lock ? bytes.slice(1) : bytes);
  if (decode(shown, 0, shown.length, 32, instruction) !== 0 || instruction.op !== row.op) return undefined;
  const code = Uint8Array.from(bytes.slice(0, instruction.length + (lock ? 1 : 0)));
  const memory = instruction.operands.slice(0, instruction.operandCount).find(({ kind }) => kind === OperandKind.Mem);
  return { code, instruction, memory, tail: tailSize(row.operands, instruction) };
}

/** A linear address: mostly well inside the data, sometimes over a seam or nowhere. */
function pointer(random, size) {
  const inside = DATA + 512n + BigInt(random.below(7000));
  return random.pick([inside, inside, inside, inside & ~15n, inside & ~15n, DATA + PAGE - BigInt(random.below(size + 1)), DATA + WRITABLE - BigInt(random.below(size + 1)), DATA + WRITABLE + 64n, DATA + 3n * PAGE - BigInt(random.below(size + 1)), CODE + BigInt(random.below(2000)), 0x2468n]);
}

function branchTarget(random, length) {
  for (;;) {
    const target = random.pick([CODE + BigInt(random.below(4096)), CODE + BigInt(random.below(4096)), CODE + PAGE + BigInt(random.below(4096)), DATA + BigInt(random.below(4096)), 0x1234n]);
    if (target < CODE + CODE_START || target >= CODE + CODE_START + BigInt(length)) return target;
  }
}

const bytesOf = (value, size) => {
  const bytes = new Uint8Array(size);
  put(bytes, 0, size, value);
  return bytes;
};

/** One case of a form; undefined where the dice gave one that cannot be run or whose outcome is undefined. */
export function makeCase32(form, random) {
  const encoded = encode(form, random);
  if (encoded === undefined) return undefined;
  const { code, instruction, memory, tail } = encoded;
  const { op, operands, operandCount, operandSize, addressSize, base, index, scale } = instruction;
  const set = new Map();
  const patches = [];
  const get = (register) => set.get(register) ?? 0x0101_0101n * BigInt(register + 1);
  const patch = (linear, bytes) => {
    const offset = linear - DATA;
    if (offset >= 0n && offset + BigInt(bytes.length) <= WRITABLE && patches.length < 2) patches.push({ offset: Number(offset), bytes });
  };
  if (op === Op.Bswap && operandSize === 2) return undefined;
  if ((op === Op.JmpFar || op === Op.CallFar || op === Op.Iret || op === Op.RetFar) && operandSize === 2 && random.once(2)) return undefined;
  let flags = 0x202n | (random.next64() & (STRINGS.has(op) ? 0xcd5n : 0x8d5n));
  for (let i = 0; i < operandCount; i++) if (operands[i].kind === OperandKind.Reg) set.set(operands[i].reg & (operands[i].high8 ? 3 : 7), random.value(4) & MASK);
  for (const register of [RAX, RCX, RDX, RBX]) if (random.once(2)) set.set(register, random.value(4) & MASK);
  if (tail > 0 && !/\b(Ap|O[bv]|J[bz])\b/.test(form.row.operands)) put(code, code.length - tail, tail, random.value(Math.min(tail, 4)));
  if (SHIFTS.has(op)) {
    const count = random.count(8 * operandSize);
    if (operands[operandCount - 1].kind === OperandKind.Reg) set.set(RCX, (get(RCX) & ~0xffn) | count);
    else if (tail === 1) put(code, code.length - 1, 1, count);
  }
  if ((op === Op.Div || op === Op.Idiv) && !random.once(3)) {
    if (operandSize === 1) set.set(RAX, BigInt(random.below(128)));
    else set.set(RDX, random.once(2) && op === Op.Idiv ? MASK : BigInt(random.below(3)));
  }
  if (op === Op.Int) put(code, code.length - 1, 1, random.pick(INT_VECTORS));
  if (op === Op.Aam && random.once(4)) put(code, code.length - 1, 1, 0n);
  if (op === Op.Into && random.once(2)) flags |= 0x800n;
  if (operands[0].kind === OperandKind.Rel) {
    const distance = branchTarget(random, code.length) - (CODE + CODE_START + BigInt(code.length));
    // Not back into the instruction itself.
    put(code, code.length - tail, tail, tail === 1 ? BigInt(random.below(256 - code.length)) : distance);
    set.set(RCX, BigInt(random.below(3)));
  }
  if (/\bAp\b/.test(form.row.operands)) {
    put(code, code.length - tail, operandSize, branchTarget(random, code.length));
    put(code, code.length - 2, 2, random.pick(CODE_SELECTORS));
  }
  if (STACK_OPS.has(op)) {
    const top = DATA + (random.once(6) ? BigInt(random.pick([2, 6, 8190, 8194])) : (512n + BigInt(random.below(7000))) & ~3n);
    set.set(RSP, top);
    set.set(RBP, random.once(3) ? pointer(random, 4) : DATA + 1024n + BigInt(random.below(4000)));
    const selector = form.row.operands.includes('S') && op === Op.Pop ? random.pick(SELECTORS) : random.pick(CODE_SELECTORS);
    if (op === Op.Ret) patch(top, bytesOf(branchTarget(random, code.length), 4));
    if (op === Op.RetFar || op === Op.Iret) patch(top, Uint8Array.from([...bytesOf(branchTarget(random, code.length), operandSize), ...bytesOf(selector, operandSize), ...bytesOf(random.next64() & POPPED_FLAGS, operandSize)]));
    if (op === Op.Popf) patch(top, bytesOf(random.next64() & POPPED_FLAGS, operandSize));
    if (op === Op.Pop && [OperandKind.SegReg].includes(operands[0].kind)) patch(top, bytesOf(random.pick(SELECTORS), operandSize));
    if (op === Op.Enter) {
      put(code, code.length - 3, 2, BigInt(random.below(256)));
      put(code, code.length - 1, 1, BigInt(random.pick([0, 0, 1, 2, 3, 31, 32])));
    }
  }
  if (op === Op.RetFar && tail > 0) put(code, code.length - 2, 2, BigInt(random.below(256)));
  if (STRINGS.has(op)) {
    // Of two pointers that both lead nowhere, no manual says which is followed first.
    if (op === Op.Cmps && addressSize === 2) return undefined;
    const mask = addressSize === 2 ? 0xffffn : MASK;
    const source = pointer(random, operandSize);
    const isGood = source >= DATA + 64n && source < DATA + WRITABLE - 64n && !form.prefixes.bytes.includes(0x64);
    set.set(RSI, source);
    set.set(RDI, isGood && random.once(2) ? pointer(random, operandSize) : DATA + 2048n + BigInt(random.below(2000)));
    set.set(RCX, (get(RCX) & ~mask & MASK) | BigInt(random.below(20)));
  }
  if (op === Op.Xlat) set.set(RBX, (pointer(random, 1) - (get(RAX) & 0xffn)) & MASK);
  if (SELECTOR_READERS.has(op)) for (let i = 0; i < operandCount; i++) if (operands[i].kind === OperandKind.Reg) set.set(operands[i].reg, random.pick(SELECTORS) | (random.next64() & 0xffff_0000n));
  if (memory !== undefined && op !== Op.Lea && op !== Op.Nop && op !== Op.Prefetch) {
    const size = Math.max(memory.size, 1);
    const target = pointer(random, size);
    if (/\bO[bv]\b/.test(form.row.operands)) put(code, code.length - tail, tail, target);
    else if (base < 0 && addressSize === 4) {
      if (index >= 0) return undefined;
      put(code, code.length - tail - 4, 4, target);
    } else if (addressSize === 4) {
      if (base === index) return undefined;
      let offset = target - BigInt(instruction.dispLo);
      if (index >= 0) {
        set.set(index, random.once(2) ? 16n * BigInt(random.below(4)) : random.value(4) & MASK);
        offset -= get(index) << BigInt(scale);
      }
      if (BIT_TESTS.has(op) && operands[1].kind === OperandKind.Reg) {
        const { reg } = operands[1];
        if (reg === base || reg === index) return undefined;
        const number = BigInt(random.below(1600) - 800);
        set.set(reg, BigInt.asUintN(32, number));
        const width = BigInt(8 * operandSize);
        offset -= ((number - (((number % width) + width) % width)) / width) * BigInt(operandSize);
      }
      set.set(base, BigInt.asUintN(32, offset));
    }
    if (op === Op.Jmp || op === Op.Call) patch(target, bytesOf(branchTarget(random, code.length), 4));
    if (op === Op.JmpFar || op === Op.CallFar) patch(target, Uint8Array.from([...bytesOf(branchTarget(random, code.length), operandSize), ...bytesOf(random.pick(CODE_SELECTORS), 2)]));
    if (FAR_LOADS.has(op)) patch(target, Uint8Array.from([...bytesOf(random.value(4), operandSize), ...bytesOf(random.pick(SELECTORS), 2)]));
    if (SELECTOR_READERS.has(op)) patch(target, bytesOf(random.pick(SELECTORS), 2));
    if (op === Op.Bound) patch(target, Uint8Array.from([...bytesOf(BigInt(random.below(40) - 30), operandSize), ...bytesOf(BigInt(random.below(1000)), operandSize)]));
    if (op === Op.Cmpxchg && random.once(2)) patch(target, bytesOf(get(RAX), operandSize));
    if (op === Op.Cmpxchg8b && random.once(2)) patch(target, Uint8Array.from([...bytesOf(get(RAX), 4), ...bytesOf(get(RDX), 4)]));
  } else if ((op === Op.Jmp || op === Op.Call) && operands[0].kind === OperandKind.Reg) {
    if (op === Op.Call && operands[0].reg === RSP) return undefined;
    set.set(operands[0].reg, branchTarget(random, code.length));
  }
  if ((op === Op.Shld || op === Op.Shrd) && operandSize === 2) {
    const count = operands[2].kind === OperandKind.Imm ? code.at(-1) : Number(get(RCX) & 0xffn);
    if ((count & 31) > 16) return undefined;
  }
  return { code, set, flags, rip: CODE + CODE_START, fsBase: 0n, gsBase: 0n, patches, op };
}

/** Bytes that are no instruction. */
export function* enumerateInvalid32() {
  for (const bytes of INVALID) yield { name: `${bytes.map((byte) => byte.toString(16).padStart(2, '0')).join(' ')}; invalid`, bytes };
}

