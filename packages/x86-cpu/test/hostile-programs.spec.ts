/** Whole random programs in every mode: the processor throws nothing, runs on without end in none, and does the same again. */
import { expect, it } from 'vitest';
import { Stop } from '../src/index.js';
import { Dice } from './programs/dice.js';
import { RAM } from './programs/layout.js';
import { MODES } from './programs/modes.js';
import { ProgramMachine, STRETCH } from './programs/program-machine.js';
import type { Outcome } from './programs/program-machine.js';
import { makeProgram } from './programs/program.js';

const long = process.env['PARAVISOR_LONG'] === '1';
/** So many programs run, then run again, the last one first: one of each mode. */
const BATCH = MODES.length;
const PROGRAMS = BATCH * (long ? 300 : 3);
/** Instructions of each. */
const BUDGET = 2000;
const TIMEOUT = long ? 3_600_000 : 60_000;
const SLOWEST_MS = 10_000;

const image = new Uint8Array(RAM);
const machines = [new ProgramMachine('intel', 'interpreter'), new ProgramMachine('amd', 'interpreter')] as const;
const others = [new ProgramMachine('intel', 'auto'), new ProgramMachine('amd', 'translator')] as const;
let written = 0;
let slowestMs = 0;

/** A program that never comes back stops the test without a word: how far it got says which one. */
function tell(done: number, of: number): void {
  if (long && done % (10 * BATCH) === 0) console.log(`${done} of ${of} programs`);
}

function run(seed: number, again: boolean): Outcome {
  const start = performance.now();
  const mode = MODES[seed % MODES.length]!;
  try {
    const program = makeProgram(image, mode, new Dice(seed));
    if (!again) written += program.written;
    const machine = (again ? others : machines)[Math.floor(seed / MODES.length) & 1]!;
    const dice = new Dice(~seed);
    return again ? machine.run(program, seed, BUDGET, () => 1 + dice.below(STRETCH >> 2)) : machine.run(program, seed, BUDGET);
  } catch (error) {
    throw new Error(`program ${seed}, ${mode.name}`, { cause: error });
  } finally {
    slowestMs = Math.max(slowestMs, performance.now() - start);
  }
}

it('a random program ends within its budget in every mode, without an exception of the host, and the same again in other slices after other programs', { timeout: TIMEOUT }, () => {
  const stops = Object.values(Stop).map(() => 0);
  const retired = new Map(MODES.map(({ name }) => [name, 0]));
  for (let first = 0; first < PROGRAMS; first += BATCH) {
    tell(first, PROGRAMS);
    const outcomes = Array.from({ length: BATCH }, (_, i) => run(first + i, false));
    for (let i = BATCH - 1; i >= 0; i--) {
      const seed = first + i;
      const { name } = MODES[seed % MODES.length]!;
      expect(run(seed, true).digest, `program ${seed}, ${name}`).toBe(outcomes[i]!.digest);
      outcomes[i]!.stops.forEach((count, stop) => (stops[stop]! += count));
      retired.set(name, retired.get(name)! + outcomes[i]!.retired);
    }
  }
  const all = [...retired.values()].reduce((sum, count) => sum + count, 0);
  if (long) console.log(`${PROGRAMS} random programs of ${written} instructions, ${all} retired, no exception, the same twice; slowest ${slowestMs.toFixed(0)} ms; stops ${stops.join(' ')}`);
  for (const stop of [Stop.Budget, Stop.Intercept, Stop.Costed, Stop.Halted, Stop.Shutdown]) expect(stops[stop], `stop ${stop}`).toBeGreaterThan(0);
  for (const [name, count] of retired) expect(count, name).toBeGreaterThan(all / MODES.length / 4);
  expect(slowestMs).toBeLessThan(SLOWEST_MS);
});

const SLICES = long ? [1, 3, 17, 61, STRETCH] : [3, 61];
const SLICED = long ? 1000 : BATCH;

it(`${SLICED} random programs end the same on the interpreter and on the translator, in slices of any size`, { timeout: TIMEOUT }, () => {
  const interpreters = [new ProgramMachine('intel', 'interpreter'), new ProgramMachine('amd', 'interpreter')] as const;
  const translators = [new ProgramMachine('intel', 'translator'), new ProgramMachine('amd', 'translator')] as const;
  for (let seed = PROGRAMS; seed < PROGRAMS + SLICED; seed++) {
    tell(seed - PROGRAMS, SLICED);
    const program = makeProgram(image, MODES[seed % MODES.length]!, new Dice(seed));
    const expected = interpreters[seed & 1]!.run(program, seed, BUDGET).digest;
    for (const slice of SLICES) expect(translators[seed & 1]!.run(program, seed, BUDGET, () => slice).digest, `program ${seed}, slices of ${slice}`).toBe(expected);
  }
});
