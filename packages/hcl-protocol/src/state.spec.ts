import { describe, expect, it } from 'vitest';
import { StateError, U64, restoreBytes, restoreTime, restoreU64, saveBytes, saveTime, saveU64 } from './index.js';

const roundTrip = (bytes: Uint8Array): Uint8Array => {
  const restored = new Uint8Array(bytes.length).fill(0xee);
  restoreBytes(restored, JSON.parse(JSON.stringify(saveBytes(bytes))));
  return restored;
};

describe('saved 64-bit values', () => {
  it('are 0x and sixteen digits, and come back whole', () => {
    for (const [value, text] of [
      [0n, '0x0000000000000000'],
      [0x8000_0000_ffff_fffen, '0x80000000fffffffe'],
      [2n ** 64n - 1n, '0xffffffffffffffff'],
    ] as const) {
      expect(saveU64(U64.of(value))).toBe(text);
      const cell = U64.of(5);
      restoreU64(cell, text);
      expect(cell.toBigInt()).toBe(value);
    }
  });

  it.each(['', '0x0', '0x000000000000000g', '0000000000000000', '0x00000000000000001', '0x000000000000000A'])('%j is none', (text) => {
    expect(() => restoreU64(new U64(), text)).toThrow(StateError);
  });

  it('never is null, which JSON can carry', () => {
    expect(saveTime(Infinity)).toBeNull();
    expect(restoreTime(null)).toBe(Infinity);
    expect(restoreTime(saveTime(0))).toBe(0);
  });
});

describe('saved bytes', () => {
  it('come back whole, whatever their number and wherever the zeros are', () => {
    for (let length = 0; length < 70; length++) {
      const bytes = Uint8Array.from({ length }, (_, index) => (index % 23 < 4 || index % 7 === 0 ? index + 190 : 0));
      expect(roundTrip(bytes)).toEqual(bytes);
    }
  });

  it('every byte value comes back', () => {
    const bytes = Uint8Array.from({ length: 0x3000 }, (_, index) => index ^ (index >> 8));
    expect(roundTrip(bytes)).toEqual(bytes);
  });

  it('long runs of zeros take no room', () => {
    const memory = new Uint8Array(1 << 22);
    memory[0x1000] = 1;
    memory[0x3f0000] = 2;
    expect(saveBytes(memory)).toBe('4194304;4096,AQ;4128768,Ag');
    const restored = roundTrip(memory);
    expect(restored.every((byte, index) => byte === memory[index])).toBe(true);
  });

  it.each(['', '7', '8;', '8;0', '8;0,', '8;0,A', '8;-1,AQ', '8;1.5,AQ', '8;7,AQI', '8;0,A*', '8;0,Aé', '8;4,AQ;3,AQ', '8;4,AQI;5,AQ', '08;0,AQ'])(
    '%j is nothing that was saved of eight bytes',
    (text) => {
      expect(() => restoreBytes(new Uint8Array(8), text)).toThrow(StateError);
    },
  );
});
