import type { ReadonlyU64, U64 } from '@paravisor/hcl-protocol';

/** Where accesses go that neither RAM nor the APIC claims. Reads nobody claims give all ones. */
export interface Chipset {
  /** `size` is 1, 2, 4 or 8; the value is zero-extended into `out`. */
  readMmio(gpa: number, size: number, out: U64): void;
  writeMmio(gpa: number, size: number, value: ReadonlyU64): void;
  readPort(port: number, size: number): number;
  writePort(port: number, size: number, value: number): void;
}
