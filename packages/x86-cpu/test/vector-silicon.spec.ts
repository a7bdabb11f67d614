import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { BMI_CASES, bmiCase, bmiForms } from './native/bmi-cases.mjs';
import { RECORDED_CODE, RECORDED_DATA_SIZE } from './native/recording.js';
import { UserMachine } from './native/user-machine.js';
import { casesOf, MEMORY, STATE_BYTES, vectorCase, vectorForms } from './native/vector-cases.mjs';
import { X87_CASES, x87Case, x87Forms } from './native/x87-cases.mjs';

const REGISTERS = 16 * 8;
const FXSAVE = 18 * 8;
const DATA = FXSAVE + 512;
const BREAKPOINT = 3;

/** A recording: what its manifest says, and a line a case by form. */
function readRecording(file: string): { forms: number; cases: number; rows: ReadonlyMap<string, readonly string[]> } {
  const [manifest, ...lines] = readFileSync(new URL(`./native/${file}`, import.meta.url), 'utf8').trim().split('\n');
  const rows = new Map<string, string[]>();
  let current: string[] = [];
  for (const line of lines) {
    if (line.startsWith('"')) rows.set(JSON.parse(line) as string, (current = []));
    else current.push(line);
  }
  const { forms, cases } = JSON.parse(manifest!) as { readonly forms: number; readonly cases: number };
  return { forms, cases, rows };
}

/** The state after a case as recorded. */
function recordedState(before: Uint8Array, runs: readonly (number | string)[]): Uint8Array {
  const after = before.slice();
  for (let i = 0; i < runs.length; i += 2) after.set(Buffer.from(runs[i + 1] as string, 'hex'), runs[i] as number);
  return after;
}

const machine = new UserMachine();

/** The state after a case as the processor leaves it, in the recorder's layout. */
function ownState(code: readonly number[], before: Uint8Array): Uint8Array {
  const view = new DataView(before.buffer);
  const data = new Uint8Array(RECORDED_DATA_SIZE);
  data.set(before.subarray(DATA));
  machine.prepare(
    {
      form: '', code: Uint8Array.from(code), rip: RECORDED_CODE, registers: Array.from({ length: 16 }, (_, i) => view.getBigUint64(8 * i, true)), flags: view.getBigUint64(REGISTERS, true),
      fsBase: 0n, gsBase: 0n, patches: [], fault: undefined, ripAfter: 0n, registersAfter: [], flagsAfter: 0n, fsBaseAfter: 0n, gsBaseAfter: 0n, selectorsAfter: [], changed: undefined,
    },
    data,
  );
  machine.prepareVectors(before.subarray(FXSAVE, DATA));
  const fault = machine.run(RECORDED_CODE);
  const after = before.slice();
  const out = new DataView(after.buffer);
  machine.registers.forEach((value, i) => out.setBigUint64(8 * i, value, true));
  out.setBigUint64(REGISTERS, machine.flags, true);
  out.setBigUint64(REGISTERS + 8, BigInt(fault?.vector ?? BREAKPOINT), true);
  machine.readVectors(after.subarray(FXSAVE, DATA));
  after.set(machine.readData().subarray(0, MEMORY), DATA);
  return after;
}

/** What a difference is in: offset, ours, the processor's. */
function differences(ours: Uint8Array, theirs: Uint8Array): string[] {
  const found: string[] = [];
  for (let at = 0; at < STATE_BYTES; at++) {
    // RF in an exception's frame; the x87's last instruction; MXCSR_MASK.
    if (at === REGISTERS + 2 || (at >= FXSAVE + 6 && at < FXSAVE + 24) || (at >= FXSAVE + 28 && at < FXSAVE + 32) || ours[at] === theirs[at]) continue;
    const area = at < REGISTERS ? `r${at >> 3}` : at < FXSAVE ? `flags+${at - REGISTERS}` : at < DATA ? `fx+${at - FXSAVE}` : `memory+${at - DATA}`;
    found.push(`${area}: ${ours[at]!.toString(16)} not ${theirs[at]!.toString(16)}`);
  }
  return found;
}

const RECORDINGS = [
  { what: 'vector instructions', file: 'recording-vector.jsonl', forms: [...vectorForms()], count: casesOf, makeCase: vectorCase },
  { what: 'BMI and ADX', file: 'recording-bmi.jsonl', forms: [...bmiForms()], count: (): number => BMI_CASES, makeCase: bmiCase },
  { what: 'x87 instructions', file: 'recording-x87.jsonl', forms: [...x87Forms()], count: (): number => X87_CASES, makeCase: x87Case },
] as const;

describe.each(RECORDINGS)('$what, against a recorded processor', ({ file, forms, count, makeCase }) => {
  const recording = readRecording(file);

  it('are recorded whole', () => {
    expect(forms.map(({ name }) => name)).toEqual([...recording.rows.keys()]);
    expect(forms.length).toBe(recording.forms);
    expect(forms.reduce((sum, form) => sum + count(form as never), 0)).toBe(recording.cases);
  });

  it('leave every register, flag, exception and byte of memory as it does', () => {
    const found: string[] = [];
    for (const form of forms) {
      recording.rows.get(form.name)!.forEach((line, number) => {
        const { code, state } = makeCase(form as never, number);
        const theirs = recordedState(state, JSON.parse(line) as (number | string)[]);
        const difference = differences(ownState(code, state), theirs);
        if (difference.length > 0) found.push(`${form.name} #${number} ${Buffer.from(code).toString('hex')}: ${difference.slice(0, 6).join(', ')}`);
      });
    }
    expect(found).toEqual([]);
  });
});
