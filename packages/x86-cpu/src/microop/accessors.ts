import type { Local, WasmWriter } from '../wasm/writer.js';
import type { FlagKind, Size } from './flags.js';

/** Why the interpreter came back to its caller. */
export const Leave = {
  /** A link that leads nowhere yet: `position` is its record. */
  Unlinked: 1,
  /** The budget is smaller than the block whose address is in `position`. */
  Budget: 2,
  /** A memory access faulted or must wait; the processor knows more. */
  Memory: 3,
  /** #DE. */
  Divide: 4,
  /** An indirect jump to the address in `rip`, unknown to the jump cache. */
  Jump: 5,
  /** A system instruction: `position` is its record. */
  System: 6,
  /** Inside the interpreter only: the record at `position` is a rare operation. */
  Rare: 7,
  /** #GP(0): a jump to an address that is not canonical, or beyond the limit of CS; CPL above IOPL. */
  Protection: 9,
  /** #SS(0) or #GP(0): an access beyond its segment's limit, or of a kind that it does not allow. */
  Limit: 10,
  /** #GP(0): the same as Protection, for the last instruction of the block that `position` belongs to. */
  Beyond: 11,
  /** The end of a shortened block: `position` is its record. */
  Short: 8,
  /** A block has been entered often: `position` is its record that counts. */
  Hot: 12,
} as const;
export type Leave = (typeof Leave)[keyof typeof Leave];

/** Local variables a micro-operation may use between its accessors: `a` to `d` and `r` are i64, `n` is i32. */
export interface Temporaries {
  readonly a: Local;
  readonly b: Local;
  readonly c: Local;
  readonly d: Local;
  readonly r: Local;
  readonly n: Local;
}

/**
 * What a micro-operation's description may say about its operands without knowing who executes it. The interpreter binds
 * fields to bytes of a record, a translator binds them to constants and locals.
 *
 * Values are i64 on the stack, zero-extended from the operand's size. A description reads all operands before it writes
 * one, writes nothing architectural before its last access that can fault, and ends after a transfer of control.
 */
export interface Accessors {
  readonly w: WasmWriter;
  readonly t: Temporaries;
  /** Pushes the slot named by a field. */
  get(field: number, size: Size): void;
  /** Sets the slot named by a field to what `value` pushes. Writing 4 bytes clears the upper half. Bits above the size are ignored. */
  set(field: number, size: Size, value: () => void): void;
  /** Pushes an immediate field, sign-extended. */
  immediate(field: number): void;
  /** Leaves flags behind; `b` only where the kind has one. */
  flags(kind: FlagKind, size: Size, a: Local, b?: Local): void;
  /** Pushes the first, the second value of the lazy flags, cut to a size. */
  flagA(size: Size): void;
  flagB(size: Size): void;
  /** Pushes the i32 kind of the lazy flags. */
  flagCode(): void;
  /** Pushes the system flags as i32; sets them to the i32 that `value` pushes. */
  systemFlags(): void;
  setSystemFlags(value: () => void): void;
  /** Loads from the linear address that `address` pushes, and pushes the value. */
  load(size: Size, address: () => void): void;
  /** The same for a location that will be written: faults as a write does. */
  loadForWrite(size: Size, address: () => void): void;
  /** Stores what `value` pushes. */
  store(size: Size, address: () => void, value: () => void): void;
  /** Loads, lets `change` consume the value on the stack and push a new one, and stores that, in one access. */
  modify(size: Size, address: () => void, change: () => void): void;
  /** Leaves without having done the instruction. */
  fault(reason: Leave): void;
  /** Leaves with the position at this record. */
  leave(reason: Leave): void;
  /** Goes to the block linked in a field. */
  goto(field: number): void;
  /** Goes to the block linked in `taken` if the i32 on the stack is not 0, else to `otherwise`. */
  branch(taken: number, otherwise: number): void;
  /** Goes to the linear address on the stack. */
  gotoAddress(): void;
  /** Counts an entry into the block whose first record this is, and leaves when they have been enough. */
  count(): void;
  /** Goes on in the translation of the block whose first record this is. */
  enterTranslation(): void;
}

/** r: slot; k: immediate in the place of a slot; i: immediate; t: link to a block. */
export type FieldKind = 'r' | 'k' | 'i' | 't';

/** A micro-operation: described once, executed by whoever implements `Accessors`. */
export interface MicroOp {
  readonly name: string;
  readonly fields: readonly FieldKind[];
  /** Control does not fall through to the next record. */
  readonly terminal: boolean;
  readonly emit: (c: Accessors) => void;
  /** Number in the interpreter; small numbers are hot. */
  code: number;
  /** The same operation with the last slot operand replaced by an immediate. */
  immediateForm: MicroOp | undefined;
  /** Size of the operand that the immediate stands for. */
  immediateSize: Size;
}
