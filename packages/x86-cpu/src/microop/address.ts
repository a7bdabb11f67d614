import { I64 } from '../wasm/opcodes.js';
import type { Accessors } from './accessors.js';

/** A shape of memory operand: its fields, and how they make the linear address, pushed from field `first` on. */
export interface EffectiveAddress {
  readonly fields: string;
  readonly push: (c: Accessors, first: number) => void;
}

/** Shapes of memory operand. Everything else (segment bases, 32-bit addresses) is computed into a temporary first. */
export const effectiveAddress = {
  /** base + displacement */
  base: {
    fields: 'ri',
    push(c, first) {
      c.get(first, 8);
      c.immediate(first + 1);
      c.w.op(I64.add);
    },
  },
  /** (index << scale) + displacement */
  index: {
    fields: 'rii',
    push(c, first) {
      c.get(first, 8);
      c.immediate(first + 1);
      c.w.op(I64.shl);
      c.immediate(first + 2);
      c.w.op(I64.add);
    },
  },
  /** base + (index << scale) + displacement */
  both: {
    fields: 'rrii',
    push(c, first) {
      c.get(first, 8);
      c.get(first + 1, 8);
      c.immediate(first + 2);
      c.w.op(I64.shl, I64.add);
      c.immediate(first + 3);
      c.w.op(I64.add);
    },
  },
} as const satisfies Record<string, EffectiveAddress>;
export type AddressForm = keyof typeof effectiveAddress;

export const ADDRESS_FORMS = Object.keys(effectiveAddress) as AddressForm[];
