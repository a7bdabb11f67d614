import { execFileSync } from 'node:child_process';
import { readFileSync, readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const packageFile = (path: string) => fileURLToPath(new URL(`../${path}`, import.meta.url));

const LOAD_ADDRESS = 0x200000;
const RAM_END = 4 * 1024 * 1024;
/** What the loader puts behind the image: start input, six pages of page tables for 4 GiB, the GDT. */
const LOADER_PAGES = 8;

interface Region {
  address: number;
  fileOffset: number;
  fileSize: number;
  memorySize: number;
}

/** The parts of an ELF64 file that the test microkernel protocol speaks of (System V ABI, object files). */
class GuestFile {
  readonly bytes: Buffer;

  constructor(name: string) {
    this.bytes = readFileSync(packageFile(`elf/${name}.elf`));
  }

  u64(offset: number): number {
    return Number(this.bytes.readBigUInt64LE(offset));
  }

  get entry(): number {
    return this.u64(24);
  }

  /** Type and region of each program header. */
  get segments(): (Region & { type: number })[] {
    const table = this.u64(32);
    return Array.from({ length: this.bytes.readUInt16LE(56) }, (_, i) => {
      const at = table + i * 56;
      return {
        type: this.bytes.readUInt32LE(at),
        fileOffset: this.u64(at + 8),
        address: this.u64(at + 24),
        fileSize: this.u64(at + 32),
        memorySize: this.u64(at + 40),
      };
    });
  }

  section(name: string): { offset: number; size: number } {
    const table = this.u64(40);
    const header = (i: number) => table + i * 64;
    const names = this.u64(header(this.bytes.readUInt16LE(62)) + 24);
    for (let i = 0; i < this.bytes.readUInt16LE(60); i++) {
      const nameAt = names + this.bytes.readUInt32LE(header(i));
      if (this.bytes.toString('latin1', nameAt, this.bytes.indexOf(0, nameAt)) === name) {
        return { offset: this.u64(header(i) + 24), size: this.u64(header(i) + 32) };
      }
    }
    throw new Error(`no section ${name}`);
  }

  fileOffsetOf(address: number, length: number): number {
    const segment = this.segments.find((s) => address >= s.address && address + length <= s.address + s.fileSize);
    if (!segment) throw new Error(`0x${address.toString(16)} is not in the file`);
    return segment.fileOffset + (address - segment.address);
  }

  /** The 32-byte descriptors of `tmk_tests` (openvmm, tmk_protocol). */
  get tests(): { name: string; entry: number; flags: number }[] {
    const { offset, size } = this.section('tmk_tests');
    expect(size % 32).toBe(0);
    return Array.from({ length: size / 32 }, (_, i) => {
      const at = offset + i * 32;
      const length = this.u64(at + 8);
      const name = this.fileOffsetOf(this.u64(at), length);
      return { name: this.bytes.toString('latin1', name, name + length), entry: this.u64(at + 16), flags: this.u64(at + 24) };
    });
  }
}

/** The order of a guest's sources, as build.sh has it. */
const orderOf = (guest: string): string[] => new RegExp(`^${guest}_files='([^']+)'`, 'm').exec(readFileSync(packageFile('build.sh'), 'utf8'))![1]!.split(' ');

/** The tests of a guest, in the order of its sources. */
function testsOf(guest: string): string[] {
  const order = orderOf(guest);
  expect(readdirSync(packageFile(`src/${guest}`)).filter((file) => file.endsWith('.c')).toSorted()).toEqual(order.map((name) => `${name}.c`).toSorted());
  const sources = order.map((name) => readFileSync(packageFile(`src/${guest}/${name}.c`), 'utf8')).join('');
  const definition = new RegExp(String.raw`^(?:TMK_TEST\(${guest}, |TMK_TEST_WITH_FLAGS\(${guest}, |HOSTILE_FAULT\()(\w+)`, 'gm');
  return [...sources.matchAll(definition)].map(([, name]) => `${guest}::${name}`);
}

/** The guests of the common shape: static, at 2 MiB, with the library. */
const guests = Object.fromEntries(
  readdirSync(packageFile('elf'))
    .map((file) => file.replace('.elf', ''))
    .filter((name) => name !== 'pie')
    .map((name) => [name, testsOf(name)]),
);

/** Tests by the tables of the README, whose first column names them. */
const documented = new Set([...readFileSync(packageFile('README.md'), 'utf8').matchAll(/^\| (`[a-z]+::[^|]+) \|/gm)].flatMap(([, names]) => [...names!.matchAll(/`([^`]+)`/g)].map(([, name]) => name)));

it('the README has every test of every guest, and no other', () => {
  const all = [...Object.values(guests).flat(), ...testsOf('pie')];
  expect([...documented].toSorted()).toEqual(all.toSorted());
});

describe.each(Object.entries(guests))('%s.elf', (guestName, testNames) => {
  const guest = new GuestFile(guestName);

  it('is a static little-endian ELF64 for x86-64 that starts at 2 MiB (tmk_vmm)', () => {
    expect([...guest.bytes.subarray(0, 6)]).toEqual([0x7f, 0x45, 0x4c, 0x46, 2, 1]);
    expect(guest.bytes.readUInt16LE(16)).toBe(2); // ET_EXEC
    expect(guest.bytes.readUInt16LE(18)).toBe(62); // EM_X86_64
    expect(guest.entry).toBe(LOAD_ADDRESS);
    expect(guest.segments.map((s) => s.type)).toEqual([1, 1]); // PT_LOAD, and nothing for a dynamic loader
  });

  it('fits into 4 MiB of RAM, with what the loader puts behind it', () => {
    let end = LOAD_ADDRESS;
    for (const segment of guest.segments) {
      expect(segment.address).toBeGreaterThanOrEqual(end);
      expect(segment.address % 4096).toBe(0);
      end = segment.address + segment.memorySize;
    }
    expect(end + LOADER_PAGES * 4096).toBeLessThan(RAM_END);
  });

  it('names its tests in order, each with an entry point of its own in the image', () => {
    expect(guest.tests.map((t) => t.name)).toEqual(testNames);
    for (const test of guest.tests) expect(() => guest.fileOffsetOf(test.entry, 1)).not.toThrow();
    expect(new Set(guest.tests.map((t) => t.entry)).size).toBe(testNames.length);
  });

  // What hostile.elf expects is in the README's table, which hostile.spec.ts of tmk-vmm reads.
  // Most tests of hostile.elf are expected to fault; its README table says which, and tmk-vmm's hostile.spec.ts holds it to that.
  it.runIf(guestName !== 'hostile')('expects to fail only where the name says so', () => {
    for (const test of guest.tests) expect(test.flags).toBe(test.name.endsWith('::expected_failure') ? 1 : 0);
  });
});

describe('pie.elf', () => {
  const guest = new GuestFile('pie');
  const { offset, size } = guest.section('tmk_tests');

  it('is a static PIE linked at 0: no interpreter, nothing loaded at a fixed address (openvmm, tmk_vmm)', () => {
    expect(guest.bytes.readUInt16LE(16)).toBe(3); // ET_DYN
    const types = guest.segments.map(({ type }) => type);
    expect(types).not.toContain(3); // PT_INTERP
    expect(types).toContain(2); // PT_DYNAMIC
    expect(guest.segments.find(({ type }) => type === 1)!.address).toBe(0);
  });

  it('has descriptors whose name address and entry point are zero in the file (tmk_protocol)', () => {
    expect(size / 32).toBe(4);
    for (let at = offset; at < offset + size; at += 32) {
      expect([guest.u64(at), guest.u64(at + 16)]).toEqual([0, 0]);
      expect(guest.u64(at + 8)).toBeGreaterThan(0);
    }
  });

  it('needs no relocation but R_X86_64_RELATIVE', () => {
    const relocations = guest.section('.rela.dyn');
    expect(relocations.size / 24).toBeGreaterThanOrEqual(8);
    for (let at = relocations.offset; at < relocations.offset + relocations.size; at += 24) expect(guest.u64(at + 8)).toBe(8);
  });
});

it('the committed files are what the sources build, where their compiler is installed', () => {
  const output = execFileSync('sh', [packageFile('build.sh'), '--check'], { encoding: 'utf8' });
  for (const name of [...Object.keys(guests), 'pie', 'multiboot', 'multiboot64', 'multiboot32', 'linux']) expect(output).toMatch(new RegExp(`/${name}\\.elf is what src/ builds|check skipped`));
});
