import { ExitKind } from '../contract.js';
import type { VirtualApic } from '../contract.js';
import type { Core } from '../processor/core.js';
import { Outcome } from './outcome.js';

/** x2APIC number of the task-priority register. */
export const TASK_PRIORITY = 0x08;

/** A virtualized write; what the APIC asks for afterwards ends the run behind the instruction, as a trap (SDM volume 3, 30.1). */
export function writeVirtualApic(core: Core, apic: VirtualApic, register: number, value: number): Outcome {
  if (!apic.write(register, value)) return Outcome.Done;
  core.exit.kind = ExitKind.ApicWrite;
  core.exit.instructionLength = 0;
  return Outcome.Trapped;
}
