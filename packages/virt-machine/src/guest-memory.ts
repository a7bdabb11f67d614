/** Guest RAM as VTL2 reaches it: all of it, whatever the lower VTLs may do with a page. */
import type { GuestMemoryLine, ReadonlyU64, U64 } from '@paravisor/hcl-protocol';
import type { MachineMemory } from '@paravisor/x86-cpu';

export class GuestRam implements GuestMemoryLine {
  readonly #memory: MachineMemory;
  readonly ramBytes: number;

  constructor(memory: MachineMemory) {
    this.#memory = memory;
    this.ramBytes = memory.ramBytes;
  }

  read(gpa: number, out: Uint8Array): boolean {
    if (!this.#holds(gpa, out.length)) return false;
    this.#memory.readRam(gpa, out);
    return true;
  }

  write(gpa: number, data: Uint8Array): boolean {
    if (!this.#holds(gpa, data.length)) return false;
    this.#memory.writeRam(gpa, data);
    return true;
  }

  readU64(gpa: number, out: U64): boolean {
    if (!this.#holds(gpa, 8)) return false;
    out.setParts(this.#memory.readRam32(gpa), this.#memory.readRam32(gpa + 4));
    return true;
  }

  compareExchange(gpa: number, size: number, expected: U64, value: ReadonlyU64): number {
    if (!this.#holds(gpa, size)) return -1;
    if (this.#memory.compareExchangeRam(gpa, size as 1 | 2 | 4 | 8, expected.lo, expected.hi, value.lo, value.hi)) return 1;
    switch (size) {
      case 1:
        expected.setParts(this.#memory.readRam8(gpa), 0);
        break;
      case 2:
        expected.setParts(this.#memory.readRam8(gpa) | (this.#memory.readRam8(gpa + 1) << 8), 0);
        break;
      case 4:
        expected.setParts(this.#memory.readRam32(gpa), 0);
        break;
      default:
        expected.setParts(this.#memory.readRam32(gpa), this.#memory.readRam32(gpa + 4));
    }
    return 0;
  }

  #holds(gpa: number, bytes: number): boolean {
    return gpa >= 0 && Number.isSafeInteger(gpa) && gpa + bytes <= this.ramBytes;
  }
}
