import { decode } from '../decode/decode.js';
import { CodeMode, DecodeStatus, OperandKind, createInstruction } from '../decode/instruction.js';
import type { Instruction } from '../decode/instruction.js';
import { Op } from '../decode/op.js';
import { ones } from './arithmetic.js';
import { COMPUTATIONS, IMUL_COMPUTATIONS } from './computations.js';
import type { Computation } from './computations.js';
import { Outcome } from './emulator-cpu.js';
import type { EmulateOutcome, EmulatorCpu } from './emulator-cpu.js';
import { Access, addressBits, isOutcome, locate, readPlace, writeRegister } from './operands.js';
import type { Place } from './operands.js';
import { HANDLERS } from './stack-and-branches.js';
import { emulateString, isString } from './strings.js';

/** The byte displacement of the word that holds a bit of a bit string in memory: the index is a register's, and signed (SDM vol. 2, BT). */
function bitStringDisplacement(cpu: EmulatorCpu, instruction: Instruction): bigint {
  const { op, operands, operandSize } = instruction;
  if (op !== Op.Bt && op !== Op.Bts && op !== Op.Btr && op !== Op.Btc) return 0n;
  if (operands[0].kind !== OperandKind.Mem || operands[1].kind !== OperandKind.Reg) return 0n;
  const bits = BigInt(8 * operandSize);
  const index = BigInt.asIntN(8 * operandSize, cpu.readGpr(operands[1].reg));
  const word = (index - (((index % bits) + bits) % bits)) / bits;
  return word * BigInt(operandSize);
}

function emulateComputation(cpu: EmulatorCpu, instruction: Instruction, nextRip: bigint, { access, compute }: Computation): EmulateOutcome {
  const places: Place[] = [];
  const values = [0n, 0n, 0n];
  const displacement = bitStringDisplacement(cpu, instruction);
  for (let i = 0; i < instruction.operandCount; i++) {
    const place = locate(cpu, instruction, instruction.operands[i]!, access[i] ?? Access.None, displacement);
    if (isOutcome(place)) return place;
    places.push(place);
  }
  for (let i = 0; i < instruction.operandCount; i++) {
    if (!((access[i] ?? Access.None) & Access.Read)) continue;
    const value = readPlace(cpu, instruction, places[i]!);
    if (value === undefined) return Outcome.accessFailed;
    values[i] = value;
  }

  const effect = compute({ cpu, instruction, bits: 8 * instruction.operandSize, a: values[0]!, b: values[1]!, c: values[2]!, rflags: cpu.rflags });
  if ('status' in effect) return effect;

  const writes = [effect.op0, effect.op1];
  for (let i = 0; i < 2; i++) {
    const value = writes[i];
    const place = places[i];
    if (value === undefined || place?.operand.kind !== OperandKind.Mem) continue;
    if (!cpu.writeMemory(place.linear, place.operand.size, value)) return Outcome.accessFailed;
  }
  // Operand 0 last: XADD of a register with itself leaves the sum.
  for (let i = 1; i >= 0; i--) {
    const value = writes[i];
    const operand = places[i]?.operand;
    if (value === undefined || operand?.kind !== OperandKind.Reg) continue;
    writeRegister(cpu, operand.reg, operand.size, value, operand.high8);
  }
  for (const { register, size, value } of effect.registers ?? []) writeRegister(cpu, register, size, value);
  if (effect.rflags !== undefined) cpu.rflags = effect.rflags;
  cpu.rip = nextRip;
  return Outcome.done;
}

/** Executes an instruction that has been decoded; `instruction` is the one at `cpu.rip`. */
export function emulateDecoded(cpu: EmulatorCpu, instruction: Instruction): EmulateOutcome {
  const nextRip = (cpu.rip + BigInt(instruction.length)) & ones(addressBits(cpu));
  if (cpu.codeMode !== CodeMode.Bits64 && LONG_HANDLERS.has(instruction.op)) return Outcome.notEmulated;
  if (isString(instruction.op)) return emulateString(cpu, instruction, nextRip);
  const handler = HANDLERS.get(instruction.op);
  if (handler !== undefined) return handler(cpu, instruction, nextRip);
  const computation = instruction.op === Op.Imul ? IMUL_COMPUTATIONS[instruction.operandCount] : COMPUTATIONS.get(instruction.op);
  if (computation === undefined) return Outcome.notEmulated;
  return emulateComputation(cpu, instruction, nextRip, computation);
}

/** What is emulated in 64-bit mode only: it uses the stack or branches. */
const LONG_HANDLERS: ReadonlySet<Op> = new Set<Op>([
  Op.Push, Op.Pop, Op.Jmp, Op.Jcc, Op.Jrcxz, Op.Loop, Op.Loope, Op.Loopne, Op.Call, Op.Ret, Op.Leave,
]);

const scratch = createInstruction();

/**
 * Emulates the instruction at `cpu.rip`, whose first `available` bytes are in `bytes`.
 *
 * For accesses that a processor cannot finish itself: device memory and string I/O. Loads come first, then the computation, stores, and the commit of registers,
 * flags and RIP, so that whatever ends the instruction early leaves the processor as it was. A REP string instruction does one iteration a call. LOCK needs
 * nothing: the whole instruction happens at once. Not emulated: what never touches data memory in a way worth it (system instructions, far transfers,
 * segment registers, PUSHF and POPF, ENTER), and outside 64-bit mode pushes, pops and branches.
 */
export function emulate(cpu: EmulatorCpu, bytes: Uint8Array, available: number): EmulateOutcome {
  switch (decode(bytes, 0, available, cpu.codeMode, scratch)) {
    case DecodeStatus.Ok:
      return emulateDecoded(cpu, scratch);
    case DecodeStatus.Truncated:
      return Outcome.truncated;
    case DecodeStatus.Invalid:
      return Outcome.invalidOpcode;
    case DecodeStatus.TooLong:
      return Outcome.generalProtection;
  }
}
