/** VTL2's own processor: what RDTSC, RDMSR and CPUID give the paravisor. */
import { HvMsr, REFERENCE_HZ, U64 } from '@paravisor/hcl-protocol';
import { cpuidOf } from '@paravisor/x86-cpu';

/** APIC timer frequency the hypervisor reports, Hz. */
export const APIC_FREQUENCY = 200_000_000;
const MSR_TSC = 0x10;

/** CPUID leaf that relates the TSC to the crystal clock (SDM volume 2, CPUID). */
const LEAF_TSC = 0x15;
/** The TDX module gives a TD's virtual TSC in units of this crystal (TDX module ABI, TD_PARAMS.TSC_FREQUENCY). */
const CRYSTAL_HZ = 25_000_000;

/** Features of leaf 1 EDX that the machine adds to the processor: machine checks, local APIC, MTRRs, whose registers exit (the TDX module fixes them to one). */
const MACHINE_FEATURES = (1 << 7) | (1 << 9) | (1 << 12) | (1 << 14);
const LEAF_FEATURES = 1;
/** AMD repeats the features of leaf 1 EDX there. */
const LEAF_EXTENDED_FEATURES = 0x80000001;

const TWO_64 = 1n << 64n;

/** The partition's TSC as the hypervisor reports it to VTL2. */
export class Vtl2Processor {
  readonly #vendor: 'intel' | 'amd';
  readonly #tscHz: number;
  /** Reference time = (tsc × scale) >> 64 (TLFS "Partition Reference Time"); the whole part is 0 unless the TSC is slower than the reference. */
  readonly #scaleWhole: U64;
  readonly #scaleFraction: U64;
  readonly #product = new U64();

  constructor(vendor: 'intel' | 'amd', tscHz: number) {
    this.#vendor = vendor;
    this.#tscHz = tscHz;
    const scale = (BigInt(REFERENCE_HZ) * TWO_64) / BigInt(tscHz);
    this.#scaleWhole = U64.of(scale / TWO_64);
    this.#scaleFraction = U64.of(scale % TWO_64);
  }

  /** The reference counter in 100 ns at `ticks`. */
  referenceTime(ticks: number, out: U64): void {
    out.setNumber(ticks).mul(this.#scaleWhole);
    out.add(this.#product.setNumber(ticks).mulHigh(this.#scaleFraction));
  }

  /** What VTL2 may read with RDMSR; false for anything else. Synthetic MSRs are the host's to answer: see `isHostMsr`. */
  readMsr(index: number, vp: number, ticks: number, out: U64): boolean {
    switch (index) {
      case MSR_TSC:
        out.setNumber(ticks);
        return true;
      case HvMsr.VpIndex:
        out.setNumber(vp);
        return true;
      case HvMsr.TimeRefCount:
        this.referenceTime(ticks, out);
        return true;
      case HvMsr.TscFrequency:
        out.setNumber(this.#tscHz);
        return true;
      case HvMsr.ApicFrequency:
        out.setNumber(APIC_FREQUENCY);
        return true;
      default:
        return false;
    }
  }

  /** The processor's CPUID with its local APIC: EAX EBX ECX EDX into `out`. On Intel, leaf 0x15 gives the TSC to the nearest multiple of the crystal. */
  cpuid(leaf: number, subleaf: number, out: Int32Array): void {
    cpuidOf(this.#vendor, leaf, subleaf, out);
    if (leaf === LEAF_FEATURES || (leaf >>> 0 === LEAF_EXTENDED_FEATURES && this.#vendor === 'amd')) out[3]! |= MACHINE_FEATURES;
    if (this.#vendor !== 'intel') return;
    if (leaf === 0) out[0] = Math.max(out[0]!, LEAF_TSC);
    if (leaf === LEAF_TSC) {
      out[0] = 1;
      out[1] = Math.max(1, Math.round(this.#tscHz / CRYSTAL_HZ));
      out[2] = CRYSTAL_HZ;
      out[3] = 0;
    }
  }
}

/** Whether reading the MSR takes a call to the host: the synthetic ones. */
export const isHostMsr = (index: number): boolean => index >= 0x40000000 && index <= 0x400000ff;
