import type { Processor, ProcessorOptions } from '../contract.js';
import { spaceOf } from '../memory/machine-memory.js';
import type { MachineMemory } from '../memory/machine-memory.js';
import { GuestProcessor } from './processor.js';

/**
 * Creates the processor of one register context. All registers are 0: the owner fills the state area, writes RFLAGS and
 * calls `stateChanged` before the first run. Throws RangeError when the memory has no such context or permission table.
 */
export function createProcessor(memory: MachineMemory, options: ProcessorOptions): Processor {
  const space = spaceOf(memory);
  if (options.index < 0 || options.index >= space.contexts) throw new RangeError(`no register context ${options.index}`);
  if (options.permissionTable < 0 || options.permissionTable >= space.permissionTables) {
    throw new RangeError(`no permission table ${options.permissionTable}`);
  }
  return new GuestProcessor(space, options);
}
