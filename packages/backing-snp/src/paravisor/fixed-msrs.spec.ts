import { U64 } from '@paravisor/hcl-protocol';
import { ArchitecturalMsrs, MsrStatus } from '@paravisor/virt-core';
import { describe, expect, it } from 'vitest';
import { snpFixedMsrs } from './fixed-msrs.js';

const { Ok, GeneralProtection } = MsrStatus;
const msrs = new ArchitecturalMsrs({ rdtsc: (out) => void out.setParts(0, 0) }, snpFixedMsrs);
const read = (msr: number): bigint => {
  const out = new U64();
  msrs.read(msr, out);
  return out.toBigInt();
};
const write = (msr: number, value: bigint) => msrs.write(msr, U64.of(value));

describe('MSRs with a fixed value (openvmm, SNP)', () => {
  it.each([
    ['the microcode is newer than any', 0x8b, 0xffffffffn],
    ['MTRRs have no ranges, but write combining', 0xfe, 0x400n],
    ['the default memory type is uncacheable and MTRRs are off', 0x2ff, 0n],
    ['there are no machine-check banks', 0x179, 0n],
    ['IA32_MISC_ENABLE is Intel’s', 0x1a0, 0n],
    ['SYSCFG is 0', 0xc0010010, 0n],
    ['VM_CR is 0', 0xc0010114, 0n],
  ])('%s', (_claim, msr, value) => {
    expect(read(msr)).toBe(value);
  });

  it('MTRRCAP, MCG_CAP, SYSCFG and VM_CR are read-only, MCG_STATUS takes its three bits, the rest anything', () => {
    for (const msr of [0xfe, 0x179, 0xc0010010, 0xc0010114]) expect(write(msr, 0n)).toBe(GeneralProtection);
    expect([write(0x17a, 7n), write(0x17a, 8n)]).toEqual([Ok, GeneralProtection]);
    for (const msr of [0x8b, 0x2ff]) expect(write(msr, -1n)).toBe(Ok);
  });
});
