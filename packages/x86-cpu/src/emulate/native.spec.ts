import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { CodeMode, DecodeStatus, createInstruction } from '../decode/instruction.js';
import { decode } from '../decode/decode.js';
import { Flag, STATUS_FLAGS } from './arithmetic.js';
import { emulate } from './emulate.js';
import { EmulateStatus } from './emulator-cpu.js';
import type { EmulatorCpu } from './emulator-cpu.js';
import { undefinedFlags } from './undefined-flags.js';

/** A line of packages/x86-cpu/test/native/recording.jsonl; its README says what the fields mean. */
interface Case {
  code: string;
  set: Record<string, string>;
  flags: string;
  divideError?: true;
  registers: Record<string, string>;
  flagsAfter: string;
  memory?: [number, string];
  taken?: true;
}

const DATA = 0x1000_0000n;
const CODE = 0x2000_0000n;
const BRANCH_TARGET = 64n;
const DEFAULT_MEMORY = Uint8Array.from({ length: 1024 }, (_, i) => (i * 73 + (i >> 3) * 29 + 17) & 0xff);

const big = (hex: string): bigint => BigInt(`0x${hex}`);

class RecordedCpu implements EmulatorCpu {
  rip = CODE;
  rflags: bigint;
  readonly gprs: bigint[];
  readonly memory = DEFAULT_MEMORY.slice();

  constructor({ set, flags }: Case) {
    this.rflags = big(flags);
    this.gprs = Array.from({ length: 16 }, (_, i) => (set[i] === undefined ? 0x0101_0101_0101_0101n * BigInt(i + 1) : big(set[i])));
  }

  readGpr(register: number): bigint {
    return this.gprs[register]!;
  }

  writeGpr(register: number, value: bigint): void {
    this.gprs[register] = value;
  }

  segmentBase(): bigint {
    return 0n;
  }

  readMemory(linear: bigint, size: number): bigint {
    let value = 0n;
    for (let i = size - 1; i >= 0; i--) value = (value << 8n) | BigInt(this.memory[Number(linear - DATA) + i]!);
    return value;
  }

  writeMemory(linear: bigint, size: number, value: bigint): boolean {
    for (let i = 0; i < size; i++) this.memory[Number(linear - DATA) + i] = Number((value >> BigInt(8 * i)) & 0xffn);
    return true;
  }

  canWriteMemory(linear: bigint, size: number): boolean {
    return linear >= DATA && linear + BigInt(size) <= DATA + 1024n;
  }

  readPort(): undefined {
    return undefined;
  }

  writePort(): boolean {
    return false;
  }
}

/** A case that raised #DE left everything alone. */
function expectedState(one: Case, before: readonly bigint[], compared: bigint): unknown {
  if (one.divideError) return { code: one.code, memoryDiffersAt: -1, vector: 0, registers: before, flags: big(one.flags) & compared, rip: CODE };
  return {
    code: one.code,
    memoryDiffersAt: -1,
    vector: -1,
    registers: before.map((value, i) => (one.registers[i] === undefined ? value : big(one.registers[i]))),
    flags: big(one.flagsAfter) & compared,
    rip: CODE + (one.taken ? BRANCH_TARGET : BigInt(one.code.length / 2)),
  };
}

function expectedMemory(one: Case): Uint8Array {
  const memory = DEFAULT_MEMORY.slice();
  if (one.memory !== undefined) memory.set(one.memory[1].match(/../g)!.map((byte) => Number.parseInt(byte, 16)), one.memory[0]);
  return memory;
}

const [header, ...lines] = readFileSync(new URL('../../test/native/recording.jsonl', import.meta.url), 'utf8').trim().split('\n');
const cases = lines.map((line) => JSON.parse(line) as Case);

it(`the emulator does what an ${(JSON.parse(header!) as { processor: string }).processor} did, registers, memory, branches and defined flags, in every recorded case`, () => {
  const instruction = createInstruction();
  expect(cases.length).toBeGreaterThan(1500);
  for (const one of cases) {
    const bytes = Uint8Array.from(one.code.match(/../g)!, (byte) => Number.parseInt(byte, 16));
    const cpu = new RecordedCpu(one);
    const before = [...cpu.gprs];
    let outcome = emulate(cpu, bytes, bytes.length);
    while (outcome.status === EmulateStatus.Repeat) outcome = emulate(cpu, bytes, bytes.length);
    expect(decode(bytes, 0, bytes.length, CodeMode.Bits64, instruction)).toBe(DecodeStatus.Ok);
    const compared = (STATUS_FLAGS | Flag.DF) & ~undefinedFlags(instruction, before[1]!);
    const memory = expectedMemory(one);
    expect({
      code: one.code,
      vector: outcome.vector,
      registers: cpu.gprs,
      flags: cpu.rflags & compared,
      rip: cpu.rip,
      memoryDiffersAt: cpu.memory.findIndex((byte, at) => byte !== memory[at]),
    }).toEqual(expectedState(one, before, compared));
  }
});
