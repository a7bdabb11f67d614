import { createMemory, WASM_PAGE } from '../wasm/platform.js';
import type { PlatformMemory } from '../wasm/platform.js';
import { CONTEXT_SIZE } from './layout.js';

/** log2 of a page's bytes, and the bytes. */
export const PAGE_SHIFT = 12;
export const PAGE_BYTES = 1 << PAGE_SHIFT;

/** Code is tracked in lines of this many bytes: 64 lines a page, two words of bits. */
const LINE_SHIFT = 6;

/** What a processor does when memory it has cached something of changes. */
export interface CodeObserver {
  /** Bytes of the page, from offset `first` to `last`, are about to change or have changed: forget code decoded from them. */
  dropCode(page: number, first: number, last: number): void;
  /** The page now holds decoded code: writes to it must come to `MemorySpace` first. */
  watchWrites(page: number): void;
  /** Forget all translations if they were made with this permission table. */
  permissionsChanged(table: number): void;
}

/**
 * The machine's one memory as the processors see it: where everything lies, who has decoded code from which page, and
 * the access to guest RAM that keeps both consistent. Addresses of RAM are guest physical.
 */
export class MemorySpace {
  readonly platform: PlatformMemory;
  readonly u8: Uint8Array;
  readonly i32: Int32Array;
  readonly view: DataView;
  readonly ramBytes: number;
  readonly ramPages: number;
  /** Byte in the memory of guest physical 0. */
  readonly ramStart: number;
  readonly contexts: number;
  readonly permissionTables: number;
  readonly hostPages: number;
  readonly #permissionStart: number;
  readonly #hostStart: number;
  /** Two words a page: a bit for each line of which code has been decoded. */
  readonly #codeLines: Int32Array;
  readonly #observers: CodeObserver[] = [];

  constructor(contexts: number, ramBytes: number, permissionTables: number, hostPages: number) {
    this.contexts = contexts;
    this.ramBytes = ramBytes;
    this.ramPages = ramBytes / PAGE_BYTES;
    this.permissionTables = permissionTables;
    this.hostPages = hostPages;
    this.#permissionStart = PAGE_BYTES + contexts * CONTEXT_SIZE;
    this.#hostStart = roundUp(this.#permissionStart + permissionTables * this.ramPages, PAGE_BYTES);
    this.ramStart = roundUp(this.#hostStart + hostPages * PAGE_BYTES, WASM_PAGE);
    const pages = Math.ceil((this.ramStart + ramBytes) / WASM_PAGE);
    if (pages > 65536) throw new RangeError('contexts, host pages and guest RAM together exceed 4 GiB');
    this.platform = createMemory(pages);
    this.u8 = new Uint8Array(this.platform.buffer);
    this.i32 = new Int32Array(this.platform.buffer);
    this.view = new DataView(this.platform.buffer);
    this.#codeLines = new Int32Array(2 * this.ramPages);
    this.u8.fill(7, this.#permissionStart, this.#permissionStart + permissionTables * this.ramPages);
  }

  /** Start of a register context. The first page of the memory stays unused, so that no address in it is 0. */
  contextStart(index: number): number {
    return PAGE_BYTES + index * CONTEXT_SIZE;
  }

  hostPageStart(index: number): number {
    return this.#hostStart + index * PAGE_BYTES;
  }

  observe(observer: CodeObserver): void {
    this.#observers.push(observer);
  }

  /** Permission bits of a page: 1 read, 2 write, 4 execute. */
  permissions(table: number, page: number): number {
    return this.u8[this.#permissionStart + table * this.ramPages + page]!;
  }

  setPermissions(table: number, firstPage: number, count: number, bits: number): void {
    const start = this.#permissionStart + table * this.ramPages + firstPage;
    this.u8.fill(bits, start, start + count);
    for (const observer of this.#observers) observer.permissionsChanged(table);
  }

  /** Whether code has been decoded from a page. */
  holdsCode(page: number): boolean {
    return (this.#codeLines[2 * page]! | this.#codeLines[2 * page + 1]!) !== 0;
  }

  /** Whether code has been decoded from any line that `size` bytes at `gpa`, within one page, touch. */
  overlapsCode(gpa: number, size: number): boolean {
    const page = Math.floor(gpa / PAGE_BYTES);
    if (!this.holdsCode(page)) return false;
    const offset = gpa % PAGE_BYTES;
    for (let line = offset >> LINE_SHIFT; line <= (offset + size - 1) >> LINE_SHIFT; line++) {
      if ((this.#codeLines[2 * page + (line >> 5)]! & (1 << (line & 31))) !== 0) return true;
    }
    return false;
  }

  /** The lines that count as code: page, low and high word of its lines, by turns. */
  saveCode(): readonly number[] {
    const saved: number[] = [];
    for (let page = 0; page < this.ramPages; page++) if (this.holdsCode(page)) saved.push(page, this.#codeLines[2 * page]!, this.#codeLines[2 * page + 1]!);
    return saved;
  }

  /** Before any processor has code. */
  restoreCode(saved: readonly number[]): void {
    this.#codeLines.fill(0);
    for (let at = 0; at < saved.length; at += 3) this.#codeLines.set([saved[at + 1]!, saved[at + 2]!], 2 * saved[at]!);
  }

  /** Notes that code was decoded from `size` bytes at `gpa`, within one page. */
  markCode(gpa: number, size: number): void {
    const page = Math.floor(gpa / PAGE_BYTES);
    const fresh = !this.holdsCode(page);
    const offset = gpa % PAGE_BYTES;
    for (let line = offset >> LINE_SHIFT; line <= (offset + size - 1) >> LINE_SHIFT; line++) {
      this.#codeLines[2 * page + (line >> 5)]! |= 1 << (line & 31);
    }
    if (fresh) for (const observer of this.#observers) observer.watchWrites(page);
  }

  /** Forgets the code of the lines that `size` bytes at `gpa`, within one page, touch. */
  dropCode(gpa: number, size: number): void {
    const page = Math.floor(gpa / PAGE_BYTES);
    const offset = gpa % PAGE_BYTES;
    const firstLine = offset >> LINE_SHIFT;
    const lastLine = (offset + size - 1) >> LINE_SHIFT;
    for (let line = firstLine; line <= lastLine; line++) this.#codeLines[2 * page + (line >> 5)]! &= ~(1 << (line & 31));
    const last = ((lastLine + 1) << LINE_SHIFT) - 1;
    for (const observer of this.#observers) observer.dropCode(page, firstLine << LINE_SHIFT, last);
  }

  /** To be called before `size` bytes at `gpa` change. They must lie in RAM. */
  beforeWrite(gpa: number, size: number): void {
    const last = Math.floor((gpa + size - 1) / PAGE_BYTES);
    for (let page = Math.floor(gpa / PAGE_BYTES), at = gpa; page <= last; page++) {
      const end = Math.min(gpa + size, (page + 1) * PAGE_BYTES);
      if (this.holdsCode(page) && this.overlapsCode(at, end - at)) this.dropCode(at, end - at);
      at = end;
    }
  }
}

function roundUp(value: number, unit: number): number {
  return Math.ceil(value / unit) * unit;
}
