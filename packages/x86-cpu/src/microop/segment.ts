import { I32, I64 } from '../wasm/opcodes.js';
import { Leave } from './accessors.js';
import { Family } from './registry.js';

/** Segmentation outside 64-bit mode: limits, bases, and jump targets against the limit of CS. */
export const segment = new Family();

/** Field of `segment`: 1 when the segment is SS, whose violations are #SS. */
export const SEGMENT_IS_STACK = 6;

// Fields: destination, offset (zero-extended), base, first offset allowed, last offset allowed, size - 1, whether it is SS. Linear addresses wrap at 4 GiB.
segment.define('segment', 'rrrrrii', (c) => {
  const { w, t } = c;
  c.get(1, 8);
  w.tee(t.a);
  c.get(3, 4);
  w.op(I64.ltU).get(t.a);
  c.immediate(5);
  w.op(I64.add);
  c.get(4, 4);
  w.op(I64.gtU, I32.or).if();
  c.fault(Leave.Limit);
  w.end();
  c.set(0, 8, () => {
    w.get(t.a);
    c.get(2, 8);
    w.op(I64.add).i64(0xffffffff).op(I64.and);
  });
});

// A jump target of the operand size, which must not be beyond the limit of CS. Fields: destination, target, limit.
for (const size of [2, 4] as const) {
  segment.define(`target${size}`, 'rrr', (c) => {
    const { w, t } = c;
    c.get(1, size);
    w.tee(t.a);
    c.get(2, 8);
    w.op(I64.gtU).if();
    c.fault(Leave.Protection);
    w.end();
    c.set(0, 8, () => w.get(t.a));
  });
}

// In the place of a jump whose target is beyond the limit of CS.
segment.defineTerminal('beyond', '', (c) => c.leave(Leave.Beyond));
