import { expect, it } from 'vitest';
import { RECORDED_CODE, RECORDED_DATA, RECORDED_DATA_SIZE, readRecording, recordedMemory } from '../../test/native/recording.js';
import type { RecordedCase } from '../../test/native/recording.js';
import { decode } from '../decode/decode.js';
import { CodeMode, DecodeStatus, createInstruction } from '../decode/instruction.js';
import { Flag, STATUS_FLAGS } from './arithmetic.js';
import { emulate } from './emulate.js';
import { EmulateStatus } from './emulator-cpu.js';
import type { EmulatorCpu } from './emulator-cpu.js';
import { undefinedFlags } from './undefined-flags.js';

class RecordedCpu implements EmulatorCpu {
  rip = RECORDED_CODE;
  rflags: bigint;
  readonly gprs: bigint[];
  readonly memory = recordedMemory();

  constructor({ before, flagsBefore }: RecordedCase) {
    this.rflags = flagsBefore;
    this.gprs = [...before];
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
    for (let i = size - 1; i >= 0; i--) value = (value << 8n) | BigInt(this.memory[Number(linear - RECORDED_DATA) + i]!);
    return value;
  }

  writeMemory(linear: bigint, size: number, value: bigint): boolean {
    for (let i = 0; i < size; i++) this.memory[Number(linear - RECORDED_DATA) + i] = Number((value >> BigInt(8 * i)) & 0xffn);
    return true;
  }

  canWriteMemory(linear: bigint, size: number): boolean {
    return linear >= RECORDED_DATA && linear + BigInt(size) <= RECORDED_DATA + BigInt(RECORDED_DATA_SIZE);
  }

  readPort(): undefined {
    return undefined;
  }

  writePort(): boolean {
    return false;
  }
}

const { processor, cases } = readRecording();

it(`the emulator does what an ${processor} did, registers, memory, branches and defined flags, in every recorded case`, () => {
  const instruction = createInstruction();
  expect(cases.length).toBeGreaterThan(1500);
  for (const one of cases) {
    const cpu = new RecordedCpu(one);
    let outcome = emulate(cpu, one.code, one.code.length);
    while (outcome.status === EmulateStatus.Repeat) outcome = emulate(cpu, one.code, one.code.length);
    expect(decode(one.code, 0, one.code.length, CodeMode.Bits64, instruction)).toBe(DecodeStatus.Ok);
    const compared = (STATUS_FLAGS | Flag.DF) & ~undefinedFlags(instruction, one.before[1]!);
    expect({
      code: one.code,
      vector: outcome.vector,
      registers: cpu.gprs,
      flags: cpu.rflags & compared,
      rip: cpu.rip,
      memoryDiffersAt: cpu.memory.findIndex((byte, at) => byte !== one.memoryAfter[at]),
    }).toEqual({
      code: one.code,
      vector: one.divideError ? 0 : -1,
      registers: one.after,
      flags: one.flagsAfter & compared,
      rip: one.ripAfter,
      memoryDiffersAt: -1,
    });
  }
});
