/** The parts of the ELF-64 object file format (System V ABI, chapters 4 and 5, and the x86-64 supplement) that a loader needs. */
import { ElfBytes } from './elf-bytes.js';
import { ElfError, hex } from './elf-error.js';

const EI_CLASS = 4n;
const EI_DATA = 5n;
const ELFCLASS32 = 1;
const ELFCLASS64 = 2;
const ELFDATA2LSB = 1;
const ELFDATA2MSB = 2;
const EM_X86_64 = 62;
const EHDR_SIZE = 64n;
const PHDR_SIZE = 56;
const SHDR_SIZE = 64;
const RELA_SIZE = 24n;
const PT_LOAD = 1;
const SHT_RELA = 4;
/** A section without bytes in the file. */
const SHT_NOBITS = 8;
const R_X86_64_RELATIVE = 8;
/** e_phnum and e_shstrndx: the real number is elsewhere, because there are too many for 16 bits. */
const EXTENDED_NUMBERING = 0xffff;

/** e_type: an executable at fixed addresses, or one that can be moved (a static PIE). */
const ElfType = { Executable: 2, Dynamic: 3 } as const;

/** One PT_LOAD entry, addresses as linked. */
export interface ProgramSegment {
  readonly physicalAddress: bigint;
  readonly virtualAddress: bigint;
  readonly memorySize: bigint;
  readonly contents: Uint8Array;
}

/** One section header. */
export interface Section {
  readonly name: string;
  readonly type: number;
  readonly address: bigint;
  readonly offset: bigint;
  readonly size: bigint;
}

/** A validated file: headers that agree with the file's size, nothing said about memory. */
export interface ElfFile {
  readonly bytes: ElfBytes;
  /** False for ET_EXEC, true for ET_DYN. */
  readonly movable: boolean;
  readonly entry: bigint;
  /** PT_LOAD entries that take memory, in the file's order. */
  readonly segments: readonly ProgramSegment[];
  readonly sections: readonly Section[];
}

/** Reads and checks the headers. Throws `ElfError`. */
export function readElf(file: Uint8Array): ElfFile {
  const bytes = new ElfBytes(file);
  checkIdentification(bytes);
  const type = bytes.u16(16n, 'the ELF header');
  const machine = bytes.u16(18n, 'the ELF header');
  if (machine !== EM_X86_64) throw new ElfError('wrong-machine', `it is for machine ${machine}, not for x86-64 (${EM_X86_64}): build the guest for x86_64`);
  if (type !== ElfType.Executable && type !== ElfType.Dynamic) {
    throw new ElfError('wrong-type', `its ELF type is ${type}, neither an executable (2) nor a static PIE (3): link the guest into one`);
  }
  bytes.slice(0n, EHDR_SIZE, 'the ELF header');
  return {
    bytes,
    movable: type === ElfType.Dynamic,
    entry: bytes.u64(24n, 'the ELF header'),
    segments: readSegments(bytes),
    sections: readSections(bytes),
  };
}

function checkIdentification(bytes: ElfBytes): void {
  if (bytes.length === 0) throw new ElfError('empty', 'it is empty: give the ELF file of a test microkernel');
  const magic = [0x7f, 0x45, 0x4c, 0x46];
  for (let i = 0; i < Math.min(magic.length, bytes.length); i++) {
    if (bytes.u8(BigInt(i), 'the ELF header') !== magic[i]) throw new ElfError('not-elf', 'it does not begin with the ELF magic number: give the ELF file of a test microkernel');
  }
  const elfClass = bytes.u8(EI_CLASS, 'the ELF header');
  if (elfClass === ELFCLASS32) throw new ElfError('elf32', 'it is a 32-bit ELF file: build the guest for x86_64 (-m64)');
  if (elfClass !== ELFCLASS64) throw new ElfError('malformed', `its ELF class at offset 0x4 is ${elfClass}, not 2 (64-bit): build the guest for x86_64`);
  const data = bytes.u8(EI_DATA, 'the ELF header');
  if (data === ELFDATA2MSB) throw new ElfError('big-endian', 'it is a big-endian ELF file: build the guest for x86_64');
  if (data !== ELFDATA2LSB) throw new ElfError('malformed', `its data encoding at offset 0x5 is ${data}, not 1 (little-endian): build the guest for x86_64`);
}

function readSegments(bytes: ElfBytes): ProgramSegment[] {
  const table = bytes.u64(32n, 'the ELF header');
  const entrySize = bytes.u16(54n, 'the ELF header');
  const count = bytes.u16(56n, 'the ELF header');
  if (count === EXTENDED_NUMBERING) throw new ElfError('malformed', 'it has more program headers than 65534: link the guest without extended numbering');
  if (count > 0 && entrySize !== PHDR_SIZE) throw new ElfError('malformed', `its program headers are ${entrySize} bytes each, not ${PHDR_SIZE}: build the guest for x86_64`);
  const segments: ProgramSegment[] = [];
  for (let i = 0; i < count; i++) {
    const at = table + BigInt(i * PHDR_SIZE);
    const what = `program header ${i}`;
    bytes.slice(at, BigInt(PHDR_SIZE), what);
    const memorySize = bytes.u64(at + 40n, what);
    if (bytes.u32(at, what) !== PT_LOAD || memorySize === 0n) continue;
    segments.push(readSegment(bytes, at, what, memorySize));
  }
  if (segments.length === 0) throw new ElfError('no-segments', 'no program header of it loads anything: link the guest into an executable');
  return segments;
}

function readSegment(bytes: ElfBytes, at: bigint, what: string, memorySize: bigint): ProgramSegment {
  const offset = bytes.u64(at + 8n, what);
  const fileSize = bytes.u64(at + 32n, what);
  if (fileSize > memorySize) {
    throw new ElfError('malformed', `${what} has more bytes in the file (${hex(fileSize)}) than in memory (${hex(memorySize)}): link the guest anew`);
  }
  if (!bytes.holds(offset, fileSize)) {
    throw new ElfError('segment-outside-file', `the segment of ${what} is at offset ${hex(offset)} with ${hex(fileSize)} bytes, but the file ends at ${hex(bytes.length)}: it is cut off`);
  }
  return {
    physicalAddress: bytes.u64(at + 24n, what),
    virtualAddress: bytes.u64(at + 16n, what),
    memorySize,
    contents: bytes.slice(offset, fileSize, what),
  };
}

function readSections(bytes: ElfBytes): Section[] {
  const table = bytes.u64(40n, 'the ELF header');
  const entrySize = bytes.u16(58n, 'the ELF header');
  const count = bytes.u16(60n, 'the ELF header');
  const namesIndex = bytes.u16(62n, 'the ELF header');
  if (table === 0n || count === 0) return [];
  if (entrySize !== SHDR_SIZE) throw new ElfError('malformed', `its section headers are ${entrySize} bytes each, not ${SHDR_SIZE}: build the guest for x86_64`);
  const headerOf = (index: number): bigint => {
    const at = table + BigInt(index * SHDR_SIZE);
    bytes.slice(at, BigInt(SHDR_SIZE), `section header ${index}`);
    return at;
  };
  if (namesIndex >= count) throw new ElfError('malformed', `its section names are in section ${namesIndex}, but there are ${count} sections: link the guest anew`);
  const namesHeader = headerOf(namesIndex);
  const names = bytes.slice(bytes.u64(namesHeader + 24n, 'the section names'), bytes.u64(namesHeader + 32n, 'the section names'), 'the section names');
  return Array.from({ length: count }, (_, index) => {
    const at = headerOf(index);
    const what = `section header ${index}`;
    return {
      name: textAt(names, bytes.u32(at, what)),
      type: bytes.u32(at + 4n, what),
      address: bytes.u64(at + 16n, what),
      offset: bytes.u64(at + 24n, what),
      size: bytes.u64(at + 32n, what),
    };
  });
}

/** Characters kept of a section's name: thousands of headers may share one unterminated table. */
const SECTION_NAME_LIMIT = 256;

/** The zero-terminated ASCII at `offset` of a string table; what lies outside the table reads as nothing. */
function textAt(table: Uint8Array, offset: number): string {
  let text = '';
  const end = Math.min(table.length, offset + SECTION_NAME_LIMIT);
  for (let i = offset; i < end && table[i] !== 0; i++) text += String.fromCharCode(table[i]!);
  return text;
}

/** The bytes of a section. Throws `ElfError` when the file does not hold them. */
export function sectionContents(file: ElfFile, section: Section): Uint8Array {
  if (section.type === SHT_NOBITS) throw new ElfError('malformed', `section ${section.name} has no bytes in the file: give it contents, not only room`);
  return file.bytes.slice(section.offset, section.size, `section ${section.name}`);
}

/**
 * Addresses, as linked, of 64-bit words that relocation fills with image base + addend (R_X86_64_RELATIVE), and their addends. In a static PIE the
 * words themselves may be zero in the file; the guest applies these at start. Throws `ElfError`.
 */
export function relativeAddends(file: ElfFile): Map<bigint, bigint> {
  const addends = new Map<bigint, bigint>();
  let read = 0n;
  for (const section of file.sections) {
    if (section.type !== SHT_RELA) continue;
    const what = `the relocations in ${section.name}`;
    file.bytes.slice(section.offset, section.size, what);
    // Thousands of headers may name the same bytes: reading them all would take a small file for ever.
    read += section.size;
    if (read > BigInt(file.bytes.length)) throw new ElfError('malformed', `its relocation sections overlap: they hold ${hex(read)} bytes in a file of ${hex(file.bytes.length)}: link the guest anew`);
    for (let at = section.offset; at + RELA_SIZE <= section.offset + section.size; at += RELA_SIZE) {
      if (Number(file.bytes.u64(at + 8n, what) & 0xffffffffn) !== R_X86_64_RELATIVE) continue;
      addends.set(file.bytes.u64(at, what), file.bytes.u64(at + 16n, what));
    }
  }
  return addends;
}
