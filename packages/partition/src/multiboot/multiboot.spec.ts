import { describe, expect, it } from 'vitest';
import { multibootLoader, MultibootError, readMultibootImage } from './index.js';

const MAGIC = 0x1badb002;
const MIB = 0x100000;

/** A header with flags, and after it the address fields if there are any. */
function header(flags: number, fields: readonly number[] = []): Uint8Array {
  const words = [MAGIC, flags, -(MAGIC + flags), ...fields];
  const view = new DataView(new ArrayBuffer(4 * words.length));
  words.forEach((word, i) => view.setUint32(4 * i, word >>> 0, true));
  return new Uint8Array(view.buffer);
}

interface Segment {
  readonly paddr: number;
  readonly vaddr?: number;
  readonly contents: Uint8Array;
  readonly memsz?: number;
}

/** An ELF file of either class with these segments. */
function elf(wide: boolean, entry: number, segments: readonly Segment[]): Uint8Array {
  const headerBytes = wide ? 64 : 52;
  const programBytes = wide ? 56 : 32;
  const start = headerBytes + segments.length * programBytes;
  const bytes = new Uint8Array(segments.reduce((sum, { contents }) => sum + contents.length, start));
  const view = new DataView(bytes.buffer);
  const word = (at: number, value: number): void => (wide ? view.setBigUint64(at, BigInt(value), true) : view.setUint32(at, value, true));
  bytes.set([0x7f, 0x45, 0x4c, 0x46, wide ? 2 : 1, 1, 1]);
  word(24, entry);
  word(wide ? 32 : 28, headerBytes);
  view.setUint16(wide ? 54 : 42, programBytes, true);
  view.setUint16(wide ? 56 : 44, segments.length, true);
  let offset = start;
  segments.forEach(({ paddr, vaddr = paddr, contents, memsz = contents.length }, i) => {
    const at = headerBytes + i * programBytes;
    view.setUint32(at, 1, true);
    const fields: readonly [number, number][] = wide ? [[8, offset], [16, vaddr], [24, paddr], [32, contents.length], [40, memsz]] : [[4, offset], [8, vaddr], [12, paddr], [16, contents.length], [20, memsz]];
    for (const [field, value] of fields) word(at + field, value);
    bytes.set(contents, offset);
    offset += contents.length;
  });
  return bytes;
}

/** RAM that a loader writes into. */
function load(file: Uint8Array, options: Parameters<typeof multibootLoader>[1] = {}, ramBytes = 4 * MIB) {
  const ram = new Uint8Array(ramBytes);
  const registers = multibootLoader(readMultibootImage(file), options).load({ ramBytes, write: (gpa, bytes) => ram.set(bytes, gpa) });
  return { ram, view: new DataView(ram.buffer), registers };
}

function codeOf(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    if (error instanceof MultibootError) {
      expect(error.message).not.toContain('\n');
      return error.code;
    }
    throw error;
  }
  return 'none';
}

const text = (view: DataView, at: number): string => {
  let found = '';
  for (let i = at; view.getUint8(i) !== 0; i++) found += String.fromCharCode(view.getUint8(i));
  return found;
};

describe('a Multiboot 1 kernel (Multiboot Specification 0.6.96)', () => {
  it.each([false, true])('is loaded by its ELF program headers, 64-bit: %s, zeros behind each segment', (wide) => {
    const kernel = elf(wide, MIB + 12, [{ paddr: MIB, contents: header(0), memsz: 64 }, { paddr: 2 * MIB, contents: Uint8Array.of(1, 2, 3) }]);
    const { ram, registers } = load(kernel);
    expect([...ram.subarray(MIB, MIB + 4)]).toEqual([0x02, 0xb0, 0xad, 0x1b]);
    expect([...ram.subarray(2 * MIB, 2 * MIB + 4)]).toEqual([1, 2, 3, 0]);
    expect(registers.rip).toBe(BigInt(MIB + 12));
  });

  it('starts at the physical place of a virtual entry point', () => {
    const { registers } = load(elf(true, 0x4000_0004, [{ paddr: MIB, vaddr: 0x4000_0000, contents: header(0) }]));
    expect(registers.rip).toBe(BigInt(MIB + 4));
  });

  it('starts in flat 32-bit protected mode, paging and interrupts off, with the magic number and the information in EAX and EBX (3.2)', () => {
    const { registers, view } = load(elf(false, MIB, [{ paddr: MIB, contents: header(0) }]));
    expect([registers.gpr[0], registers.cr0 & 0x8000_0001n, registers.rflags & 0x200n, registers.efer]).toEqual([0x2badb002n, 1n, 0n, 0n]);
    for (const { base, limit, attributes } of registers.segments.slice(0, 6)) expect([base, limit, attributes & 0xf000]).toEqual([0n, 0xffffffff, 0xc000]);
    expect(view.getUint32(Number(registers.gpr[3]), true) & 0b1000101).toBe(0b1000101);
  });

  it('has the interrupt table of a reset, for real mode (SDM volume 3, table 10-1)', () => {
    const { registers } = load(elf(false, MIB, [{ paddr: MIB, contents: header(0) }]));
    expect(registers.idtr).toEqual({ base: 0n, limit: 0xffff });
  });

  it('finds command line, modules on pages of their own, and the memory map', () => {
    const environment = new TextEncoder().encode('NR_CPUS=2\n');
    const { registers, view, ram } = load(elf(false, MIB, [{ paddr: MIB, contents: header(0), memsz: 0x1800 }]), { commandLine: 'kernel test', modules: [{ contents: environment, commandLine: 'env' }] });
    const information = Number(registers.gpr[3]);
    const field = (offset: number): number => view.getUint32(information + offset, true);
    expect(text(view, field(16))).toBe('kernel test');
    expect(field(20)).toBe(1);
    const [start, end, name] = [0, 4, 8].map((offset) => view.getUint32(field(24) + offset, true)) as [number, number, number];
    expect([start % 4096, start >= MIB + 0x1800, end - start, text(view, name)]).toEqual([0, true, environment.length, 'env']);
    expect(ram.subarray(start, end)).toEqual(environment);
    const map: bigint[][] = [];
    for (let at = field(48); at < field(48) + field(44); at += view.getUint32(at, true) + 4) map.push([view.getBigUint64(at + 4, true), view.getBigUint64(at + 12, true), BigInt(view.getUint32(at + 20, true))]);
    expect(map).toEqual([[0n, 0xa0000n, 1n], [0xa0000n, 0x60000n, 2n], [BigInt(MIB), BigInt(3 * MIB), 1n]]);
  });

  it('may lie in low memory: the structures go where it leaves room', () => {
    const contents = new Uint8Array(0x5000).fill(0xcc);
    contents.set(header(0));
    const { ram, registers, view } = load(elf(false, 0x4000, [{ paddr: 0x4000, contents }]), { commandLine: 'low' });
    expect(ram.subarray(0x4000, 0x9000)).toEqual(contents);
    const information = Number(registers.gpr[3]);
    expect([registers.gdtr.base, text(view, view.getUint32(information + 16, true))]).toEqual([0x9000n, 'low']);
  });

  it('without ELF is loaded by the address fields of its header', () => {
    const flags = 1 << 16;
    const kernel = new Uint8Array(64);
    kernel.set(header(flags, [MIB + 8, MIB, 0, MIB + 0x100, MIB + 40]), 8);
    kernel[40] = 0xf4;
    const { ram, registers } = load(kernel);
    expect([ram[MIB + 40], registers.rip]).toEqual([0xf4, BigInt(MIB + 40)]);
  });

  it('is refused with a reason when it is none, is cut off, asks for what there is not, or does not fit', () => {
    const good = elf(false, MIB, [{ paddr: MIB, contents: header(0) }]);
    expect(codeOf(() => readMultibootImage(new Uint8Array(0)))).toBe('not-multiboot');
    expect(codeOf(() => readMultibootImage(new Uint8Array(9000).fill(0x1b)))).toBe('not-multiboot');
    expect(codeOf(() => readMultibootImage(header(1 << 5)))).toBe('unsupported-feature');
    expect(codeOf(() => readMultibootImage(header(0)))).toBe('malformed');
    expect(codeOf(() => readMultibootImage(elf(false, 0, [{ paddr: MIB, contents: header(0) }])))).toBe('malformed');
    expect(codeOf(() => readMultibootImage(elf(false, MIB, [{ paddr: MIB, contents: header(0) }, { paddr: MIB + 4, contents: header(0) }])))).toBe('overlap');
    expect(codeOf(() => load(good, {}, MIB))).toBe('outside-ram');
    expect(codeOf(() => load(elf(false, 0x1000, [{ paddr: 0x1000, contents: header(0), memsz: 0x9f000 }])))).toBe('overlap');
    expect(codeOf(() => load(good, { modules: [{ contents: new Uint8Array(4 * MIB), commandLine: '' }] }))).toBe('outside-ram');
    expect(codeOf(() => load(good))).toBe('none');
  });

  it('never ends in another exception, however its bytes are changed', () => {
    const good = elf(true, MIB, [{ paddr: MIB, contents: header(0) }]);
    for (let at = 0; at < good.length; at++) {
      for (const byte of [0, 0x7f, 0xff]) {
        const file = good.slice();
        file[at] = byte;
        codeOf(() => load(file));
        codeOf(() => load(good.subarray(0, at)));
      }
    }
  });
});
