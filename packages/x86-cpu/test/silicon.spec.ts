import { describe, expect, it } from 'vitest';
import { CodeMode, createInstruction, decode } from '../src/decode/index.js';
import { EmulateStatus, emulate } from '../src/emulate/index.js';
import { undefinedFlags } from '../src/emulate/undefined-flags.js';
import { KNOWN_DIFFERENCES } from './native/known-differences.js';
import type { KnownDifference } from './native/known-differences.js';
import { RECORDED_CODE, readRecording, recordedMemory } from './native/recording.js';
import type { RecordedCase, RecordedFault } from './native/recording.js';
import { UserCpu } from './native/user-cpu.js';
import { UserMachine } from './native/user-machine.js';

const PAGE = 4096;
/** RFLAGS without TF and RF, which a recording cannot show. */
const COMPARED = 0x3e_feffn;

/** What is compared. */
interface State {
  readonly fault: RecordedFault | undefined;
  readonly registers: readonly bigint[];
  readonly flags: bigint;
  readonly rip: bigint;
  readonly memory: Uint8Array;
  readonly bases?: readonly bigint[];
  readonly selectors?: readonly number[];
}

const instruction = createInstruction();
const { manifest, cases } = readRecording();
const pristine = recordedMemory();

function memoryBefore(one: RecordedCase): Uint8Array {
  const memory = pristine.slice();
  for (const [at, bytes] of one.patches) memory.set(bytes, at);
  return memory;
}

/** A null selector loses its RPL when the kernel returns to user mode, on its way to the recorder (SDM volume 2, IRET). */
function asReturned(selector: number): number {
  return selector <= 3 ? 0 : selector;
}

function words(fault: RecordedFault | undefined): string {
  return fault === undefined ? 'no fault' : `#${fault.vector}(${fault.errorCode.toString(16)}) ${fault.cr2.toString(16)}`;
}

/** What was done otherwise than recorded, in words; undefined if nothing. */
function difference(one: RecordedCase, found: State): string | undefined {
  decode(one.code, 0, one.code.length, CodeMode.Bits64, instruction);
  const flags = one.fault === undefined ? COMPARED & ~undefinedFlags(instruction, one.registers[1]!) : COMPARED;
  const differences: string[] = [];
  const compare = (name: string, a: unknown, b: unknown): void => {
    if (a !== b) differences.push(`${name} ${typeof a === 'bigint' ? a.toString(16) : a}, not ${typeof b === 'bigint' ? b.toString(16) : b}`);
  };
  compare('fault', words(found.fault), words(one.fault));
  for (let i = 0; i < 16; i++) compare(`register ${i}`, found.registers[i]!, one.registersAfter[i]!);
  compare('flags', found.flags & flags, one.flagsAfter & flags);
  compare('rip', found.rip, one.ripAfter);
  if (found.bases !== undefined) compare('bases', found.bases.join(), [one.fsBaseAfter, one.gsBaseAfter].join());
  if (found.selectors !== undefined) compare('DS ES FS GS', found.selectors.map(asReturned).join(), one.selectorsAfter.join());
  const expected = memoryBefore(one);
  if (one.changed !== undefined) expected.set(one.changed[1], one.changed[0]);
  if (Buffer.compare(found.memory, expected) !== 0) compare('memory at', found.memory.findIndex((byte, at) => byte !== expected[at]), -1);
  if (differences.length === 0) return undefined;
  return `${one.form} [${Array.from(one.code, (byte) => byte.toString(16).padStart(2, '0')).join(' ')}]: ${differences.join('; ')}`;
}

/** Compares outcomes with the recording: what differs beyond the known differences, and how many cases each of those has. */
class Comparison {
  readonly unexpected: string[] = [];
  readonly known = new Map<KnownDifference, number>();
  equal = 0;
  readonly #known: readonly KnownDifference[];

  constructor(known: readonly KnownDifference[]) {
    this.#known = known;
  }

  add(one: RecordedCase, found: State): void {
    const text = difference(one, found);
    if (text === undefined) {
      this.equal++;
      return;
    }
    const raised = found.fault?.vector ?? -1;
    const known = this.#known.find(({ vector, applies }) => applies(instruction) && (vector === undefined || vector === raised));
    if (known === undefined) this.unexpected.push(text);
    else this.known.set(known, (this.known.get(known) ?? 0) + 1);
  }
}

function replayOnProcessor(): Comparison {
  const machine = new UserMachine();
  const comparison = new Comparison(KNOWN_DIFFERENCES.filter(({ processor }) => processor));
  for (const one of cases) {
    machine.prepare(one, memoryBefore(one));
    const fault = machine.run(one.rip);
    const { registers, flags, rip, selectors, fsBase, gsBase } = machine;
    comparison.add(one, { fault, registers, flags, rip, selectors, bases: [fsBase, gsBase], memory: machine.readData() });
  }
  return comparison;
}

function replayOnEmulator(): Comparison {
  const comparison = new Comparison(KNOWN_DIFFERENCES.filter(({ emulator }) => emulator));
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
