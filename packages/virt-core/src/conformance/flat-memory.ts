import type { GuestMemoryLine, ReadonlyU64, U64 } from '@paravisor/hcl-protocol';

/** Guest RAM of a recording: bytes from address 0, and nobody else who writes. */
export class FlatMemory implements GuestMemoryLine {
  readonly bytes: Uint8Array;
  readonly #view: DataView;

  constructor(ramBytes: number) {
    this.bytes = new Uint8Array(ramBytes);
    this.#view = new DataView(this.bytes.buffer);
  }

  get ramBytes(): number {
    return this.bytes.length;
  }

  read(gpa: number, out: Uint8Array): boolean {
    if (gpa + out.length > this.ramBytes) return false;
    for (let i = 0; i < out.length; i++) out[i] = this.bytes[gpa + i]!;
    return true;
  }

  write(gpa: number, data: Uint8Array): boolean {
    if (gpa + data.length > this.ramBytes) return false;
    this.bytes.set(data, gpa);
    return true;
  }

  readU64(gpa: number, out: U64): boolean {
    if (gpa + 8 > this.ramBytes) return false;
    out.setParts(this.#view.getInt32(gpa, true), this.#view.getInt32(gpa + 4, true));
    return true;
  }

  compareExchange(gpa: number, size: number, expected: U64, value: ReadonlyU64): number {
    if (gpa + size > this.ramBytes) return -1;
    const found = new Uint8Array(8);
    found.set(this.bytes.subarray(gpa, gpa + size));
    const cells = new DataView(found.buffer);
    const exchange = cells.getInt32(0, true) === expected.lo && cells.getInt32(4, true) === expected.hi;
    expected.setParts(cells.getInt32(0, true), cells.getInt32(4, true));
    if (!exchange) return 0;
    cells.setInt32(0, value.lo, true);
    cells.setInt32(4, value.hi, true);
    this.bytes.set(found.subarray(0, size), gpa);
    return 1;
  }
}
