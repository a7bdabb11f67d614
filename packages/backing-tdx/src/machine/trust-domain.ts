/** What the TDX module keeps once for a trust domain (TDX module ABI, TDCS). */
import { TdxStatus, U64, restoreU64, saveU64 } from '@paravisor/hcl-protocol';
import type { TdcallArgument } from '@paravisor/hcl-protocol';
import { TscConversion, unscaledTsc } from './tsc-conversion.js';

/** TDCS.TD_CTLS and TDCS.CONFIG_FLAGS, the two fields of the TDCS the model keeps: controls VTL2 may write, and flags it may read. */
const TdcsField = { TdCtls: { hi: 0x11100003, lo: 0x17 }, ConfigFlags: { hi: 0x11100003, lo: 0x16 } } as const;

/** Guest physical address width VTL2 is told, bits. */
const GPA_WIDTH = 52;

/** What `TrustDomain.save` gives. */
export type TrustDomainState = { readonly controls: string; readonly flags: string };

/** One trust domain. VM 0 is the L1 VM; VTL0 and VTL1 are L2 VMs 1 and 2. */
export class TrustDomain {
  readonly tsc = new TscConversion(unscaledTsc);
  readonly vcpuCount: number;
  /** L2 VMs the domain was created with. Deadlines of others are stored and do nothing. */
  readonly l2VmCount: number;
  readonly #controls = new U64();
  readonly #flags = new U64();

  constructor(vcpuCount: number, l2VmCount: number) {
    this.vcpuCount = vcpuCount;
    this.l2VmCount = l2VmCount;
  }

  save(): TrustDomainState {
    return { controls: saveU64(this.#controls), flags: saveU64(this.#flags) };
  }

  restore({ controls, flags }: TrustDomainState): void {
    restoreU64(this.#controls, controls);
    restoreU64(this.#flags, flags);
  }

  /** TDG.VP.INFO: address width, attributes, number and index of the VCPU. */
  info(vcpu: number, argument: TdcallArgument): number {
    argument.rcx.setParts(GPA_WIDTH, 0);
    argument.rdx.setParts(0, 0);
    argument.r8.setParts(this.vcpuCount, this.vcpuCount);
    argument.r9.setParts(vcpu, 0);
    argument.r10Out.setParts(0, 0);
    argument.r11Out.setParts(0, 0);
    return TdxStatus.Success;
  }

  /** TDG.VM.RD: field in RDX, value to R8. */
  read(argument: TdcallArgument): number {
    const field = this.#fieldOf(argument);
    if (field === null) return TdxStatus.MetadataFieldIdIncorrect;
    argument.r8.set(field);
    return TdxStatus.Success;
  }

  /** TDG.VM.WR: field in RDX, value in R8, mask in R9; the value before goes to R8. */
  write(argument: TdcallArgument): number {
    const field = this.#fieldOf(argument);
    if (field === null || field === this.#flags) return TdxStatus.MetadataFieldIdIncorrect;
    const { lo, hi } = field;
    const { r8, r9 } = argument;
    field.setParts((lo & ~r9.lo) | (r8.lo & r9.lo), (hi & ~r9.hi) | (r8.hi & r9.hi));
    r8.setParts(lo, hi);
    return TdxStatus.Success;
  }

  #fieldOf({ rdx }: TdcallArgument): U64 | null {
    if (rdx.hi !== TdcsField.TdCtls.hi) return null;
    if (rdx.lo === TdcsField.TdCtls.lo) return this.#controls;
    return rdx.lo === TdcsField.ConfigFlags.lo ? this.#flags : null;
  }
}
