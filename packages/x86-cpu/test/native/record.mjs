// Records what the host's own processor does with a few cases of every integer instruction form, into recording.jsonl.
// Needs Linux on x86-64, a C compiler and a built package: node packages/x86-cpu/test/native/record.mjs [seed]
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Op, OperandKind, createInstruction, decode } from '../../dist/decode/index.js';
import { OPCODE_MAP_64 } from '../../dist/decode/opcode-map-64.js';

const HERE = fileURLToPath(new URL('.', import.meta.url));
const DATA = 0x1000_0000n;
const DATA_SIZE = 1024;
const BRANCH_TARGET = 64;
const CASES_PER_SHAPE = 1;
const [RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI] = [0, 1, 2, 3, 4, 5, 6, 7];
const ALL = (1n << 64n) - 1n;

/** System instructions, far transfers and what the processor must not or cannot do in user mode. */
const SKIPPED = new Set(
  [
    'MovSeg MovCr MovDr Pushf Popf Enter Ret JmpFar CallFar RetFar Iret Int Int3 Int1 Ud0 Ud1 Ud2 Ins Outs In Out Cli Sti Clac Stac Hlt Cpuid Rdtsc Rdtscp',
    'Rdpmc Rdpid Rdrand Rdseed Rdmsr Wrmsr Syscall Sysret Sysenter Sysexit Swapgs Rdfsbase Rdgsbase Wrfsbase Wrgsbase Sgdt Sidt Lgdt Lidt Sldt Str Lldt Ltr',
    'Verr Verw Lar Lsl Smsw Lmsw Clts Invd Wbinvd Wbnoinvd Invlpg Invpcid Xgetbv Xsetbv Monitor Mwait Vmcall Vmmcall Vmgexit Tdcall Clflush Clflushopt Clwb',
    'Fwait',
  ]
    .join(' ')
    .split(' ')
    .map((name) => Op[name]),
);
const STRINGS = new Set([Op.Movs, Op.Cmps, Op.Stos, Op.Lods, Op.Scas]);
const BIT_TESTS = new Set([Op.Bt, Op.Bts, Op.Btr, Op.Btc]);
const LOOPS = new Set([Op.Loop, Op.Loope, Op.Loopne, Op.Jrcxz]);
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
  [Op.Xlat, [RAX, RBX]],
  ...[...STRINGS].map((op) => [op, [RAX, RCX, RSI, RDI]]),
  ...[...LOOPS].map((op) => [op, [RCX]]),
]);

let state = BigInt.asUintN(64, BigInt(process.argv[2] ?? 1) * 0x9e37_79b9_7f4a_7c15n + 1n);
function random64() {
  state ^= (state << 13n) & ALL;
  state ^= state >> 7n;
  state ^= (state << 17n) & ALL;
  return state;
}
const random = (n) => Number(random64() % BigInt(n));

/** A value that finds edges: small, a power of two, a mask, a sign-extended one, or anything. */
function value() {
  const bit = 1n << BigInt(random(64));
  return [random64(), BigInt.asUintN(64, BigInt(random(40) - 20)), bit, bit - 1n, BigInt.asUintN(64, -bit), random64() & random64(), BigInt(random(3))][random(7)];
}

/** What a register and a byte of memory hold when a case does not say. */
const defaultRegister = (register) => 0x0101_0101_0101_0101n * BigInt(register + 1);
const defaultMemory = Uint8Array.from({ length: DATA_SIZE }, (_, i) => (i * 73 + (i >> 3) * 29 + 17) & 0xff);

function encode(form, prefixes) {
  const bytes = [...prefixes];
  const mandatory = /\b(66|F2|F3)\b/.exec(form.match)?.[1];
  if (mandatory !== undefined && !form.match.includes('NP')) bytes.unshift(Number.parseInt(mandatory, 16));
  const rex = bytes.findIndex((byte) => byte >= 0x40 && byte <= 0x4f);
  if (rex >= 0) bytes.push(...bytes.splice(rex, 1));
  if (form.opcode > 0xffff) bytes.push(0x0f, 0x38);
  else if (form.opcode > 0xff) bytes.push(0x0f);
  bytes.push(form.opcode & 0xff);
  const whole = /=(\w\w)/.exec(form.match)?.[1];
  const reg = /\/(\d)/.exec(form.match)?.[1];
  const hasModrm = whole !== undefined || reg !== undefined || /\b[EGM]/.test(form.operands);
  if (whole !== undefined) bytes.push(Number.parseInt(whole, 16));
  else if (hasModrm) bytes.push(reg === undefined ? random(256) : (random(256) & 0xc7) | (Number(reg) << 3));
  while (bytes.length < 15) bytes.push(random(256));
  return Uint8Array.from(bytes);
}

const instruction = createInstruction();

/** One case of a form with these prefixes, or undefined where the dice gave one that cannot be run. */
function makeCase(form, prefixes) {
  const bytes = encode(form, prefixes);
  if (decode(bytes, 0, 15, 64, instruction) !== 0 || instruction.op !== form.op || instruction.segment >= 0) return undefined;
  const { op, operands, operandCount, length, base, index, scale, addressSize, operandSize } = instruction;
  const used = operands.slice(0, operandCount);
  const set = new Map();
  const memory = used.find((operand) => operand.kind === OperandKind.Mem);
  for (const operand of used) if (operand.kind === OperandKind.Reg) set.set(operand.reg, value());
  for (const register of IMPLICIT.get(op) ?? []) set.set(register, value());
  if ([Op.Push, Op.Pop, Op.Call].includes(op)) set.set(RSP, DATA + 512n + BigInt(random(64)));

  if (used[0]?.kind === OperandKind.Rel) {
    if (prefixes.includes(0x66)) return undefined;
    bytes.set(/Jb/.test(form.operands) ? [BRANCH_TARGET - length] : [BRANCH_TARGET - length, 0, 0, 0], length - (/Jb/.test(form.operands) ? 1 : 4));
  } else if (op === Op.Jmp || op === Op.Call) return undefined;
  if (/O[bv]/.test(form.operands)) return undefined;
  if (op === Op.Leave) set.set(RBP, DATA + 512n);
  if (op === Op.Xlat) set.set(RBX, DATA + 300n);
  if (LOOPS.has(op) && random(2) === 0) set.set(RCX, BigInt(random(3)));
  if ((op === Op.Div || op === Op.Idiv) && random(4) > 0) set.set(RDX, op === Op.Idiv && random(2) === 0 ? ALL : 0n);
  if (STRINGS.has(op)) {
    set.set(RSI, DATA + 400n + BigInt(random(50)));
    set.set(RDI, random(3) > 0 ? DATA + 600n + BigInt(random(50)) : set.get(RSI) + BigInt(random(9)));
    set.set(RCX, BigInt(random(5)));
  }

  if (memory !== undefined && ![Op.Lea, Op.Nop, Op.Prefetch].includes(op)) {
    if (base < 0 || base === 16 || index === base) return undefined;
    if (base === RSP && (op === Op.Push || op === Op.Pop)) return undefined;
    const disp = BigInt.asIntN(64, (BigInt(instruction.dispHi >>> 0) << 32n) | BigInt(instruction.dispLo >>> 0));
    let where = DATA + 480n + BigInt(random(64));
    if (op === Op.Cmpxchg8b) where &= ~15n;
    const bit = BIT_TESTS.has(op) && operands[1].kind === OperandKind.Reg ? operands[1].reg : -1;
    if (bit >= 0) {
      if (bit === base || bit === index) return undefined;
      set.set(bit, BigInt.asUintN(64, BigInt(random(1600) - 800)));
    }
    if (index >= 0) set.set(index, 16n * BigInt(random(4)));
    const address = where - disp - (index >= 0 ? set.get(index) << BigInt(scale) : 0n);
    set.set(base, addressSize === 4 ? BigInt.asUintN(32, address) | (random64() & ~0xffff_ffffn) : BigInt.asUintN(64, address));
    const matches = random(2) === 0 && base !== RAX && index !== RAX;
    const view = new DataView(defaultMemory.buffer);
    if (matches && op === Op.Cmpxchg) set.set(RAX, view.getBigUint64(Number(where - DATA), true));
    if (matches && op === Op.Cmpxchg8b && base !== RDX && index !== RDX) {
      const half = memory.size / 2;
      const at = Number(where - DATA);
      set.set(RAX, half === 8 ? view.getBigUint64(at, true) : BigInt(view.getUint32(at, true)));
      set.set(RDX, half === 8 ? view.getBigUint64(at + 8, true) : BigInt(view.getUint32(at + 4, true)));
    }
  } else if (memory !== undefined) {
    for (const register of [base, index]) if (register >= 0 && register < 16) set.set(register, value());
    if (base === 16) return undefined;
  } else if (op === Op.Cmpxchg && random(2) === 0) set.set(RAX, set.get(operands[0].reg));

  // What the architecture leaves undefined: 16-bit BSWAP, and 16-bit SHLD and SHRD by more than 16.
  if (op === Op.Bswap && operandSize === 2) return undefined;
  if ((op === Op.Shld || op === Op.Shrd) && operandSize === 2) {
    const count = operands[2].kind === OperandKind.Imm ? instruction.immLo : Number((set.get(RCX) ?? defaultRegister(RCX)) & 0xffn);
    if ((count & 31) > 16) return undefined;
  }
  const direction = STRINGS.has(op) && random(2) === 0 ? 0x400n : 0n;
  return { code: bytes.slice(0, length), set, flags: 0x202n | (random64() & 0x8d5n) | direction };
}

function makeCases() {
  const cases = [];
  for (const form of OPCODE_MAP_64) {
    if (SKIPPED.has(form.op) || /FS|GS/.test(form.operands)) continue;
    const repeats = STRINGS.has(form.op) ? [[], [0xf2], [0xf3]] : [[]];
    const shapes = [[], [0x66], [0x48 | random(8)], [0x40 | random(8)], [0x67]].flatMap((shape) => repeats.map((repeat) => [...repeat, ...shape]));
    for (const shape of shapes) {
      for (let found = 0, tries = 0; found < CASES_PER_SHAPE && tries < 40; tries++) {
        const one = makeCase(form, shape);
        if (one === undefined) continue;
        cases.push(one);
        found++;
      }
    }
  }
  return cases;
}

function execute(cases) {
  const folder = mkdtempSync(join(tmpdir(), 'native-'));
  try {
    const [program, input, output] = ['execute', 'in', 'out'].map((name) => join(folder, name));
    execFileSync('cc', ['-O1', '-o', program, join(HERE, 'execute.c')]);
    const size = 16 * 8 + 8 + 16 + DATA_SIZE;
    const buffer = Buffer.alloc(size * cases.length);
    cases.forEach(({ code, set, flags }, i) => {
      const start = i * size;
      for (let register = 0; register < 16; register++) buffer.writeBigUInt64LE(set.get(register) ?? defaultRegister(register), start + 8 * register);
      buffer.writeBigUInt64LE(flags, start + 128);
      buffer[start + 136] = code.length;
      buffer.set(code, start + 137);
      buffer.set(defaultMemory, start + 152);
    });
    writeFileSync(input, buffer);
    execFileSync(program, [input, output]);
    return readFileSync(output);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const hex = (number) => number.toString(16);

/** What changed, as a line of the recording. */
function describe({ code, set, flags }, output, start) {
  const line = { code: Buffer.from(code).toString('hex'), set: Object.fromEntries([...set].map(([register, v]) => [register, hex(v)])), flags: hex(flags) };
  const signal = output.readBigUInt64LE(start + 144);
  if (signal === 8n) return { ...line, divideError: true };
  if (signal !== 0n) throw new Error(`${line.code}: signal ${signal}`);
  const registers = {};
  for (let register = 0; register < 16; register++) {
    const after = output.readBigUInt64LE(start + 8 * register);
    if (after !== (set.get(register) ?? defaultRegister(register))) registers[register] = hex(after);
  }
  const memory = output.subarray(start + 152, start + 152 + DATA_SIZE);
  const changed = [...memory.keys()].filter((i) => memory[i] !== defaultMemory[i]);
  const result = { ...line, registers, flagsAfter: hex(output.readBigUInt64LE(start + 128)) };
  if (changed.length > 0) result.memory = [changed[0], memory.subarray(changed[0], changed.at(-1) + 1).toString('hex')];
  if (output.readBigUInt64LE(start + 136) === 1n) result.taken = true;
  return result;
}

const cases = makeCases();
const output = execute(cases);
const size = 16 * 8 + 8 + 8 + 8 + DATA_SIZE;
const lines = cases.map((one, i) => JSON.stringify(describe(one, output, i * size)));
const processor = /model name\s*: (.*)/.exec(readFileSync('/proc/cpuinfo', 'utf8'))[1];
writeFileSync(join(HERE, 'recording.jsonl'), `${JSON.stringify({ processor, cases: lines.length })}\n${lines.join('\n')}\n`);
