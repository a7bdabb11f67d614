import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { VectorSet } from './vector-set.js';

const vector = fc.nat(255);
const change = fc.oneof(
  fc.record({ what: fc.constant('add' as const), vector }),
  fc.record({ what: fc.constant('remove' as const), vector }),
  fc.record({ what: fc.constant('clear' as const), vector }),
  fc.record({ what: fc.constant('setBank' as const), vector, vectors: fc.integer() }),
);

describe('VectorSet', () => {
  it('is a set of the vectors 0 to 255, whatever is done with it', () => {
    fc.assert(
      fc.property(fc.array(change, { maxLength: 40 }), (changes) => {
        const set = new VectorSet();
        const model = new Set<number>();
        for (const each of changes) {
          const bank = each.vector >>> 5;
          if (each.what === 'add') {
            set.add(each.vector);
            model.add(each.vector);
          } else if (each.what === 'remove') {
            set.remove(each.vector);
            model.delete(each.vector);
          } else if (each.what === 'clear') {
            set.clear();
            model.clear();
          } else {
            set.setBank(bank, each.vectors);
            for (let bit = 0; bit < 32; bit++) {
              if (each.vectors & (1 << bit)) model.add(32 * bank + bit);
              else model.delete(32 * bank + bit);
            }
          }
          expect(set.highest()).toBe(Math.max(-1, ...model));
          expect(set.isOnly(set.highest())).toBe(model.size === 1);
          expect(set.has(each.vector)).toBe(model.has(each.vector));
          for (let n = 0; n < 8; n++) expect((set.occupied & (1 << n)) !== 0).toBe([...model].some((member) => member >>> 5 === n));
        }
        const restored = new VectorSet();
        restored.restore(set.save());
        expect(restored.save()).toEqual(set.save());
        expect(restored.highest()).toBe(set.highest());
      }),
    );
  });
});
