import { HvCpuid, U64 } from '@paravisor/hcl-protocol';
import type { HclVp } from '@paravisor/hcl-protocol';
import type { GuestRegisters } from '../contract/index.js';
import { hypervisorLeaf, isHypervisorLeaf } from './hypervisor-leaves.js';
import type { HypervisorCpuidParameters } from './hypervisor-leaves.js';
import { filterNativeLeaf } from './native-leaves.js';
import type { NativeCpuidParameters } from './native-leaves.js';
import { topologyLeaf, topologyOfLeaf1 } from './topology.js';

const LEAF_FEATURES = 1;
const LEAF_TOPOLOGY = 0xb;
const XSAVE = 1 << 26;
const OSXSAVE = 1 << 27;
const CR4_OSXSAVE = 1 << 18;

/** What a guest of one VP is told by CPUID: VTL2's own leaves filtered, and the hypervisor leaves. */
export class GuestCpuid {
  readonly #hcl: HclVp;
  readonly #vpCount: number;
  readonly #native: NativeCpuidParameters;
  readonly #hypervisor: HypervisorCpuidParameters;
  readonly #cr4 = new U64();

  constructor(hcl: HclVp, vpCount: number, native: NativeCpuidParameters, hypervisor: HypervisorCpuidParameters) {
    this.#hcl = hcl;
    this.#vpCount = vpCount;
    this.#native = native;
    this.#hypervisor = hypervisor;
  }

  /** EAX EBX ECX EDX into `out`. `registers` are the asking VTL's: OSXSAVE mirrors its CR4. */
  read(registers: GuestRegisters, rawLeaf: number, subleaf: number, out: Int32Array): void {
    const leaf = rawLeaf >>> 0;
    if (isHypervisorLeaf(leaf) && leaf !== HvCpuid.Version) return hypervisorLeaf(this.#hypervisor, leaf, out);
    // Every processor has this leaf: OpenHCL starts on no other, so one of the model that ends before it is taken to have it too.
    if (leaf === LEAF_TOPOLOGY) return topologyLeaf(this.#hcl.index, this.#vpCount, subleaf, out);
    this.#hcl.cpuid(leaf, subleaf, out);
    if (leaf !== HvCpuid.Version) filterNativeLeaf(this.#native, leaf, subleaf >>> 0, out);
    if (leaf === LEAF_FEATURES) {
      topologyOfLeaf1(this.#hcl.index, this.#vpCount, out);
      this.#mirrorOsxsave(registers, out);
    }
  }

  #mirrorOsxsave(registers: GuestRegisters, out: Int32Array): void {
    out[2]! &= ~OSXSAVE;
    if ((out[2]! & XSAVE) === 0) return;
    registers.readCr(4, this.#cr4);
    if ((this.#cr4.lo & CR4_OSXSAVE) !== 0) out[2]! |= OSXSAVE;
  }
}
