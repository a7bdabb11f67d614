import { describe, expect, it } from 'vitest';
import { CodeMode } from '../src/decode/index.js';
import { EmulateStatus, emulate } from '../src/emulate/index.js';
import { Comparison, memoryBefore } from './native/comparison.js';
import { KNOWN_DIFFERENCES } from './native/known-differences.js';
import { RECORDED_CODE, readRecording } from './native/recording.js';
import type { RecordedFault } from './native/recording.js';
import { UserCpu } from './native/user-cpu.js';
import { UserMachine } from './native/user-machine.js';

const PAGE = 4096;
const { manifest, cases } = readRecording(64);

function replayOnProcessor(): Comparison {
  const machine = new UserMachine();
  const comparison = new Comparison(KNOWN_DIFFERENCES.filter(({ processor }) => processor), CodeMode.Bits64);
  for (const one of cases) {
    machine.prepare(one, memoryBefore(one));
    const fault = machine.run(one.rip);
    const { registers, flags, rip, selectors, fsBase, gsBase } = machine;
    comparison.add(one, { fault, registers, flags, rip, selectors, bases: [fsBase, gsBase], memory: machine.readData() });
  }
  return comparison;
}

function replayOnEmulator(): Comparison {
  const comparison = new Comparison(KNOWN_DIFFERENCES.filter(({ emulator }) => emulator), CodeMode.Bits64);
  for (const one of cases) {
    const cpu = new UserCpu(one, memoryBefore(one));
    const available = Math.min(one.code.length, Number(RECORDED_CODE) + PAGE - Number(one.rip));
    let outcome = emulate(cpu, one.code, available);
    while (outcome.status === EmulateStatus.Repeat) outcome = emulate(cpu, one.code, available);
    if (outcome.status === EmulateStatus.NotEmulated || outcome.status === EmulateStatus.Truncated) continue;
    let fault: RecordedFault | undefined;
    if (outcome.status === EmulateStatus.AccessFailed) fault = cpu.fault;
    else if (outcome.status === EmulateStatus.Exception) fault = { vector: outcome.vector, errorCode: outcome.errorCode, cr2: 0n };
    comparison.add(one, { fault, registers: cpu.gprs, flags: cpu.rflags, rip: cpu.rip, memory: cpu.data });
  }
  return comparison;
}

describe(`against a recording of family ${manifest.processor.family} model ${manifest.processor.model}, ${manifest.cases} cases of ${manifest.forms} forms`, () => {
  it('holds the cases that its manifest counts, faults of every vector that user mode can cause among them', () => {
    expect(cases.length).toBe(manifest.cases);
    expect(new Set(cases.map(({ form }) => form)).size).toBe(manifest.forms);
    const vectors = new Set(cases.map(({ fault }) => fault?.vector ?? -1));
    expect([...vectors].sort((a, b) => a - b)).toEqual([-1, 0, 3, 6, 12, 13, 14]);
  });

  it('the processor does in every case what the real one did: registers, defined flags, memory, segment bases, vector, error code and CR2', () => {
    const { unexpected, known, equal } = replayOnProcessor();
    expect(unexpected).toEqual([]);
    expect([...known.keys()].map(({ reason }) => reason).sort()).toEqual(KNOWN_DIFFERENCES.filter(({ processor }) => processor).map(({ reason }) => reason).sort());
    expect(equal).toBeGreaterThan(0.99 * cases.length);
  });

  it('the emulator does what the real processor did in every case of an instruction that it emulates', () => {
    const { unexpected, known, equal } = replayOnEmulator();
    expect(unexpected).toEqual([]);
    expect([...known.keys()].map(({ reason }) => reason).sort()).toEqual(KNOWN_DIFFERENCES.filter(({ emulator }) => emulator).map(({ reason }) => reason).sort());
    expect(equal).toBeGreaterThan(0.85 * cases.length);
  });
});
