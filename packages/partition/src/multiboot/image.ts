/** A kernel's bytes by guest physical address: from the Multiboot header's own fields, or from ELF32 or ELF64 program headers. */
import { hex } from '../elf/elf-error.js';
import { findMultibootHeader } from './header.js';
import type { AddressFields } from './header.js';
import { MultibootError } from './multiboot-error.js';

/** Bytes to load; memory behind them up to `memoryBytes` is zero. */
export interface KernelSegment {
  readonly gpa: number;
  readonly contents: Uint8Array;
  readonly memoryBytes: number;
}

/** A kernel that can be loaded. */
export interface MultibootImage {
  readonly segments: readonly KernelSegment[];
  /** Physical address of the first instruction, 32-bit code. */
  readonly entry: number;
  /** First byte behind all segments. */
  readonly end: number;
}

const PT_LOAD = 1;
const TWO_32 = 4294967296;

/** Where the two ELF classes keep what a loader needs: offsets of header and program header fields, and how wide addresses are. */
const ELF_CLASSES = {
  1: { wide: false, headerBytes: 52, entry: 24, phoff: 28, phentsize: 42, phnum: 44, programBytes: 32, offset: 4, vaddr: 8, paddr: 12, filesz: 16, memsz: 20 },
  2: { wide: true, headerBytes: 64, entry: 24, phoff: 32, phentsize: 54, phnum: 56, programBytes: 56, offset: 8, vaddr: 16, paddr: 24, filesz: 32, memsz: 40 },
} as const;
type ElfClass = (typeof ELF_CLASSES)[keyof typeof ELF_CLASSES];

/** Reads a Multiboot 1 kernel. Throws `MultibootError`. */
export function readMultibootImage(file: Uint8Array): MultibootImage {
  const { addresses } = findMultibootHeader(file);
  // An ELF file is loaded by its program headers, also when the header has addresses (as QEMU does): they may be of another build.
  const { segments, entry } = isElf(file) ? readElfKernel(file) : readPlainKernel(file, addresses);
  const end = segments.reduce((last, { gpa, memoryBytes }) => Math.max(last, gpa + memoryBytes), 0);
  if (!segments.some(({ gpa, memoryBytes }) => entry >= gpa && entry < gpa + memoryBytes)) {
    throw new MultibootError('malformed', `its entry point ${hex(entry)} lies in nothing that is loaded: link the kernel anew`);
  }
  return { segments, entry, end };
}

function isElf(file: Uint8Array): boolean {
  return file[0] === 0x7f && file[1] === 0x45 && file[2] === 0x4c && file[3] === 0x46;
}

function readPlainKernel(file: Uint8Array, addresses: AddressFields | null): Pick<MultibootImage, 'segments' | 'entry'> {
  if (addresses === null) throw new MultibootError('malformed', 'it is no ELF file, and its Multiboot header does not say where to load it (bit 16 of its flags): give an ELF kernel');
  const { loadStart, loadEnd, bssEnd, entry, fileOffset } = addresses;
  const bytes = loadEnd === 0 ? file.length - fileOffset : loadEnd - loadStart;
  if (bytes < 0 || fileOffset + bytes > file.length) {
    throw new MultibootError('malformed', `its Multiboot header loads ${hex(bytes)} bytes from offset ${hex(fileOffset)}, but the file ends at ${hex(file.length)}: it is cut off`);
  }
  const memoryBytes = Math.max(bytes, bssEnd === 0 ? 0 : bssEnd - loadStart);
  return { segments: [{ gpa: loadStart, contents: file.subarray(fileOffset, fileOffset + bytes), memoryBytes }], entry };
}

function readElfKernel(file: Uint8Array): Pick<MultibootImage, 'segments' | 'entry'> {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const layout = ELF_CLASSES[file[4] as 1 | 2] as ElfClass | undefined;
  if (layout === undefined || file[5] !== 1) throw new MultibootError('malformed', `its ELF class and byte order are ${file[4]} and ${file[5]}: give a little-endian 32- or 64-bit ELF file`);
  need(file, 0, layout.headerBytes, 'the ELF header');
  const word = (at: number): number => (layout.wide ? view.getUint32(at + 4, true) * TWO_32 + view.getUint32(at, true) : view.getUint32(at, true));
  const table = word(layout.phoff);
  const count = view.getUint16(layout.phnum, true);
  const entrySize = view.getUint16(layout.phentsize, true);
  if (count > 0 && entrySize !== layout.programBytes) throw new MultibootError('malformed', `its program headers are ${entrySize} bytes each, not ${layout.programBytes}: link the kernel anew`);
  const segments: KernelSegment[] = [];
  const entry = word(layout.entry);
  let physicalEntry = entry;
  for (let i = 0; i < count; i++) {
    const at = table + i * layout.programBytes;
    need(file, at, layout.programBytes, `program header ${i}`);
    const memoryBytes = word(at + layout.memsz);
    if (view.getUint32(at, true) !== PT_LOAD || memoryBytes === 0) continue;
    const fileOffset = word(at + layout.offset);
    const bytes = word(at + layout.filesz);
    need(file, fileOffset, bytes, `the segment of program header ${i}`);
    if (bytes > memoryBytes) throw new MultibootError('malformed', `program header ${i} has more bytes in the file (${hex(bytes)}) than in memory (${hex(memoryBytes)}): link the kernel anew`);
    const gpa = word(at + layout.paddr);
    const virtual = word(at + layout.vaddr);
    // The entry is a virtual address; paging is off.
    if (entry >= virtual && entry < virtual + memoryBytes) physicalEntry = gpa + (entry - virtual);
    segments.push({ gpa, contents: file.subarray(fileOffset, fileOffset + bytes), memoryBytes });
  }
  if (segments.length === 0) throw new MultibootError('malformed', 'no program header of it loads anything: link the kernel into an executable');
  checkDisjoint(segments);
  return { segments, entry: physicalEntry };
}

function checkDisjoint(segments: readonly KernelSegment[]): void {
  const sorted = segments.toSorted((a, b) => a.gpa - b.gpa);
  for (let i = 1; i < sorted.length; i++) {
    const before = sorted[i - 1]!;
    if (before.gpa + before.memoryBytes > sorted[i]!.gpa) {
      throw new MultibootError('overlap', `its segments at ${hex(before.gpa)} and ${hex(sorted[i]!.gpa)} overlap: link the kernel anew`);
    }
  }
}

function need(file: Uint8Array, offset: number, bytes: number, what: string): void {
  if (offset + bytes > file.length) throw new MultibootError('malformed', `${what} should be at offset ${hex(offset)} with ${hex(bytes)} bytes, but the file ends at ${hex(file.length)}: it is cut off`);
}
