import type { MemorySpace } from '../memory/space.js';
import { compileModule, instantiate } from '../wasm/platform.js';
import type { PlatformModule, PlatformTable } from '../wasm/platform.js';
import { generateInterpreter } from './generate.js';

/** The interpreter as one processor calls it. */
export interface Interpreter {
  /** Runs from the position in the state until something makes it leave; returns the `Leave` reason. */
  run(context: number, tlb: number): number;
  /** Makes the lazy flags in the state into bits. */
  ready(context: number): number;
}

/** What the interpreter calls: see `IMPORT` of the accessors. */
export interface InterpreterCalls {
  probe(flags: number): number;
  put(size: number): number;
}

/** Compiled once a realm: all processors of all machines share it, and its optimised code. */
let compiled: PlatformModule | undefined;

export function createInterpreter(space: MemorySpace, translations: PlatformTable, calls: InterpreterCalls): Interpreter {
  compiled ??= compileModule(generateInterpreter());
  const exports = instantiate(compiled, { m: { memory: space.platform, translations, probe: calls.probe, put: calls.put } });
  return exports as unknown as Interpreter;
}

/**
 * V8 does not replace a running WebAssembly loop by its optimised version, so the interpreter must return now and then,
 * often at first. How often shows nowhere in guest state or counts.
 */
const COLD_RUNS = 80;
const COLD_BUDGET = 20_000;
const WARM_BUDGET = 1 << 22;
let runs = 0;

/** Tells that there is new code, which V8 has yet to optimise. */
export function newCode(): void {
  runs = 0;
}

/** Instructions to grant the interpreter before it must return. */
export function nextGrant(): number {
  if (runs >= COLD_RUNS) return WARM_BUDGET;
  runs++;
  return COLD_BUDGET;
}
