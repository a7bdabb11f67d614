import { describe, expect, it } from 'vitest';
import { bytesAt, defineLayout, structAt, u16At, u32At, u64At, u8At, viewOf } from './layout.js';
import { U64 } from './u64.js';

describe('defineLayout', () => {
  it('refuses overlaps, gaps and a wrong size, naming the field', () => {
    expect(() => defineLayout({ name: 's', size: 8, fields: { a: u32At(0), b: u32At(2) } })).toThrow('s.b is at 2, the field before it ends at 4');
    expect(() => defineLayout({ name: 's', size: 12, fields: { a: u32At(0), b: u32At(8) } })).toThrow('s.b is at 8');
    expect(() => defineLayout({ name: 's', size: 16, fields: { a: u64At(0) } })).toThrow('s ends at 8, its size is 16');
  });
});

describe('viewOf', () => {
  const inner = defineLayout({ name: 'inner', size: 8, fields: { low: u16At(0), pad: bytesAt(2, 6) } });
  const layout = defineLayout({ name: 'outer', size: 24, fields: { byte: u8At(0), pad: bytesAt(1, 3), word: u32At(4), wide: u64At(8), inner: structAt(16, inner) } });

  it('reads and writes little-endian in place', () => {
    const bytes = new Uint8Array(32);
    const view = viewOf(layout, bytes, 8);
    view.byte = 0x1ff;
    view.word = 0x11223344;
    view.wide.set(U64.of(0x8877665544332211n));
    view.inner.low = 0xabcd;
    expect([...bytes.subarray(8, 26)]).toEqual([0xff, 0, 0, 0, 0x44, 0x33, 0x22, 0x11, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0xcd, 0xab]);
    expect(new U64().set(view.wide).toBigInt()).toBe(0x8877665544332211n);
  });

  it('refuses bytes that are too short or misaligned', () => {
    expect(() => viewOf(layout, new Uint8Array(23))).toThrow('outer needs 24 bytes at 0, there are 23');
    expect(() => viewOf(layout, new Uint8Array(32), 4)).toThrow('8-byte aligned');
  });
});
