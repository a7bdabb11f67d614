/** What the host answers when VTL2 asks it. */
import { HvStatus } from '@paravisor/hcl-protocol';
import type { U64 } from '@paravisor/hcl-protocol';
import { NONSENSE } from './host-options.js';
import type { HostAnswerManner } from './host-options.js';

export class HostAnswers {
  readonly #nonsense: boolean;

  constructor(manner: HostAnswerManner) {
    this.#nonsense = manner === 'nonsense';
  }

  /** The value of an MSR or VP register, true in `value` before. */
  value(value: U64): void {
    if (this.#nonsense) value.setParts(value.lo ^ NONSENSE, value.hi);
  }

  /** The TLFS status of a call. */
  status(honest: number): number {
    return this.#nonsense ? HvStatus.Success : honest;
  }

  /** What a hypercall gives back. */
  output(bytes: Uint8Array): void {
    if (this.#nonsense) bytes.fill(NONSENSE & 0xff);
  }
}
