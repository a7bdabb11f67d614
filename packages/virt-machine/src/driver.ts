/** The partition's mshv_vtl instance. */
import { Errno, HvStatus } from '@paravisor/hcl-protocol';
import type { GuestMemoryLine, Hcl, HclVp, ReadonlyU64 } from '@paravisor/hcl-protocol';
import type { IsolationMachine } from './contract.js';
import type { HostAnswers } from './host-answers.js';

/** HvCallEnablePartitionVtl and HvCallEnableVpVtl (TLFS appendix A). */
const ENABLE_PARTITION_VTL = 0x0d;
const ENABLE_VP_VTL = 0x0f;

/** What the driver is made of. */
export interface DriverParts {
  readonly isolation: IsolationMachine;
  readonly vps: readonly HclVp[];
  readonly memory: GuestMemoryLine;
  /** VTL2 calls the host from the VP that runs now. */
  readonly callHost: () => void;
  readonly answers: HostAnswers;
}

export class Driver implements Hcl {
  readonly vps: readonly HclVp[];
  readonly memory: GuestMemoryLine;
  readonly #parts: DriverParts;

  constructor(parts: DriverParts) {
    this.#parts = parts;
    this.vps = parts.vps;
    this.memory = parts.memory;
  }

  /**
   * What the isolation does not answer, the common driver does not have: a VP of an isolated partition has no register page and no VTL return actions,
   * and its DR6 is switched with its context.
   */
  checkExtension(capability: number): number {
    return this.#parts.isolation.checkExtension(capability) ?? -Errno.EOPNOTSUPP;
  }

  /** The host of this model knows two hypercalls of VTL2's, which make VTL1 known to it: they have no effect of their own here. */
  hvcall(control: ReadonlyU64, _input: Uint8Array, output: Uint8Array): number {
    const { callHost, answers } = this.#parts;
    callHost();
    answers.output(output);
    const code = control.lo & 0xffff;
    return answers.status(code === ENABLE_PARTITION_VTL || code === ENABLE_VP_VTL ? HvStatus.Success : HvStatus.InvalidHypercallCode);
  }
}
