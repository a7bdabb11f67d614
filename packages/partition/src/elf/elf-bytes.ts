import { ElfError, hex } from './elf-error.js';

/**
 * A file's bytes, little-endian, read with a check on every access: a structure that the file does not hold in full ends as `ElfError` with the code
 * `truncated`, never as another exception. Offsets are what the file says, so they may be any 64-bit value.
 */
export class ElfBytes {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get length(): number {
    return this.#bytes.length;
  }

  /** True when the file holds `size` bytes at `offset`. */
  holds(offset: bigint, size: bigint): boolean {
    return offset >= 0n && size >= 0n && offset + size <= BigInt(this.#bytes.length);
  }

  /** A view of `size` bytes at `offset`; `what` names the structure in the error. */
  slice(offset: bigint, size: bigint, what: string): Uint8Array {
    this.#check(offset, size, what);
    return this.#bytes.subarray(Number(offset), Number(offset + size));
  }

  u8(offset: bigint, what: string): number {
    return this.#view.getUint8(this.#check(offset, 1n, what));
  }

  u16(offset: bigint, what: string): number {
    return this.#view.getUint16(this.#check(offset, 2n, what), true);
  }

  u32(offset: bigint, what: string): number {
    return this.#view.getUint32(this.#check(offset, 4n, what), true);
  }

  u64(offset: bigint, what: string): bigint {
    return this.#view.getBigUint64(this.#check(offset, 8n, what), true);
  }

  #check(offset: bigint, size: bigint, what: string): number {
    if (!this.holds(offset, size)) {
      throw new ElfError('truncated', `${what} should be at offset ${hex(offset)}, but the file ends at ${hex(this.length)}: it is cut off, or not the file that was built`);
    }
    return Number(offset);
  }
}
