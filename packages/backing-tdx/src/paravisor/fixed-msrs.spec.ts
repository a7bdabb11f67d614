import { U64 } from '@paravisor/hcl-protocol';
import { ArchitecturalMsrs, MsrStatus } from '@paravisor/virt-core';
import { describe, expect, it } from 'vitest';
import { tdxFixedMsrs } from './fixed-msrs.js';

const { Ok, GeneralProtection } = MsrStatus;
const msrs = new ArchitecturalMsrs({ rdtsc: (out) => void out.setParts(0, 0) }, tdxFixedMsrs);
const read = (msr: number): bigint => {
  const out = new U64();
  msrs.read(msr, out);
  return out.toBigInt();
};
const write = (msr: number, value: bigint) => msrs.write(msr, U64.of(value));

describe('MSRs with a fixed value (openvmm, TDX)', () => {
  it.each([
    ['feature control is locked', 0x3a, 1n],
    ['the microcode is newer than any', 0x8b, 0xffffffffn],
    ['MTRRs have no ranges, but write combining', 0xfe, 0x400n],
    ['the default memory type is uncacheable and MTRRs are off', 0x2ff, 0n],
    ['there are no machine-check banks', 0x179, 0n],
    ['IA32_MISC_ENABLE is as Hyper-V has it', 0x1a0, 0x851809n],
    ['the platform is 0', 0x17, 0n],
  ])('%s', (_claim, msr, value) => {
    expect(read(msr)).toBe(value);
    expect(write(msr, 0n)).toBe(Ok);
    expect(read(msr)).toBe(value);
  });

  it('the microcode takes only a zero, MCG_STATUS only its three bits; the rest takes anything', () => {
    expect([write(0x8b, 1n), write(0x8b, 1n << 40n), write(0x17a, 7n), write(0x17a, 8n)]).toEqual([GeneralProtection, GeneralProtection, Ok, GeneralProtection]);
    for (const msr of [0xfe, 0x179, 0x1a0, 0x2ff]) expect(write(msr, -1n)).toBe(Ok);
  });
});
