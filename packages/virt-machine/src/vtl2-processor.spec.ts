import { HvMsr, U64 } from '@paravisor/hcl-protocol';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Vtl2Processor } from './vtl2-processor.js';

describe("VTL2's own processor", () => {
  it('counts reference time as (tsc × floor(10^7 × 2^64 / hz)) >> 64 (TLFS), for slow counters too', () => {
    const out = new U64();
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 10_000_000_000 }), fc.integer({ min: 0, max: 2 ** 50 }), (hz, ticks) => {
        new Vtl2Processor('intel', hz).referenceTime(ticks, out);
        expect(out.toBigInt()).toBe(BigInt.asUintN(64, (BigInt(ticks) * ((10_000_000n << 64n) / BigInt(hz))) >> 64n));
      }),
    );
  });

  it.each([2_000_000_000, 2_100_000_123, 25_000_000, 3_999_999_999])('gives %d Hz in CPUID 0x15 to within 12.5 MHz', (tscHz) => {
    const out = new Int32Array(4);
    new Vtl2Processor('intel', tscHz).cpuid(0x15, 0, out);
    const [denominator, numerator, crystal] = out;
    expect(Math.abs((crystal! * numerator!) / denominator! - tscHz)).toBeLessThanOrEqual(12_500_000);
  });

  it('has CPUID leaf 0x15 within its maximum leaf on Intel', () => {
    const out = new Int32Array(4);
    new Vtl2Processor('intel', 2_000_000_000).cpuid(0, 0, out);
    expect(out[0]).toBeGreaterThanOrEqual(0x15);
  });

  it('reads its TSC and the synthetic MSRs, and no other', () => {
    const processor = new Vtl2Processor('amd', 2_000_000_000);
    const out = new U64();
    expect(processor.readMsr(0x10, 3, 12345, out)).toBe(true);
    expect(out.toNumber()).toBe(12345);
    expect(processor.readMsr(HvMsr.VpIndex, 3, 12345, out)).toBe(true);
    expect(out.toNumber()).toBe(3);
    expect(processor.readMsr(HvMsr.TimeRefCount, 3, 2_000_001_000, out)).toBe(true);
    expect(out.toNumber()).toBe(10_000_004);
    expect(processor.readMsr(0xc0000080, 3, 0, out)).toBe(false);
  });
});

it.each(['intel', 'amd'] as const)('%s: the machine adds local APIC, machine checks and MTRRs to leaf 1, and on AMD to leaf 0x80000001', (vendor) => {
  const processor = new Vtl2Processor(vendor, 2_000_000_000);
  const edx = (leaf: number): number => {
    const out = new Int32Array(4);
    processor.cpuid(leaf, 0, out);
    return out[3]! & ((1 << 7) | (1 << 9) | (1 << 12) | (1 << 14));
  };
  expect([edx(1), edx(0x80000001), edx(7)]).toEqual([0x5280, vendor === 'amd' ? 0x5280 : 0, 0]);
});
