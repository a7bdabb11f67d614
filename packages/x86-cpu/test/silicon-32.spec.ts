import { describe, expect, it } from 'vitest';
import { CodeMode } from '../src/decode/index.js';
import { Comparison, memoryBefore } from './native/comparison.js';
import { KNOWN_DIFFERENCES_32 } from './native/known-differences.js';
import { readRecording } from './native/recording.js';
import { UserMachine } from './native/user-machine.js';

const { manifest, cases } = readRecording(32);

describe(`32-bit code against a recording of family ${manifest.processor.family} model ${manifest.processor.model}, ${manifest.cases} cases of ${manifest.forms} forms`, () => {
  it('holds the cases that its manifest counts, faults of every vector that user mode can cause among them', () => {
    expect(cases.length).toBe(manifest.cases);
    expect(new Set(cases.map(({ form }) => form)).size).toBe(manifest.forms);
    const vectors = new Set(cases.map(({ fault }) => fault?.vector ?? -1));
    expect([...vectors].sort((a, b) => a - b)).toEqual([-1, 0, 3, 4, 5, 6, 13, 14]);
  });

  it('the processor does in every case what the real one did: registers, defined flags, memory, selectors, vector, error code and CR2', () => {
    const machine = new UserMachine(32);
    const comparison = new Comparison(KNOWN_DIFFERENCES_32, CodeMode.Bits32);
    for (const one of cases) {
      machine.prepare(one, memoryBefore(one));
      const fault = machine.run(one.rip);
      const { registers, flags, rip, selectors } = machine;
      comparison.add(one, { fault, registers, flags, rip, selectors, memory: machine.readData() });
    }
    expect(comparison.unexpected).toEqual([]);
    expect([...comparison.known.keys()].map(({ reason }) => reason).sort()).toEqual(KNOWN_DIFFERENCES_32.map(({ reason }) => reason).sort());
    expect(comparison.equal).toBeGreaterThan(0.99 * cases.length);
  });
});
