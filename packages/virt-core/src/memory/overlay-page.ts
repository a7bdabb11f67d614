import { PAGE_SIZE, restoreBytes, saveBytes } from '@paravisor/hcl-protocol';
import type { GuestMemoryLine, ReadonlyU64, U64 } from '@paravisor/hcl-protocol';

const TWO_32 = 4294967296;

/** Where the page is, and what is in it while that is private memory: else it is in the guest's RAM. */
export type OverlayPageState = {
  /** −1 while private. */
  readonly gpa: number;
  readonly contents: string | null;
};

/**
 * A page that belongs to the hypervisor and can be laid over guest memory (TLFS "Overlay Pages", openvmm `OverlayPage`). While it is nowhere, its
 * contents are kept in private memory; each move copies them along. What the guest had there before is not restored, as in the reference.
 */
export class OverlayPage {
  readonly #memory: GuestMemoryLine;
  readonly #private = new Uint8Array(PAGE_SIZE);
  readonly #privateView = new DataView(this.#private.buffer);
  /** Guest physical address, −1 while private. */
  #gpa = -1;

  constructor(memory: GuestMemoryLine) {
    this.#memory = memory;
  }

  /** Lays the page over the guest frame whose number is in bits 63:12 of `register`. False, and nothing moved, when that is not RAM. */
  map(register: ReadonlyU64): boolean {
    const gpa = (register.hi >>> 0) * TWO_32 + ((register.lo & ~(PAGE_SIZE - 1)) >>> 0);
    if (gpa === this.#gpa) return true;
    if (gpa + PAGE_SIZE > this.#memory.ramBytes) return false;
    if (this.#gpa >= 0 && !this.#memory.read(this.#gpa, this.#private)) return false;
    if (!this.#memory.write(gpa, this.#private)) return false;
    this.#gpa = gpa;
    return true;
  }

  /** Takes the contents back into private memory; the guest's copy stays as it is. */
  unmap(): void {
    if (this.#gpa >= 0) this.#memory.read(this.#gpa, this.#private);
    this.#gpa = -1;
  }

  /** Reads the aligned 8 bytes at `offset`. */
  readU64(offset: number, out: U64): void {
    if (this.#gpa >= 0) this.#memory.readU64(this.#gpa + offset, out);
    else out.setParts(this.#privateView.getInt32(offset, true), this.#privateView.getInt32(offset + 4, true));
  }

  /** Copies `data` to `offset`. */
  write(offset: number, data: Uint8Array): void {
    if (this.#gpa >= 0) this.#memory.write(this.#gpa + offset, data);
    else this.#private.set(data, offset);
  }

  /** Back to a private page of zeros. */
  reset(): void {
    this.#gpa = -1;
    this.#private.fill(0);
  }

  save(): OverlayPageState {
    return { gpa: this.#gpa, contents: this.#gpa >= 0 ? null : saveBytes(this.#private) };
  }

  /** The guest's RAM has its own saved state, and is not touched. */
  restore({ gpa, contents }: OverlayPageState): void {
    this.#gpa = gpa;
    if (contents !== null) restoreBytes(this.#private, contents);
  }
}
