import { describe, expect, it } from 'vitest';
import { ElfError } from '../elf/elf-error.js';
import type { TmkImage } from '../elf/tmk-image.js';
import { tmkLoader } from './tmk-loader.js';

const image: TmkImage = {
  entry: 0x200010,
  segments: [{ gpa: 0x200000, memoryBytes: 0x1800, contents: Uint8Array.of(0x0f, 0x0b) }],
  tests: [],
  end: 0x202000,
};

function loadInto(ramBytes: number, testIndex = 3) {
  const ram = new Uint8Array(ramBytes);
  const registers = tmkLoader(image, testIndex).load({ ramBytes, write: (gpa, bytes) => ram.set(bytes, gpa) });
  return { registers, memory: new DataView(ram.buffer) };
}

/** Walks 4-level tables in `memory` (SDM volume 3, 4.5); null when a level is not present. */
function translate(memory: DataView, cr3: bigint, linear: bigint): bigint | null {
  let table = cr3;
  for (const shift of [39n, 30n, 21n, 12n]) {
    const entry = memory.getBigUint64(Number(table + 8n * ((linear >> shift) & 511n)), true);
    if ((entry & 1n) === 0n) return null;
    table = entry & 0x000ffffffffff000n;
    if ((entry & 0x80n) !== 0n) return table | (linear & ((1n << shift) - 1n));
  }
  return table | (linear & 0xfffn);
}

describe('tmkLoader', () => {
  it('starts the VP as the protocol says: RIP, RSI at the start input, CR0, CR4, EFER', () => {
    const { registers } = loadInto(4 << 20);
    expect(registers).toMatchObject({ rip: 0x200010n, cr0: 0x80000001n, cr4: 0x20n, efer: 0xd01n });
    expect(registers.gpr[6]).toBe(0x202000n);
    expect(registers.segments.map(({ selector }) => selector)).toEqual([0x10, 8, 0x10, 0x10, 0x10, 0x10, 0, 0]);
  });

  it('puts the image, then the start input with command address and test index, then tables and GDT', () => {
    const { registers, memory } = loadInto(4 << 20);
    expect(memory.getUint16(0x200000, true)).toBe(0x0b0f);
    expect(memory.getBigUint64(0x202000, true)).toBe(0xffff0000n);
    expect(memory.getBigUint64(0x202008, true)).toBe(3n);
    expect(registers.cr3).toBe(0x203000n);
    expect(registers.gdtr).toEqual({ base: 0x209000n, limit: 23 });
    expect(memory.getBigUint64(0x209008, true) >> 53n & 1n, 'the L bit of the code descriptor').toBe(1n);
  });

  it('maps exactly the first 4 GiB to themselves', () => {
    const { registers, memory } = loadInto(4 << 20);
    for (const linear of [0n, 0x200123n, 0x3fffffffn, 0x40000000n, 0xfee00020n, 0xffff0000n, 0xffffffffn]) {
      expect(translate(memory, registers.cr3, linear)).toBe(linear);
    }
    expect(translate(memory, registers.cr3, 0x100000000n)).toBeNull();
  });

  it('refuses an image that leaves RAM, and one whose tables would', () => {
    for (const ramBytes of [0x200000, 0x201000, 0x202000, 0x209fff]) {
      expect(() => loadInto(ramBytes)).toThrow(expect.objectContaining({ name: ElfError.name, code: 'segment-outside-ram' }));
    }
    expect(() => loadInto(0x20a000)).not.toThrow();
  });
});
