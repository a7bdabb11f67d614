import type { U64 } from '@paravisor/hcl-protocol';
import { ReferenceTimeScale } from './conversions.js';

/** Where the reference clock reads the virtual TSC. A VP's file descriptor (`HclVp`) is one; each read costs VTL2 an RDTSC. */
export interface TscSource {
  rdtsc(out: U64): void;
}

/** The partition reference time a lower VTL reads at MSR 0x40000020: virtual TSC in units of 100 ns, from TSC zero (facts of TLFS "Timers"). */
export class ReferenceClock {
  /** The scale between TSC and reference time; its `pageScale` belongs into the reference TSC page. */
  readonly scale: ReferenceTimeScale;
  readonly #tsc: TscSource;

  /** `tscFrequency` in Hz. Throws `RangeError` unless it is a positive integer. */
  constructor(tsc: TscSource, tscFrequency: number) {
    this.#tsc = tsc;
    this.scale = new ReferenceTimeScale(tscFrequency);
  }

  /** Reference time now, 100 ns. */
  now(out: U64): void {
    this.#tsc.rdtsc(out);
    this.scale.toReferenceTime(out, out);
  }
}
