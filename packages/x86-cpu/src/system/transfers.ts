import { EventType } from '../contract.js';
import { Op } from '../decode/op.js';
import { Flag } from '../microop/flags.js';
import type { Core } from '../processor/core.js';
import { Vector } from '../processor/fault.js';
import { operandAddress } from './operands.js';
import { Outcome } from './outcome.js';
import type { SystemInstructions } from './outcome.js';

/** Software interrupts, and instructions that trap on a condition. */
export const transfers: SystemInstructions = new Map();

function softwareEvent(core: Core, type: number, vector: number, length: number): Outcome {
  core.event.type = type;
  core.event.vector = vector;
  core.event.errorCode = -1;
  core.event.length = length;
  return Outcome.Event;
}
transfers.set(Op.Int, (core, instruction) => softwareEvent(core, EventType.SoftwareInterrupt, instruction.immLo & 0xff, instruction.length));
transfers.set(Op.Int3, (core, instruction) => softwareEvent(core, EventType.SoftwareException, Vector.bp, instruction.length));
transfers.set(Op.Int1, (core, instruction) => softwareEvent(core, EventType.PrivilegedSoftware, Vector.db, instruction.length));
transfers.set(Op.Into, (core, instruction) =>
  core.readFlags() & Flag.of ? softwareEvent(core, EventType.SoftwareException, Vector.of, instruction.length) : Outcome.Done,
);

transfers.set(Op.Bound, (core, instruction) => {
  const size = instruction.operandSize;
  const at = operandAddress(core, instruction);
  const signed = (value: number): number => (size === 2 ? (value << 16) >> 16 : value);
  core.readSized(at, size, core.mmu.mode);
  const lower = signed(core.lo);
  core.readSized(at + size, size, core.mmu.mode);
  const upper = signed(core.lo);
  const index = signed(core.registers.gprLo(instruction.operands[0].reg));
  if (index < lower || index > upper) core.raise(Vector.br, -1);
  return Outcome.Done;
});
