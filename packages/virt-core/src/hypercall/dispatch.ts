import { HvStatus, U64 } from '@paravisor/hcl-protocol';
import type { ReadonlyU64 } from '@paravisor/hcl-protocol';
import type { GuestRegisters } from '../contract/index.js';
import { callCodeOf, HvCallCode, isSimpleCall, resultOf } from './control.js';

const RAX = 0;
const RCX = 1;

/** Status of a hypercall with this control value. Calls the paravisor does not know, and those the guest may not make, answer InvalidHypercallCode. */
export function hypercallStatus(control: ReadonlyU64): number {
  switch (callCodeOf(control)) {
    case HvCallCode.NotifyLongSpinWait:
      // The spinning VP is not descheduled for it: each VP has a thread of its own.
      return isSimpleCall(control) ? HvStatus.Success : HvStatus.InvalidHypercallInput;
    default:
      return HvStatus.InvalidHypercallCode;
  }
}

/** Answers VMCALL and VMMCALL of a guest in 64-bit mode: control in RCX, result in RAX (TLFS "x64 Hypercall Inputs"). */
export class HypercallDispatcher {
  readonly #control = new U64();
  readonly #result = new U64();

  dispatch(registers: GuestRegisters): void {
    registers.readGpr(RCX, this.#control);
    resultOf(hypercallStatus(this.#control), this.#result);
    registers.writeGpr(RAX, this.#result);
  }
}
