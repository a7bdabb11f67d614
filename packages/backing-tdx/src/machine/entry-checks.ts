/** Checks of VM entry on the guest state and the injected event (SDM volume 3, 27.3), as far as the model's processor could be harmed by a lapse. */
import { InterruptionInfo, InterruptionType, Interruptibility } from '@paravisor/hcl-protocol';
import type { ReadonlyU64 } from '@paravisor/hcl-protocol';
import { stateLayout } from '@paravisor/x86-cpu';
import type { Processor } from '@paravisor/x86-cpu';
import { Cr0, Cr4, Efer, EntryControl } from '../abi/index.js';

/** RFLAGS: bit 1 reads one, IF is bit 9; bits 3, 5, 15 and 31:22 are reserved. */
const RFLAGS_ONE = 1 << 1;
const RFLAGS_IF = 1 << 9;
const RFLAGS_RESERVED = (1 << 3) | (1 << 5) | (1 << 15) | ~((1 << 22) - 1);

function registersAreValid(i32: Int32Array, entryControls: number): boolean {
  const cr0 = i32[stateLayout.cr0 >> 2]!;
  const cr4 = i32[stateLayout.cr4 >> 2]!;
  const efer = i32[stateLayout.efer >> 2]!;
  const longMode = (entryControls & EntryControl.Ia32eModeGuest) !== 0;
  if ((cr0 & Cr0.Ne) === 0 || (cr4 & Cr4.Mce) === 0) return false;
  if ((cr0 & Cr0.Pg) !== 0 && (cr0 & Cr0.Pe) === 0) return false;
  if (longMode && ((cr0 & Cr0.Pg) === 0 || (cr4 & Cr4.Pae) === 0)) return false;
  return longMode === ((efer & Efer.Lma) !== 0);
}

function injectionIsValid(info: number, rflags: number, interruptibility: number): boolean {
  if ((info & InterruptionInfo.Valid) === 0) return true;
  const type = (info & InterruptionInfo.TypeMask) >> InterruptionInfo.TypeShift;
  if (type === InterruptionType.External) {
    return (rflags & RFLAGS_IF) !== 0 && (interruptibility & (Interruptibility.BlockedBySti | Interruptibility.BlockedByMovSs)) === 0;
  }
  if (type === InterruptionType.Nmi) {
    return (info & InterruptionInfo.VectorMask) === 2 && (interruptibility & (Interruptibility.BlockedByMovSs | Interruptibility.BlockedByNmi)) === 0;
  }
  return true;
}

/** Whether the L2 VM can be entered; otherwise the entry ends as an exit with reason 33 and bit 31. */
export function entryIsValid(processor: Processor, rflags: ReadonlyU64, injection: number, entryControls: number): boolean {
  if ((rflags.lo & RFLAGS_ONE) === 0 || (rflags.lo & RFLAGS_RESERVED) !== 0 || rflags.hi !== 0) return false;
  const { i32 } = processor;
  return registersAreValid(i32, entryControls) && injectionIsValid(injection, rflags.lo, i32[stateLayout.interruptibility >> 2]!);
}
