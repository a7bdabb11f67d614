import { HvStatus, PAGE_SIZE, U64 } from '@paravisor/hcl-protocol';
import type { GuestMemoryLine } from '@paravisor/hcl-protocol';
import type { BackingVp } from '../contract/index.js';
import { HypercallRegisters } from './calling-convention.js';
import { callCodeOf, isFastCall, repCountOf, repStartOf, resultOf, setRepStart, variableHeaderBytesOf } from './control.js';
import type { HypercallContext, HypercallHandler, HypercallTable, VtlSwitchHandler } from './handler.js';

const INVALID_OPCODE = 6;
const PAIR_BYTES = 16;
const pairsOf = (bytes: number): number => Math.ceil(bytes / PAIR_BYTES);

/** What the dispatcher of one VP works with. */
export interface HypercallDispatcherOptions {
  readonly vp: number;
  readonly memory: GuestMemoryLine;
  readonly table: HypercallTable;
}

/** VMCALL and VMMCALL of one VP: control, input and output by the calling convention, and the handler by call code (openvmm `hv1_hypercall`). */
export class HypercallDispatcher {
  readonly #table: HypercallTable;
  readonly #memory: GuestMemoryLine;
  readonly #registers = new HypercallRegisters();
  readonly #control = new U64();
  readonly #result = new U64();
  readonly #input = new Uint8Array(PAGE_SIZE);
  readonly #output = new Uint8Array(PAGE_SIZE);
  readonly #context;
  /** How many bytes of the input page may differ from zero. */
  #inputUsed = 0;

  constructor({ vp, memory, table }: HypercallDispatcherOptions) {
    this.#table = table;
    this.#memory = memory;
    this.#context = {
      vp,
      vtl: 0,
      control: this.#control,
      input: new DataView(this.#input.buffer),
      output: new DataView(this.#output.buffer),
      variableHeaderBytes: 0,
      repStart: 0,
      repCount: 0,
      repsDone: 0,
    } satisfies HypercallContext;
  }

  /** The call that `vtl` makes. True when the instruction is finished: see `ExitHandlers.hypercall`. */
  dispatch(vtl: number, backing: BackingVp): boolean {
    const registers = this.#registers;
    registers.begin(backing.registers(vtl));
    registers.readControl(this.#control);
    const context = this.#context;
    context.vtl = vtl;
    const handler = this.#table.get(callCodeOf(this.#control));
    if (handler === undefined) return this.#finish(HvStatus.InvalidHypercallCode);
    return 'switchVtl' in handler ? this.#switchVtl(handler, backing) : this.#call(handler);
  }

  #switchVtl(handler: VtlSwitchHandler, backing: BackingVp): boolean {
    this.#registers.readVtlInput(this.#result);
    // The control is the call code alone.
    const allowed = this.#control.hi === 0 && this.#control.lo >>> 0 <= 0xffff && handler.switchVtl(this.#context, this.#result);
    if (!allowed) backing.injectException(this.#context.vtl, INVALID_OPCODE, -1);
    return allowed;
  }

  #call(handler: HypercallHandler): boolean {
    const context = this.#context;
    const control = this.#control;
    context.repCount = repCountOf(control);
    context.repsDone = context.repStart = repStartOf(control);
    context.variableHeaderBytes = variableHeaderBytesOf(control);
    if (!isWellFormed(handler, context)) return this.#refuse(HvStatus.InvalidHypercallInput);
    const inputBytes = handler.inputBytes + context.variableHeaderBytes + (handler.rep?.inputBytes ?? 0) * context.repCount;
    const outputBytes = handler.outputBytes + (handler.rep?.outputBytes ?? 0) * context.repCount;
    return isFastCall(control) ? this.#callFast(handler, inputBytes, outputBytes) : this.#callInMemory(handler, inputBytes, outputBytes);
  }

  #callFast(handler: HypercallHandler, inputBytes: number, outputBytes: number): boolean {
    const registers = this.#registers;
    const inputPairs = pairsOf(inputBytes);
    const outputPairs = pairsOf(outputBytes);
    const fits = inputPairs + outputPairs <= registers.fastPairs;
    if (!fits || (outputPairs > 0 && !registers.allowsFastOutput)) return this.#refuse(HvStatus.InvalidHypercallInput);
    const { input, output, repStart } = this.#context;
    this.#clearInput(inputPairs * PAIR_BYTES);
    registers.readFast(0, inputPairs, input, 0);
    this.#input.fill(0, inputBytes, inputPairs * PAIR_BYTES);
    // Output follows the input. A pair that an earlier part of a rep call has filled in half keeps that half.
    const firstPair = Math.floor(((handler.rep?.outputBytes ?? 0) * repStart) / PAIR_BYTES);
    registers.readFast(inputPairs + firstPair, Math.min(1, outputPairs - firstPair), output, firstPair * PAIR_BYTES);
    const status = handler.call(this.#context);
    const written = pairsOf(this.#outputEnd(handler, status, outputBytes)) - firstPair;
    if (written > 0) registers.writeFast(inputPairs + firstPair, written, output, firstPair * PAIR_BYTES);
    return this.#finish(status);
  }

  #callInMemory(handler: HypercallHandler, inputBytes: number, outputBytes: number): boolean {
    const inputGpa = this.#registers.inputGpa();
    const outputGpa = this.#registers.outputGpa();
    const placement = placementStatus(inputGpa, inputBytes) || placementStatus(outputGpa, outputBytes);
    if (placement !== HvStatus.Success) return this.#refuse(placement);
    this.#clearInput(inputBytes);
    if (!this.#memory.read(inputGpa, this.#input.subarray(0, inputBytes))) return this.#refuse(HvStatus.InvalidHypercallInput);
    const status = handler.call(this.#context);
    const start = (handler.rep?.outputBytes ?? 0) * this.#context.repStart;
    const end = this.#outputEnd(handler, status, outputBytes);
    if (end > start && !this.#memory.write(outputGpa + start, this.#output.subarray(start, end))) return this.#refuse(HvStatus.InvalidHypercallInput);
    return this.#finish(status);
  }

  /** Where the output that the guest gets ends: elements done, or all of a simple call's that succeeded. */
  #outputEnd({ rep }: HypercallHandler, status: number, outputBytes: number): number {
    if (rep !== null) return rep.outputBytes * this.#context.repsDone;
    return status === HvStatus.Success ? outputBytes : 0;
  }

  /** Zeros behind the input, which the handler may rely on. */
  #clearInput(used: number): void {
    if (this.#inputUsed > used) this.#input.fill(0, used, this.#inputUsed);
    this.#inputUsed = used;
  }

  /** A call whose form is wrong: no element counts as done. */
  #refuse(status: number): boolean {
    this.#context.repsDone = 0;
    return this.#finish(status);
  }

  #finish(status: number): boolean {
    const { repsDone } = this.#context;
    if (status === HvStatus.Timeout) {
      setRepStart(this.#control, repsDone);
      this.#registers.writeControl(this.#control);
      return false;
    }
    resultOf(status, repsDone, this.#result);
    this.#registers.writeResult(this.#result);
    return true;
  }
}

/** Whether the control's repetitions and variable header suit the call. */
function isWellFormed({ rep, takesVariableHeader }: HypercallHandler, { repCount, repStart, variableHeaderBytes }: HypercallContext): boolean {
  if (!takesVariableHeader && variableHeaderBytes !== 0) return false;
  return rep === null ? repCount === 0 && repStart === 0 : repStart < repCount;
}

/** Input and output lie in one page each, at a multiple of 8. */
function placementStatus(gpa: number, bytes: number): number {
  if (bytes > PAGE_SIZE - (gpa % PAGE_SIZE)) return HvStatus.InvalidHypercallInput;
  return bytes !== 0 && gpa % 8 !== 0 ? HvStatus.InvalidAlignment : HvStatus.Success;
}
