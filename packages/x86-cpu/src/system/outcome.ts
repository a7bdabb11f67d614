import type { Instruction } from '../decode/instruction.js';
import type { Core } from '../processor/core.js';

/** How a system instruction ended, if it did not fault. */
export const Outcome = {
  /** Retired; RIP moves behind it. */
  Done: 0,
  /** Retired; RIP is set. */
  Jumped: 1,
  /** The same, and a single step follows if RFLAGS.TF is set now, whatever it was before: SYSCALL and SYSRET. */
  JumpedTraced: 9,
  /** One iteration retired; RIP stays for the next. */
  Again: 2,
  /** Retired; `exit.kind` says what it costs. */
  Costed: 3,
  /** Retired; the processor waits. */
  Halted: 4,
  /** Not retired; `exit` tells the rest. */
  Intercepted: 5,
  /** A software event, in `Core.event`, is to be delivered; the instruction retires with it. */
  Event: 6,
  /** Not retired: the clock cannot be read yet. */
  Unreadable: 7,
  /** Retired, and RIP moves behind it; `exit` tells the rest. */
  Trapped: 8,
} as const;
export type Outcome = (typeof Outcome)[keyof typeof Outcome];

/** Does a system instruction. Faults are thrown, see `Core.raise`. RIP is still the instruction's own address. */
export type SystemInstruction = (core: Core, instruction: Instruction) => Outcome;
export type SystemInstructions = Map<number, SystemInstruction>;

/** Ends an instruction that is configured to exit. */
export function intercept(core: Core, kind: number): Outcome {
  core.exit.kind = kind;
  return Outcome.Intercepted;
}
