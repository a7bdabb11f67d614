import { I32, I64, Type } from '../wasm/opcodes.js';
import type { Accessors } from './accessors.js';
import { Flag, FlagKind, LOG2, SIZES } from './flags.js';
import type { Size } from './flags.js';
import { Family } from './registry.js';

/**
 * String instructions. One execution is one iteration, so a repeated one is a block of its own that links to itself: each
 * iteration retires, is a stop point, and leaves the registers as the architecture has them between iterations.
 *
 * Fields: accumulator, counter, source pointer, destination pointer, segment base of the source; then, in the repeated
 * forms, the links "again" and "done". A suffix `.a4` means 32-bit pointers and counter.
 */
export const string = new Family();

const ACCUMULATOR = 0;
const COUNTER = 1;
const SOURCE = 2;
const DESTINATION = 3;
const SOURCE_BASE = 4;
const AGAIN = 5;
const DONE = 6;

const NAMES = ['movs', 'stos', 'lods', 'scas', 'cmps'] as const;
type StringName = (typeof NAMES)[number];

const READS_SOURCE: ReadonlySet<StringName> = new Set(['movs', 'lods', 'cmps']);
const USES_DESTINATION: ReadonlySet<StringName> = new Set(['movs', 'stos', 'scas', 'cmps']);

/** Moves a pointer by the width, in the direction of DF. */
function advance(c: Accessors, field: number, size: Size, addressSize: 4 | 8): void {
  const { w } = c;
  c.set(field, addressSize, () => {
    c.get(field, addressSize);
    c.systemFlags();
    w.i32(Flag.df).op(I32.and).ifValue(Type.i64).i64(-(1 << LOG2[size])).else().i64(1 << LOG2[size]).end().op(I64.add);
  });
}

/** One iteration; comparisons leave their operands in a and b. */
function iterate(c: Accessors, name: StringName, size: Size, addressSize: 4 | 8): void {
  const { w, t } = c;
  const source = (): void => {
    c.get(SOURCE, addressSize);
    c.get(SOURCE_BASE, 8);
    w.op(I64.add);
  };
  const destination = (): void => c.get(DESTINATION, addressSize);
  if (READS_SOURCE.has(name)) {
    c.load(size, source);
    w.set(t.a);
  } else {
    c.get(ACCUMULATOR, size);
    w.set(t.a);
  }
  if (name === 'movs' || name === 'stos') {
    c.store(size, destination, () => w.get(t.a));
  } else if (name === 'cmps' || name === 'scas') {
    c.load(size, destination);
    w.set(t.b);
    c.flags(FlagKind.Sub, size, t.a, t.b);
  } else {
    c.set(ACCUMULATOR, size, () => w.get(t.a));
  }
  if (READS_SOURCE.has(name)) advance(c, SOURCE, size, addressSize);
  if (USES_DESTINATION.has(name)) advance(c, DESTINATION, size, addressSize);
}

/** What ends a repetition besides the counter. */
const CONDITIONS = { rep: undefined, repe: I64.eq, repne: I64.ne } as const;

for (const size of SIZES) {
  for (const name of NAMES) {
    for (const addressSize of [8, 4] as const) {
      const suffix = addressSize === 8 ? '' : '.a4';
      string.define(`${name}${size}${suffix}`, 'rrrrr', (c) => iterate(c, name, size, addressSize));
      const repetitions = name === 'cmps' || name === 'scas' ? (['repe', 'repne'] as const) : (['rep'] as const);
      for (const repetition of repetitions) {
        string.defineTerminal(`${repetition}.${name}${size}${suffix}`, 'rrrrrtt', (c) => {
          const { w, t } = c;
          c.get(COUNTER, addressSize);
          w.op(I64.eqz).if();
          c.goto(DONE);
          w.end();
          iterate(c, name, size, addressSize);
          c.get(COUNTER, addressSize);
          w.i64(1).op(I64.sub).set(t.c);
          c.set(COUNTER, addressSize, () => w.get(t.c));
          w.get(t.c).op(I64.eqz, I32.eqz);
          const condition = CONDITIONS[repetition];
          if (condition !== undefined) w.get(t.a).get(t.b).op(condition, I32.and);
          c.branch(AGAIN, DONE);
        });
      }
    }
  }
}
