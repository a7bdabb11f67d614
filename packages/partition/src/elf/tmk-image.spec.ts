import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ElfError } from './elf-error.js';
import { readTmk } from './tmk-image.js';

interface Load {
  offset: bigint;
  address: bigint;
  fileSize: bigint;
  memorySize: bigint;
}

const NAME = 'suite::one';
const CODE_OFFSET = 0x100n;
const TESTS_OFFSET = 0x140n;
const RELA_OFFSET = 0x160n;
const CODE_SIZE = 0x80n;

/**
 * A small test microkernel: one segment at file offset 0x100 with the name, at +0x20 nothing, at +0x40 the only descriptor; section headers at the
 * file's end. `patch` changes the finished bytes.
 */
function smallTmk(options: { type?: number; base?: bigint; load?: Partial<Load>; second?: Load; relocated?: boolean; patch?: (view: DataView) => void } = {}): Uint8Array {
  const base = options.base ?? 0x200000n;
  const sectionNames = '\0tmk_tests\0.rela.dyn\0.shstrtab\0';
  const namesOffset = 0x200n;
  const sectionTable = 0x240n;
  const bytes = new Uint8Array(Number(sectionTable) + 4 * 64);
  const view = new DataView(bytes.buffer);
  const text = (at: bigint, value: string): void => void new TextEncoder().encodeInto(value, bytes.subarray(Number(at)));
  const u64 = (at: bigint, value: bigint): void => view.setBigUint64(Number(at), value, true);
  const u16 = (at: number, value: number): void => view.setUint16(at, value, true);

  bytes.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  u16(16, options.type ?? 2);
  u16(18, 62);
  u64(24n, base);
  u64(32n, 64n);
  u64(40n, sectionTable);
  u16(52, 64);
  u16(54, 56);
  u16(56, options.second ? 2 : 1);
  u16(58, 64);
  u16(60, 4);
  u16(62, 3);

  const load: Load = { offset: CODE_OFFSET, address: base, fileSize: CODE_SIZE, memorySize: 0x1000n, ...options.load };
  for (const [index, segment] of [load, ...(options.second ? [options.second] : [])].entries()) {
    const at = 64n + BigInt(index * 56);
    view.setUint32(Number(at), 1, true);
    u64(at + 8n, segment.offset);
    u64(at + 16n, segment.address);
    u64(at + 24n, segment.address);
    u64(at + 32n, segment.fileSize);
    u64(at + 40n, segment.memorySize);
  }

  text(CODE_OFFSET, NAME);
  const nameAddress = base;
  const entryPoint = base + 0x20n;
  u64(TESTS_OFFSET, options.relocated ? 0n : nameAddress);
  u64(TESTS_OFFSET + 8n, BigInt(NAME.length));
  u64(TESTS_OFFSET + 16n, options.relocated ? 0n : entryPoint);
  u64(TESTS_OFFSET + 24n, 1n);
  for (const [index, [field, addend]] of [[0n, nameAddress], [16n, entryPoint]].entries()) {
    const at = RELA_OFFSET + BigInt(index * 24);
    if (!options.relocated) break;
    u64(at, base + (TESTS_OFFSET - CODE_OFFSET) + field!);
    u64(at + 8n, 8n);
    u64(at + 16n, addend!);
  }

  text(namesOffset, sectionNames);
  const section = (index: number, name: string, type: number, address: bigint, offset: bigint, size: bigint): void => {
    const at = sectionTable + BigInt(index * 64);
    view.setUint32(Number(at), sectionNames.indexOf(name), true);
    view.setUint32(Number(at) + 4, type, true);
    u64(at + 16n, address);
    u64(at + 24n, offset);
    u64(at + 32n, size);
  };
  section(1, 'tmk_tests', 1, base + (TESTS_OFFSET - CODE_OFFSET), TESTS_OFFSET, 32n);
  section(2, '.rela.dyn', options.relocated ? 4 : 0, 0n, RELA_OFFSET, 48n);
  section(3, '.shstrtab', 3, 0n, namesOffset, BigInt(sectionNames.length));
  options.patch?.(view);
  return bytes;
}

/** The code with which a file is refused; fails when it is accepted, or refused with anything but one `ElfError` line. */
function refusal(file: Uint8Array): string {
  try {
    readTmk(file);
  } catch (error) {
    expect(error).toBeInstanceOf(ElfError);
    expect((error as ElfError).message).not.toContain('\n');
    return (error as ElfError).code;
  }
  throw new Error('the file was accepted');
}

const TESTS_SECTION_HEADER = 0x240 + 64;

describe('readTmk', () => {
  it('reads an executable at its own addresses, with its tests', () => {
    const image = readTmk(smallTmk());
    expect(image.tests).toEqual([{ name: NAME, expectedFailure: true, linuxHostOnly: false, entryPoint: 0x200020 }]);
    expect(image).toMatchObject({ entry: 0x200000, end: 0x201000, segments: [{ gpa: 0x200000, memoryBytes: 0x1000 }] });
    expect(image.segments[0]!.contents.length).toBe(Number(CODE_SIZE));
  });

  it('moves a static PIE to 0x200000 and takes descriptor fields that are zero in the file from R_X86_64_RELATIVE addends (tmk_protocol)', () => {
    const image = readTmk(smallTmk({ type: 3, base: 0n, relocated: true }));
    expect(image.entry).toBe(0x200000);
    expect(image.segments[0]!.gpa).toBe(0x200000);
    expect(image.tests).toEqual([{ name: NAME, expectedFailure: true, linuxHostOnly: false, entryPoint: 0x200020 }]);
  });

  it('reads the committed guests', () => {
    const guest = new URL('../../../tmk-guests/elf/basics.elf', import.meta.url);
    const { tests } = readTmk(readFileSync(guest));
    expect(tests.map(({ name }) => name)).toContain('basics::boot');
    expect(tests.filter(({ expectedFailure }) => expectedFailure).map(({ name }) => name)).toEqual(['basics::expected_failure']);
  });

  it.each<[string, Uint8Array]>([
    ['empty', new Uint8Array()],
    ['not-elf', new TextEncoder().encode('#!/bin/sh\nexit 1\n')],
    ['elf32', smallTmk({ patch: (view) => view.setUint8(4, 1) })],
    ['big-endian', smallTmk({ patch: (view) => view.setUint8(5, 2) })],
    ['wrong-machine', smallTmk({ patch: (view) => view.setUint16(18, 183, true) })],
    ['wrong-type', smallTmk({ type: 1 })],
    ['malformed', smallTmk({ patch: (view) => view.setUint16(54, 32, true) })],
    ['malformed', smallTmk({ load: { memorySize: 0x10n } })],
    ['truncated', smallTmk({ patch: (view) => view.setBigUint64(32, 0xffffffffffffff00n, true) })],
    ['truncated', smallTmk({ patch: (view) => view.setBigUint64(40, 0xffffffffffffff00n, true) })],
    ['malformed', smallTmk({ patch: (view) => view.setUint16(62, 9, true) })],
    ['no-segments', smallTmk({ patch: (view) => view.setUint32(64, 2, true) })],
    ['segment-outside-file', smallTmk({ load: { offset: 0x10000n } })],
    ['segment-outside-file', smallTmk({ load: { offset: 0xffffffffffffffc0n } })],
    ['segment-wraps', smallTmk({ load: { address: 0xfffffffffffff000n, memorySize: 0x2000n } })],
    ['segment-outside-ram', smallTmk({ load: { address: 0xfffffffffffff000n, memorySize: 0x1000n } })],
    ['segments-overlap', smallTmk({ second: { offset: CODE_OFFSET, address: 0x200800n, fileSize: 0x10n, memorySize: 0x1000n } })],
    ['entry-outside-image', smallTmk({ patch: (view) => view.setBigUint64(24, 0x300000n, true) })],
    ['no-tmk-tests', smallTmk({ patch: (view) => view.setUint32(TESTS_SECTION_HEADER, 0, true) })],
    ['no-tmk-tests', smallTmk({ patch: (view) => view.setUint16(60, 0, true) })],
    ['bad-tmk-tests', smallTmk({ patch: (view) => view.setBigUint64(TESTS_SECTION_HEADER + 32, 33n, true) })],
    ['bad-tmk-tests', smallTmk({ patch: (view) => view.setBigUint64(TESTS_SECTION_HEADER + 32, 0n, true) })],
    ['malformed', smallTmk({ patch: (view) => view.setUint32(TESTS_SECTION_HEADER + 4, 8, true) })],
    ['truncated', smallTmk({ patch: (view) => view.setBigUint64(TESTS_SECTION_HEADER + 24, 0x7fffffffffffffffn, true) })],
    ['name-outside-file', smallTmk({ patch: (view) => view.setBigUint64(Number(TESTS_OFFSET), 0x200f00n, true) })],
    ['name-outside-file', smallTmk({ patch: (view) => view.setBigUint64(Number(TESTS_OFFSET) + 8, 0xffffffffffffffffn, true) })],
  ])('refuses with %s and one line', (code, file) => {
    expect(refusal(file)).toBe(code);
  });

  it('accepts segments that touch without overlapping', () => {
    const second = { offset: CODE_OFFSET, address: 0x201000n, fileSize: 0x10n, memorySize: 0x1000n };
    expect(readTmk(smallTmk({ second })).end).toBe(0x202000);
  });

  it('refuses a file cut off at any length', () => {
    const whole = smallTmk({ type: 3, base: 0n, relocated: true });
    for (let length = 0; length < whole.length; length++) {
      expect(['empty', 'truncated', 'segment-outside-file']).toContain(refusal(whole.slice(0, length)));
    }
  });

  it('refuses a name that is half the file: thousands of descriptors may share it', () => {
    const file = new Uint8Array(0x10000);
    file.set(smallTmk({ load: { fileSize: 0x8000n, memorySize: 0x8000n }, patch: (view) => view.setBigUint64(Number(TESTS_OFFSET) + 8, 0x1001n, true) }));
    expect(refusal(file)).toBe('bad-tmk-tests');
  });

  it('refuses relocation sections that overlap: reading one table thousands of times takes for ever', () => {
    const file = smallTmk({ type: 3, base: 0n, relocated: true });
    const view = new DataView(file.buffer);
    for (const header of [0x240, 0x240 + 2 * 64]) {
      view.setUint32(header + 4, 4, true);
      view.setBigUint64(header + 24, 0n, true);
      view.setBigUint64(header + 32, BigInt(file.length), true);
    }
    expect(refusal(file)).toBe('malformed');
  });

  it('refuses changed bytes with an ElfError or reads them, and throws nothing else', () => {
    const change = fc.tuple(fc.nat(0x33f), fc.nat(255));
    fc.assert(
      fc.property(fc.array(change, { minLength: 1, maxLength: 8 }), fc.boolean(), (changes, relocated) => {
        const file = smallTmk({ type: relocated ? 3 : 2, relocated });
        for (const [at, value] of changes) file[at] = value;
        try {
          return readTmk(file).tests.length > 0;
        } catch (error) {
          return error instanceof ElfError;
        }
      }),
      { numRuns: 2000 },
    );
  });
});
