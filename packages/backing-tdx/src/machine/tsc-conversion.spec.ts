import { U64 } from '@paravisor/hcl-protocol';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { TscConversion, unscaledTsc } from './tsc-conversion.js';

const u64 = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
/** Ratios from 1/1000 to 1000. */
const multiplier = fc.bigInt({ min: 2n ** 48n / 1000n, max: 2n ** 48n * 1000n });
const low64 = (value: bigint): bigint => BigInt.asUintN(64, value);
const conversionOf = (ratio: bigint, offset: bigint) => new TscConversion({ multiplier: U64.of(ratio), offset: U64.of(offset) });

describe('TSC virtualization (TDX module ABI)', () => {
  it('virtual TSC is (native × multiplier) >> 48 + offset, modulo 2^64', () => {
    fc.assert(
      fc.property(u64, multiplier, u64, (native, ratio, offset) => {
        const out = new U64();
        conversionOf(ratio, offset).toVirtual(U64.of(native), out);
        expect(out.toBigInt()).toBe(low64(((native * ratio) >> 48n) + offset));
      }),
    );
  });

  it('the inverse rounds down, and overflows exactly when (virtual − offset) >> 16 is not below the multiplier', () => {
    fc.assert(
      fc.property(u64, multiplier, u64, (virtual, ratio, offset) => {
        const out = new U64();
        const delta = low64(virtual - offset);
        const fits = conversionOf(ratio, offset).toNative(U64.of(virtual), out);
        expect({ fits, native: fits ? out.toBigInt() : null }).toEqual(delta >> 16n < ratio ? { fits: true, native: (delta << 48n) / ratio } : { fits: false, native: null });
      }),
    );
  });

  it('a native TSC converted there and back is at most the rounding of one virtual tick early', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: 2n ** 52n }), multiplier, (native, ratio) => {
        const out = new U64();
        const conversion = conversionOf(ratio, 0n);
        conversion.toVirtual(U64.of(native), out);
        expect(conversion.toNative(out, out)).toBe(true);
        expect(out.toBigInt()).toBeLessThanOrEqual(native);
        expect(native - out.toBigInt()).toBeLessThanOrEqual(2n ** 48n / ratio + 1n);
      }),
    );
  });

  it('a ratio of one without offset changes nothing, whatever the value', () => {
    fc.assert(
      fc.property(u64, (value) => {
        const conversion = new TscConversion(unscaledTsc);
        const out = U64.of(value);
        conversion.toVirtual(out, out);
        expect(conversion.toNative(out, out)).toBe(true);
        expect(out.toBigInt()).toBe(value);
      }),
    );
  });

  it('a multiplier of 0 is refused', () => {
    expect(() => conversionOf(0n, 0n)).toThrow(RangeError);
  });
});
