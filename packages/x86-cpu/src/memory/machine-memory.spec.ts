import { describe, expect, it } from 'vitest';
import { createMachineMemory } from './machine-memory.js';

const options = { contexts: 1, ramBytes: 0x10000, permissionTables: 2, hostPages: 3 };

describe('machine memory', () => {
  it('reads back what was written, bytes and words, across pages', () => {
    const memory = createMachineMemory(options);
    memory.writeRam(0xffe, Uint8Array.of(1, 2, 3, 4));
    const out = new Uint8Array(4);
    memory.readRam(0xffe, out);
    expect([...out]).toEqual([1, 2, 3, 4]);
    expect(memory.readRam32(0xffe)).toBe(0x04030201);
    memory.writeRam32(0xfff, -2);
    expect(memory.readRam8(0xffe)).toBe(1);
    expect(memory.readRam8(0xfff)).toBe(0xfe);
  });

  it('compares and exchanges 1, 2, 4 and 8 bytes', () => {
    const memory = createMachineMemory(options);
    for (const size of [1, 2, 4, 8] as const) {
      memory.writeRam(0x100, new Uint8Array(16));
      memory.writeRam32(0x100, 0x55);
      expect(memory.compareExchangeRam(0x100, size, 0x54, 0, 0x66, 0x77)).toBe(false);
      expect(memory.readRam32(0x100)).toBe(0x55);
      expect(memory.compareExchangeRam(0x100, size, 0x55, 0, 0x66, 0x77)).toBe(true);
      expect(memory.readRam32(0x100)).toBe(0x66);
      expect(memory.readRam32(0x104)).toBe(size === 8 ? 0x77 : 0);
    }
    expect(memory.compareExchangeRam(0x100, 8, 0x66, 0, 0, 0)).toBe(false);
  });

  it('refuses what is not RAM, the last partial word included', () => {
    const memory = createMachineMemory(options);
    expect(() => memory.readRam32(0xfffd)).toThrow(RangeError);
    expect(() => memory.writeRam8(0x10000, 0)).toThrow(RangeError);
    expect(() => memory.readRam8(-1)).toThrow(RangeError);
    expect(() => memory.writeRam(0x8000, new Uint8Array(0x8001))).toThrow(RangeError);
  });

  it('host pages are views that stay, outside guest RAM', () => {
    const memory = createMachineMemory(options);
    memory.hostPage(1).fill(0xaa);
    expect(memory.hostPage(1)[4095]).toBe(0xaa);
    expect(memory.hostPage(0)[4095]).toBe(0);
    expect(memory.hostPage(2)[0]).toBe(0);
    expect(memory.readRam8(0)).toBe(0);
    expect(() => memory.hostPage(3)).toThrow(RangeError);
  });

  it('permissions start complete and are kept by table and page', () => {
    const memory = createMachineMemory(options);
    memory.setPermissions(1, 2, 3, 1);
    expect([1, 2, 4, 5].map((page) => memory.getPermissions(1, page))).toEqual([7, 1, 1, 7]);
    expect(memory.getPermissions(0, 2)).toBe(7);
    expect(() => memory.setPermissions(2, 0, 1, 7)).toThrow(RangeError);
    expect(() => memory.setPermissions(0, 15, 2, 7)).toThrow(RangeError);
  });

  it('is 4 GiB at most', () => {
    expect(() => createMachineMemory({ ...options, ramBytes: 2 ** 32 })).toThrow(RangeError);
    expect(() => createMachineMemory({ ...options, ramBytes: 4095 })).toThrow(RangeError);
  });
});
