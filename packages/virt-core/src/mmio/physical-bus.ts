import { U64, u64ToBigInt } from '@paravisor/hcl-protocol';
import type { GuestMemoryLine } from '@paravisor/hcl-protocol';
import type { LocalApic } from '../apic/index.js';
import type { Chipset } from '../contract/index.js';

/** Sizes of an access, in bytes. */
const SIZES = [1, 2, 4, 8] as const;

/** Where a guest physical address leads when the paravisor accesses it for a lower VTL: that VTL's xAPIC page, RAM, or the chipset. */
export class PhysicalBus {
  readonly #memory: GuestMemoryLine;
  readonly #chipset: Chipset;
  readonly #value = new U64();
  readonly #bytes = new Uint8Array(8);
  readonly #halves = new Int32Array(this.#bytes.buffer);
  /** `#bytes` cut to each size, by size. */
  readonly #views: readonly Uint8Array[];

  constructor(memory: GuestMemoryLine, chipset: Chipset) {
    this.#memory = memory;
    this.#chipset = chipset;
    const views: Uint8Array[] = [];
    for (const size of SIZES) views[size] = this.#bytes.subarray(0, size);
    this.#views = views;
  }

  /** Reads 1, 2, 4 or 8 bytes inside one page. */
  read(apic: LocalApic, gpa: number, size: number): bigint {
    if (apic.claimsPage(gpa)) {
      apic.readMmio(gpa, size, this.#value);
    } else {
      this.#halves.fill(0);
      if (this.#memory.read(gpa, this.#views[size]!)) this.#value.setParts(this.#halves[0]!, this.#halves[1]!);
      else this.#chipset.readMmio(gpa, size, this.#value);
    }
    return BigInt.asUintN(8 * size, u64ToBigInt(this.#value));
  }

  /** Writes 1, 2, 4 or 8 bytes inside one page. */
  write(apic: LocalApic, gpa: number, size: number, value: bigint): void {
    this.#value.setBigInt(value);
    if (apic.claimsPage(gpa)) return apic.writeMmio(gpa, size, this.#value);
    this.#halves[0] = this.#value.lo;
    this.#halves[1] = this.#value.hi;
    if (!this.#memory.write(gpa, this.#views[size]!)) this.#chipset.writeMmio(gpa, size, this.#value);
  }

  readPort(port: number, size: number): bigint {
    return BigInt.asUintN(8 * size, BigInt(this.#chipset.readPort(port, size) >>> 0));
  }

  writePort(port: number, size: number, value: bigint): void {
    this.#chipset.writePort(port, size, Number(BigInt.asIntN(32, value)));
  }
}
