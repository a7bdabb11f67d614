import { MemorySpace, PAGE_BYTES } from './space.js';

export interface MachineMemoryOptions {
  /** Register contexts: one per VP and VTL. */
  contexts: number;
  /** Guest RAM, a multiple of 4096, at guest physical 0. */
  ramBytes: number;
  /** Permission tables over guest RAM, one per VTL. All pages start with all permissions. */
  permissionTables: number;
  /** 4 KiB pages outside guest RAM, for pages shared between machine and host software. */
  hostPages: number;
}

let spaceOf: (memory: MachineMemory) => MemorySpace;

/**
 * A machine's memory: one `WebAssembly.Memory` of fixed size with the processors' contexts, their caches, permission
 * tables, host pages and guest RAM. Everybody but the processors reaches guest RAM through these methods, because a
 * write must also drop code decoded from the page; there is no raw view of it.
 *
 * Guest physical addresses are exact numbers. Accesses outside RAM throw RangeError: whether an address is RAM is for
 * the caller to know.
 */
export class MachineMemory {
  readonly #space: MemorySpace;

  static {
    spaceOf = (memory) => memory.#space;
  }

  constructor(options: MachineMemoryOptions) {
    const { contexts, ramBytes, permissionTables, hostPages } = options;
    if (!Number.isSafeInteger(ramBytes) || ramBytes <= 0 || ramBytes % PAGE_BYTES !== 0) {
      throw new RangeError(`ramBytes must be a positive multiple of ${PAGE_BYTES}`);
    }
    this.#space = new MemorySpace(contexts, ramBytes, permissionTables, hostPages);
  }

  get ramBytes(): number {
    return this.#space.ramBytes;
  }

  /** A view of a host page; the same bytes every time. */
  hostPage(index: number): Uint8Array {
    const { hostPages, platform } = this.#space;
    if (index < 0 || index >= hostPages) throw new RangeError(`no host page ${index}`);
    return new Uint8Array(platform.buffer, this.#space.hostPageStart(index), PAGE_BYTES);
  }

  #locate(gpa: number, size: number): number {
    if (!(gpa >= 0 && gpa + size <= this.#space.ramBytes)) throw new RangeError(`guest physical ${gpa.toString(16)} is not RAM`);
    return this.#space.ramStart + gpa;
  }

  #locateForWrite(gpa: number, size: number): number {
    const at = this.#locate(gpa, size);
    if (size > 0) this.#space.beforeWrite(gpa, size);
    return at;
  }

  /** Copies from RAM into all of `out`. */
  readRam(gpa: number, out: Uint8Array): void {
    const at = this.#locate(gpa, out.length);
    out.set(this.#space.u8.subarray(at, at + out.length));
  }

  /** Copies all of `data` to RAM. */
  writeRam(gpa: number, data: Uint8Array): void {
    this.#space.u8.set(data, this.#locateForWrite(gpa, data.length));
  }

  readRam8(gpa: number): number {
    return this.#space.u8[this.#locate(gpa, 1)]!;
  }

  writeRam8(gpa: number, value: number): void {
    this.#space.u8[this.#locateForWrite(gpa, 1)] = value;
  }

  /** A little-endian word, as an int32. */
  readRam32(gpa: number): number {
    return this.#space.view.getInt32(this.#locate(gpa, 4), true);
  }

  writeRam32(gpa: number, value: number): void {
    this.#space.view.setInt32(this.#locateForWrite(gpa, 4), value, true);
  }

  /**
   * Replaces `size` (1, 2, 4 or 8) bytes at `gpa` if they equal the expected value, and says whether it did. Values are
   * int32 halves, low first; of a short value only the low bits count.
   */
  compareExchangeRam(gpa: number, size: 1 | 2 | 4 | 8, expectedLo: number, expectedHi: number, newLo: number, newHi: number): boolean {
    const at = this.#locate(gpa, size);
    const { view } = this.#space;
    switch (size) {
      case 1:
        if (view.getUint8(at) !== (expectedLo & 0xff)) return false;
        this.#space.beforeWrite(gpa, size);
        view.setUint8(at, newLo);
        return true;
      case 2:
        if (view.getUint16(at, true) !== (expectedLo & 0xffff)) return false;
        this.#space.beforeWrite(gpa, size);
        view.setUint16(at, newLo, true);
        return true;
      case 4:
      case 8:
        if (view.getInt32(at, true) !== (expectedLo | 0)) return false;
        if (size === 8 && view.getInt32(at + 4, true) !== (expectedHi | 0)) return false;
        this.#space.beforeWrite(gpa, size);
        view.setInt32(at, newLo, true);
        if (size === 8) view.setInt32(at + 4, newHi, true);
        return true;
    }
  }

  /** Sets the permissions of `count` pages: bits 1 read, 2 write, 4 execute. Processors that use the table flush their translations. */
  setPermissions(table: number, firstPage: number, count: number, bits: number): void {
    const { permissionTables, ramPages } = this.#space;
    if (table < 0 || table >= permissionTables) throw new RangeError(`no permission table ${table}`);
    if (firstPage < 0 || count < 0 || firstPage + count > ramPages) throw new RangeError('pages outside RAM');
    this.#space.setPermissions(table, firstPage, count, bits);
  }

  /** Which parts of RAM the processors have decoded: writes to them take longer ways, which a saved machine must find again. */
  saveCode(): readonly number[] {
    return this.#space.saveCode();
  }

  /** In a fresh memory, before its processors are restored. @throws {RangeError} for pages outside RAM. */
  restoreCode(saved: readonly number[]): void {
    this.#space.restoreCode(saved);
  }

  /** The permission bits of a page. */
  getPermissions(table: number, page: number): number {
    const { permissionTables, ramPages } = this.#space;
    if (table < 0 || table >= permissionTables || page < 0 || page >= ramPages) throw new RangeError('no such page or table');
    return this.#space.permissions(table, page);
  }
}

/** Creates a machine's memory at its full size; it never grows. */
export function createMachineMemory(options: MachineMemoryOptions): MachineMemory {
  return new MachineMemory(options);
}

export { spaceOf };
