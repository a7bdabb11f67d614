/**
 * Binary layouts as checked tables. A layout names every byte of a structure, padding included, and throws at definition
 * when fields overlap, leave a gap or pass the end. `viewOf` lays typed accessors over bytes; they allocate nothing.
 */
import type { ReadonlyU64 } from './u64.js';

interface FieldOf<Kind extends string> {
  readonly kind: Kind;
  readonly offset: number;
  readonly size: number;
}
export type U8Field = FieldOf<'u8'>;
export type U16Field = FieldOf<'u16'>;
export type U32Field = FieldOf<'u32'>;
export type U64FieldSpec = FieldOf<'u64'>;
export type BytesField = FieldOf<'bytes'>;
export interface U32ArrayField extends FieldOf<'u32[]'> {
  readonly count: number;
}
export interface U64ArrayField extends FieldOf<'u64[]'> {
  readonly count: number;
}
export interface StructField<F extends Fields = Fields> extends FieldOf<'struct'> {
  readonly layout: Layout<F>;
}
export interface StructArrayField<F extends Fields = Fields> extends FieldOf<'struct[]'> {
  readonly layout: Layout<F>;
  readonly count: number;
}
// The recursion of a structure's own fields ends here: a nested layout's fields are inferred where it is used.
export type Field = U8Field | U16Field | U32Field | U64FieldSpec | BytesField | U32ArrayField | U64ArrayField | StructField<any> | StructArrayField<any>;
export type Fields = Readonly<Record<string, Field>>;

/** A structure of `size` bytes whose fields cover it exactly. */
export interface Layout<F extends Fields = Fields> {
  readonly name: string;
  readonly size: number;
  readonly fields: F;
}

export const u8At = (offset: number): U8Field => ({ kind: 'u8', offset, size: 1 });
export const u16At = (offset: number): U16Field => ({ kind: 'u16', offset, size: 2 });
export const u32At = (offset: number): U32Field => ({ kind: 'u32', offset, size: 4 });
export const u64At = (offset: number): U64FieldSpec => ({ kind: 'u64', offset, size: 8 });
export const bytesAt = (offset: number, size: number): BytesField => ({ kind: 'bytes', offset, size });
export const u32ArrayAt = (offset: number, count: number): U32ArrayField => ({ kind: 'u32[]', offset, size: 4 * count, count });
export const u64ArrayAt = (offset: number, count: number): U64ArrayField => ({ kind: 'u64[]', offset, size: 8 * count, count });
export const structAt = <F extends Fields>(offset: number, layout: Layout<F>): StructField<F> => ({ kind: 'struct', offset, size: layout.size, layout });
export const structArrayAt = <F extends Fields>(offset: number, layout: Layout<F>, count: number): StructArrayField<F> => ({
  kind: 'struct[]',
  offset,
  size: layout.size * count,
  layout,
  count,
});

/** Defines a layout. Throws `RangeError` when its fields do not cover `size` bytes exactly once. */
export function defineLayout<F extends Fields>(definition: { name: string; size: number; fields: F }): Layout<F> {
  let end = 0;
  for (const [name, field] of Object.entries(definition.fields).sort(([, a], [, b]) => a.offset - b.offset)) {
    if (field.offset !== end) {
      throw new RangeError(`${definition.name}.${name} is at ${field.offset}, the field before it ends at ${end}: name the padding or mend the overlap`);
    }
    end = field.offset + field.size;
  }
  if (end !== definition.size) throw new RangeError(`${definition.name} ends at ${end}, its size is ${definition.size}`);
  return definition;
}

/** A 64-bit field of a mapped structure. */
export class U64Field implements ReadonlyU64 {
  readonly #words: Int32Array;
  readonly #index: number;

  constructor(words: Int32Array, index: number) {
    this.#words = words;
    this.#index = index;
  }

  get lo(): number {
    return this.#words[this.#index]!;
  }

  get hi(): number {
    return this.#words[this.#index + 1]!;
  }

  set(from: ReadonlyU64): void {
    this.#words[this.#index] = from.lo;
    this.#words[this.#index + 1] = from.hi;
  }

  setParts(lo: number, hi: number): void {
    this.#words[this.#index] = lo;
    this.#words[this.#index + 1] = hi;
  }
}

type ViewField<F> =
  F extends U64FieldSpec ? U64Field
  : F extends BytesField ? Uint8Array
  : F extends U32ArrayField ? Uint32Array
  : F extends U64ArrayField ? readonly U64Field[]
  : F extends StructField<infer G> ? View<G>
  : F extends StructArrayField<infer G> ? readonly View<G>[]
  : number;

type ScalarKeys<F extends Fields> = { [K in keyof F]: F[K] extends U8Field | U16Field | U32Field ? K : never }[keyof F];

/** Typed accessors over the bytes of a structure: numbers for 8-, 16- and 32-bit fields, `U64Field` for 64-bit ones. */
export type View<F extends Fields> = { -readonly [K in ScalarKeys<F>]: number } & { readonly [K in Exclude<keyof F, ScalarKeys<F>>]: ViewField<F[K]> };

/**
 * Lays `layout` over `bytes` at `offset`. Multi-byte scalars use typed arrays in host order, which is little-endian on
 * every platform JavaScript runs on. Throws `RangeError` when the structure does not fit or is not 8-byte aligned.
 */
export function viewOf<F extends Fields>(layout: Layout<F>, bytes: Uint8Array, offset = 0): View<F> {
  const base = bytes.byteOffset + offset;
  if (offset + layout.size > bytes.byteLength) throw new RangeError(`${layout.name} needs ${layout.size} bytes at ${offset}, there are ${bytes.byteLength}`);
  if (base % 8 !== 0) throw new RangeError(`${layout.name} must be 8-byte aligned, it is at ${base}`);
  let Class = classes.get(layout);
  if (Class === undefined) classes.set(layout, (Class = classOf(layout)));
  const view = new Class(layout, bytes.buffer as ArrayBuffer, base);
  for (const [name, field] of Object.entries(layout.fields)) {
    if (!isScalar(field)) Object.defineProperty(view, name, { enumerable: true, value: partOf(field, bytes.buffer as ArrayBuffer, base + field.offset, view.inWords) });
  }
  return view as unknown as View<F>;
}

/** The 32-bit words of a structure that `viewOf` laid over its bytes: for copying many fields at once, by their offsets. */
export const wordsOf = <F extends Fields>(view: View<F>): Int32Array => (view as unknown as Structure).inWords;

/** One class a layout: an access then costs the same, and little, however many structures of the layout there are. */
const classes = new WeakMap<Layout, typeof Structure>();

function classOf(layout: Layout): typeof Structure {
  const Class = class extends Structure {};
  for (const [name, field] of Object.entries(layout.fields)) {
    if (isScalar(field)) Object.defineProperty(Class.prototype, name, { enumerable: true, ...scalarAccessors(field) });
  }
  return Class;
}

const isScalar = ({ kind }: Field): boolean => kind === 'u8' || kind === 'u16' || kind === 'u32';

/** The bytes of a structure in each width. Not in private fields: their accessors are shared by layouts, and V8 finds a shared property fast by name only. */
class Structure {
  readonly inBytes: Uint8Array;
  readonly inHalves: Uint16Array;
  readonly inWords: Int32Array;

  constructor({ size }: Layout, buffer: ArrayBuffer, at: number) {
    this.inBytes = new Uint8Array(buffer, at, size);
    this.inHalves = new Uint16Array(buffer, at, size >> 1);
    this.inWords = new Int32Array(buffer, at, size >> 2);
  }
}

function scalarAccessors({ kind, offset }: Field): PropertyDescriptor & ThisType<Structure> {
  switch (kind) {
    case 'u8':
      return {
        get() {
          return this.inBytes[offset];
        },
        set(value: number) {
          this.inBytes[offset] = value;
        },
      };
    case 'u16': {
      const index = offset >> 1;
      return {
        get() {
          return this.inHalves[index];
        },
        set(value: number) {
          this.inHalves[index] = value;
        },
      };
    }
    default: {
      const index = offset >> 2;
      return {
        get() {
          return this.inWords[index]! >>> 0;
        },
        set(value: number) {
          this.inWords[index] = value;
        },
      };
    }
  }
}

/** What stands for a field wider than 32 bits at `at` in `buffer`; `words` are those of the whole structure. */
function partOf(field: Field, buffer: ArrayBuffer, at: number, words: Int32Array): unknown {
  const index = field.offset >> 2;
  switch (field.kind) {
    case 'u64':
      return new U64Field(words, index);
    case 'u32[]':
      return new Uint32Array(buffer, at, field.count);
    case 'u64[]':
      return Array.from({ length: field.count }, (_, i) => new U64Field(words, index + 2 * i));
    case 'struct':
      return viewOf(field.layout, new Uint8Array(buffer, at, field.size));
    case 'struct[]':
      return Array.from({ length: field.count }, (_, i) => viewOf(field.layout, new Uint8Array(buffer, at + i * field.layout.size, field.layout.size)));
    default:
      return new Uint8Array(buffer, at, field.size);
  }
}
