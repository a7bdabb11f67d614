/** A test microkernel as its ELF file describes it (openvmm `tmk_vmm`, `load.rs`; `tmk_protocol`). */
import { TMK_LOAD_ADDRESS, TMK_TESTS_SECTION, TmkTestFlag, tmkTestDescriptorLayout } from '@paravisor/hcl-protocol';
import { decodeUtf8 } from '../text/utf8.js';
import { ElfError, hex } from './elf-error.js';
import { readElf, relativeAddends, sectionContents } from './elf-file.js';
import type { ElfFile, ProgramSegment, Section } from './elf-file.js';

/** A piece of guest memory: `contents`, then zeros up to `memoryBytes`. */
export interface ImageSegment {
  readonly gpa: number;
  readonly memoryBytes: number;
  readonly contents: Uint8Array;
}

/** One entry of the `tmk_tests` section. */
export interface TmkTest {
  readonly name: string;
  readonly expectedFailure: boolean;
  readonly linuxHostOnly: boolean;
  /** Guest physical address of the test's function; the guest itself calls it. */
  readonly entryPoint: number;
}

/** A test microkernel ready to be loaded. Addresses are guest physical, exact numbers. */
export interface TmkImage {
  readonly entry: number;
  readonly segments: readonly ImageSegment[];
  readonly tests: readonly TmkTest[];
  /** First page boundary after the image. */
  readonly end: number;
}

const PAGE = 4096n;
const TWO_64 = 1n << 64n;
/** No x86-64 processor has physical addresses of more than 52 bits (SDM volume 3, 4.1.4). */
const PHYSICAL_LIMIT = 1n << 52n;

/**
 * Reads the ELF file of a test microkernel. An executable (ET_EXEC) keeps its physical addresses; a static PIE (ET_DYN) is moved so that its first
 * page is at 0x200000. Throws `ElfError` with a one-line message for any file that is not a usable one, whatever its bytes.
 */
export function readTmk(file: Uint8Array): TmkImage {
  const elf = readElf(file);
  const bias = elf.movable ? BigInt(TMK_LOAD_ADDRESS) - pageOf(lowestAddress(elf.segments)) : 0n;
  const segments = placeSegments(elf, bias);
  const entry = elf.entry + bias;
  const entryIsLoaded = segments.some((segment) => entry >= BigInt(segment.gpa) && entry < BigInt(segment.gpa + segment.memoryBytes));
  if (!entryIsLoaded) throw new ElfError('entry-outside-image', `its entry point ${hex(elf.entry)} is in no segment: link the guest with an entry symbol (ld -e)`);
  const end = segments.reduce((highest, segment) => Math.max(highest, segment.gpa + segment.memoryBytes), 0);
  return { entry: Number(entry), segments, tests: readTests(elf, bias), end: Math.ceil(end / Number(PAGE)) * Number(PAGE) };
}

const pageOf = (address: bigint): bigint => address - (address % PAGE);

function lowestAddress(segments: readonly ProgramSegment[]): bigint {
  return segments.reduce((lowest, { virtualAddress }) => (virtualAddress < lowest ? virtualAddress : lowest), segments[0]!.virtualAddress);
}

function placeSegments(elf: ElfFile, bias: bigint): ImageSegment[] {
  const placed = elf.segments.map((segment) => {
    const linked = elf.movable ? segment.virtualAddress : segment.physicalAddress;
    if (linked + segment.memorySize > TWO_64) {
      throw new ElfError('segment-wraps', `its segment at ${hex(linked)} of ${hex(segment.memorySize)} bytes wraps around the address space: link the guest at 2 MiB`);
    }
    const gpa = linked + bias;
    if (gpa + segment.memorySize > PHYSICAL_LIMIT) {
      throw new ElfError('segment-outside-ram', `its segment at ${hex(linked)} of ${hex(segment.memorySize)} bytes lies beyond any physical address: link the guest at 2 MiB`);
    }
    return { gpa: Number(gpa), memoryBytes: Number(segment.memorySize), contents: segment.contents };
  });
  const ascending = placed.toSorted((a, b) => a.gpa - b.gpa);
  for (let i = 1; i < ascending.length; i++) {
    const [lower, upper] = [ascending[i - 1]!, ascending[i]!];
    if (lower.gpa + lower.memoryBytes > upper.gpa) {
      throw new ElfError('segments-overlap', `its segments at ${hex(lower.gpa)} and ${hex(upper.gpa)} overlap: link the guest so that they do not`);
    }
  }
  return placed;
}

function readTests(elf: ElfFile, bias: bigint): TmkTest[] {
  const section = elf.sections.find(({ name }) => name === TMK_TESTS_SECTION);
  if (!section) throw new ElfError('no-tmk-tests', `it has no section ${TMK_TESTS_SECTION}: it is no test microkernel, or it was stripped of its tests`);
  const { size } = tmkTestDescriptorLayout;
  const contents = sectionContents(elf, section);
  if (contents.length === 0) throw new ElfError('bad-tmk-tests', `its section ${TMK_TESTS_SECTION} is empty: define at least one test`);
  if (contents.length % size !== 0) {
    throw new ElfError('bad-tmk-tests', `its section ${TMK_TESTS_SECTION} is ${contents.length} bytes long, not a multiple of ${size}: every descriptor takes ${size} bytes`);
  }
  const addends = elf.movable ? relativeAddends(elf) : new Map<bigint, bigint>();
  return Array.from({ length: contents.length / size }, (_, index) => readTest(elf, section, addends, index, bias));
}

function readTest(elf: ElfFile, section: Section, addends: ReadonlyMap<bigint, bigint>, index: number, bias: bigint): TmkTest {
  const { size, fields } = tmkTestDescriptorLayout;
  const start = BigInt(index * size);
  const word = (field: { readonly offset: number }): bigint => {
    const at = start + BigInt(field.offset);
    const stored = elf.bytes.u64(section.offset + at, `test ${index} of section ${section.name}`);
    return stored === 0n ? (addends.get(section.address + at) ?? 0n) : stored;
  };
  const flags = word(fields.flags);
  return {
    name: decodeUtf8(nameBytes(elf, word(fields.nameAddress), word(fields.nameLength), index)),
    expectedFailure: (flags & BigInt(TmkTestFlag.ExpectedFailure)) !== 0n,
    linuxHostOnly: (flags & BigInt(TmkTestFlag.LinuxHostOnly)) !== 0n,
    entryPoint: Number(word(fields.entryPoint) + bias),
  };
}

/** Longer names are no names: thousands of descriptors may share one long text. */
const NAME_LIMIT = 4096n;

/** A name is somewhere in the image, at an address as linked; only bytes that the file holds can be one. */
function nameBytes(elf: ElfFile, address: bigint, length: bigint, index: number): Uint8Array {
  for (const { virtualAddress, contents } of elf.segments) {
    const offset = address - virtualAddress;
    if (offset < 0n || offset + length > BigInt(contents.length)) continue;
    if (length > NAME_LIMIT) throw new ElfError('bad-tmk-tests', `the name of test ${index} is ${length} bytes long, more than ${NAME_LIMIT}: the descriptors are not those the guest was built with`);
    return contents.subarray(Number(offset), Number(offset + length));
  }
  throw new ElfError('name-outside-file', `the name of test ${index} is at ${hex(address)} with ${length} bytes, which no segment holds in the file: link the guest with its read-only data`);
}
