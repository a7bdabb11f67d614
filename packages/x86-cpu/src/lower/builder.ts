import type { Linear, Step } from '../code/block.js';
import { LONG_MODE } from '../code/execution-mode.js';
import type { ExecutionMode } from '../code/execution-mode.js';
import { BASE_RIP, OperandKind, segmentOf } from '../decode/instruction.js';
import type { Instruction, Operand } from '../decode/instruction.js';
import { Op } from '../decode/op.js';
import { Segment, SEGMENT_SIZE, StateOffset } from '../memory/layout.js';
import type { AddressForm } from '../microop/address.js';
import { microOp } from '../microop/catalog.js';
import { FlagKind, LOG2 } from '../microop/flags.js';
import type { Size } from '../microop/flags.js';

/** Where the flags in the state came from, as far as the block itself tells. */
export interface FlagSource {
  readonly kind: FlagKind;
  readonly size: Size;
}

/** Temporaries by use. The address of a memory operand goes to the first, values to the others. */
export const Temporary = { address: 0, first: 1, second: 2, stack: 3, stackAddress: 4, target: 5, condition: 6, carry: 7 } as const;

/** In the place of a branch target: it is beyond the limit of CS. No instruction pointer is like this. */
export const BEYOND_LIMIT = 2 ** 52;

/** Instructions that only read a memory operand that comes first. */
const READS_FIRST: ReadonlySet<number> = new Set([
  Op.Cmp, Op.Test, Op.Bt, Op.Push, Op.Call, Op.Jmp, Op.Mul, Op.Imul, Op.Div, Op.Idiv, Op.Clflush, Op.Clflushopt, Op.Clwb, Op.Prefetch,
]);

const TWO_32 = 2 ** 32;

/** Collects the micro-operations of a block and what they refer to. */
export class BlockBuilder {
  readonly #context: number;
  steps: Step[] = [];
  /** Constants: pairs of low and high halves. */
  constants: number[] = [];
  targets: Linear[] = [];
  /** The instruction being lowered, its place in the block, and the address of the next. */
  instruction!: Instruction;
  index = 0;
  next: Linear = 0;
  mode: ExecutionMode = LONG_MODE;
  /** Nobody sees the flags that the instruction leaves. */
  flagsDead = false;
  flagSource: FlagSource | undefined;

  /** `context` is the start of the register context in memory. */
  constructor(context: number) {
    this.#context = context;
  }

  reset(mode: ExecutionMode): void {
    this.mode = mode;
    this.steps = [];
    this.constants = [];
    this.targets = [];
    this.flagSource = undefined;
  }

  /** Appends an operation, with the last slot operand as an immediate where it is a constant that fits. */
  emit(name: string, ...fields: number[]): void {
    let operation = microOp(name);
    const form = operation.immediateForm;
    if (form !== undefined) {
      const field = form.fields.indexOf('k');
      const slot = fields[field]!;
      if (slot < 0) {
        const value = this.#immediateOf(slot, operation.immediateSize);
        if (value !== undefined) {
          operation = form;
          fields[field] = value;
        }
      }
    }
    this.steps.push({ operation, fields, instruction: this.index });
  }

  /** The 32-bit field that stands for a constant of a size, if there is one. */
  #immediateOf(slot: number, size: Size): number | undefined {
    const lo = this.constants[2 * (-1 - slot)]!;
    const hi = this.constants[2 * (-1 - slot) + 1]!;
    if (size === 8) return hi === lo >> 31 ? lo : undefined;
    return size === 4 ? lo : lo & (size === 1 ? 0xff : 0xffff);
  }

  /** The last operation, if the instruction before this one left it and it has this name, is taken back. */
  takeBack(name: RegExp): Step | undefined {
    const last = this.steps.at(-1);
    if (last === undefined || !name.test(last.operation.name)) return undefined;
    this.steps.pop();
    return last;
  }

  /** A constant's slot; halves are int32. */
  constant(lo: number, hi: number): number {
    for (let i = 0; i < this.constants.length; i += 2) {
      if (this.constants[i] === lo && this.constants[i + 1] === hi) return -1 - i / 2;
    }
    this.constants.push(lo, hi);
    return -this.constants.length / 2;
  }

  /** A constant's slot, for an exact integer. */
  number(value: number): number {
    return this.constant(value | 0, Math.floor(value / TWO_32) | 0);
  }

  target(rip: Linear): number {
    const known = this.targets.indexOf(rip);
    return known >= 0 ? known : this.targets.push(rip) - 1;
  }

  /** The target of the instruction's relative branch. */
  branchTarget(): number {
    const { immLo, operandSize } = this.instruction;
    if (this.mode === LONG_MODE) return this.target(this.next + immLo);
    const rip = operandSize === 2 ? (this.next + immLo) & 0xffff : (this.next + immLo) >>> 0;
    return this.target(rip > this.mode.limit ? BEYOND_LIMIT : rip);
  }

  register(number: number): number {
    return this.#context + StateOffset.gpr + 8 * number;
  }

  temporary(number: number): number {
    return this.#context + StateOffset.temporaries + 8 * number;
  }

  /** A segment's selector and attributes; limit and base follow. */
  segmentRecord(segment: number): number {
    return this.#context + StateOffset.segments + segment * SEGMENT_SIZE;
  }

  segmentBase(segment: number): number {
    return this.segmentRecord(segment) + 8;
  }

  /** Slot of the segment base a string instruction's source adds: FS's or GS's, or a constant 0. */
  sourceBase(): number {
    const { segment } = this.instruction;
    return segment === Segment.fs || segment === Segment.gs ? this.segmentBase(segment) : this.number(0);
  }

  /**
   * Adds to the offset in a slot, zero-extended, what the segment asks for outside 64-bit mode: limit check and base. What was the offset is the linear
   * address then, in \`destination\`.
   */
  throughSegment(destination: number, offset: number, segment: number, size: number, write: boolean): void {
    const bounds = this.#context + StateOffset.segmentBounds + 16 * segment + (write ? 8 : 0);
    this.emit('segment', destination, offset, this.segmentBase(segment), bounds, bounds + 4, size - 1, segment === Segment.ss ? 1 : 0);
  }

  isFlat(segment: number): boolean {
    return (this.mode.flat & (1 << segment)) !== 0;
  }

  /** Makes an effective address in a slot, not yet cut to the address size, into the linear address of the memory operand. */
  finishAddress(address: number): void {
    const { instruction } = this;
    const { addressSize } = instruction;
    if (this.mode === LONG_MODE) {
      if (addressSize === 4) this.emit('move4', address, address);
      this.emit('add8', address, address, this.sourceBase());
      return;
    }
    this.emit(addressSize === 2 ? 'zero2.8' : 'move4', address, address);
    const segment = segmentOf(instruction);
    if (this.isFlat(segment)) return;
    const { operands, operandCount, op } = instruction;
    const first = operands[0].kind === OperandKind.Mem;
    const memory = first ? operands[0] : operands[1];
    const size = operandCount > 0 && memory.kind === OperandKind.Mem ? Math.max(memory.size, 1) : 1;
    const write = operandCount > 0 && ((first && !READS_FIRST.has(op)) || op === Op.Xchg);
    this.throughSegment(address, address, segment, size, write);
  }

  /** Slot of a register or immediate operand. */
  slot(operand: Operand): number {
    if (operand.kind === OperandKind.Imm) return this.constant(this.instruction.immLo, this.instruction.immHi);
    return this.register(operand.reg) + (operand.high8 ? 1 : 0);
  }

  /** Slot that holds an operand's value: itself, or a temporary after a load. */
  value(operand: Operand, size: Size, temporary: number = Temporary.first): number {
    if (operand.kind !== OperandKind.Mem) return this.slot(operand);
    const slot = this.temporary(temporary);
    this.withAddress((form, fields) => this.emit(`load${size}.${form}`, slot, ...fields));
    return slot;
  }

  /** Gives `use` the memory operand as a form and its fields, computing what no form expresses into a temporary. */
  withAddress(use: (form: AddressForm, fields: number[]) => void): void {
    const { instruction } = this;
    if (this.mode !== LONG_MODE) {
      const address = this.temporary(Temporary.address);
      this.plainAddress((form, fields) => this.emit(`lea8.${form}`, address, ...fields));
      this.finishAddress(address);
      use('base', [address, 0]);
      return;
    }
    const segmented = instruction.segment === Segment.fs || instruction.segment === Segment.gs;
    if (instruction.addressSize === 8 && !segmented) {
      this.plainAddress(use);
      return;
    }
    const address = this.temporary(Temporary.address);
    this.plainAddress((form, fields) => this.emit(`lea${instruction.addressSize}.${form}`, address, ...fields));
    if (segmented) this.emit('add8', address, address, this.segmentBase(instruction.segment));
    use('base', [address, 0]);
  }

  /** The same without segment base, and without the cut to 32 bits that a 4-byte address size means. */
  plainAddress(use: (form: AddressForm, fields: number[]) => void): void {
    const { base, index, scale, dispLo, dispHi } = this.instruction;
    if (base === BASE_RIP) {
      use('base', [this.number(this.next + dispLo), 0]);
    } else if (base < 0 && index < 0) {
      use('base', [this.constant(dispLo, dispHi), 0]);
    } else if (index < 0) {
      use('base', [this.register(base), dispLo]);
    } else if (base < 0) {
      use('index', [this.register(index), scale, dispLo]);
    } else {
      use('both', [this.register(base), this.register(index), scale, dispLo]);
    }
  }

  /** The memory operand as a slot and a displacement. */
  baseAddress(): number[] {
    let result: number[] = [];
    this.withAddress((form, fields) => {
      if (form === 'base') {
        result = fields;
        return;
      }
      const address = this.temporary(Temporary.address);
      this.emit(`lea8.${form}`, address, ...fields);
      result = [address, 0];
    });
    return result;
  }

  /** The operation just emitted leaves flags. */
  leaves(kind: FlagKind, size: Size): void {
    this.flagSource = { kind, size };
  }

  /** Makes the flags bits in the state, if they are not. */
  ready(): void {
    if (this.flagSource?.kind === FlagKind.Ready) return;
    this.emit('ready');
    this.flagSource = { kind: FlagKind.Ready, size: 4 };
  }

  /** Slot that holds CF as 0 or 1. */
  carry(): number {
    if (this.flagSource?.kind === FlagKind.Logic) return this.number(0);
    const slot = this.temporary(Temporary.carry);
    this.emit('carry', slot);
    return slot;
  }

  /** The instruction's operand size as a type. */
  sizeOf(bytes: number): Size {
    if (!(bytes in LOG2)) throw new Error(`operand size ${bytes}`);
    return bytes as Size;
  }
}
