import { describe, expect, it } from 'vitest';
import { ScriptedMachine, TSC_HZ } from '../../test/scripted-partition.js';
import { StartupError } from '../contract/index.js';
import { TSC_FREQUENCY_TOLERANCE_HZ, tscFrequencyOf } from './index.js';

/** Leaf 15H saying `hz` with a 25 MHz crystal. */
const leaf15 = (hz: number): readonly [number, number, number, number] => [25_000_000, hz, 25_000_000, 0];

/** The stable code of the error that starting at these frequencies ends with, or null. */
function startupCode(isolation: string, adjust: (machine: ScriptedMachine) => void): string | null {
  const machine = new ScriptedMachine();
  machine.vp.cpuidLeaves.set(0x15, leaf15(TSC_HZ));
  adjust(machine);
  try {
    tscFrequencyOf(machine.vp, isolation);
    return null;
  } catch (error) {
    if (!(error instanceof StartupError)) throw error;
    return error.code;
  }
}

describe('the TSC frequency (openvmm start-up, PR 2483)', () => {
  it('is what the host says in MSR 0x40000022', () => {
    expect(tscFrequencyOf(new ScriptedMachine().vp, 'snp')).toBe(TSC_HZ);
  });

  it('under TDX may differ from CPUID leaf 0x15 by 12.5 MHz and no more, either way', () => {
    for (const sign of [-1, 1]) {
      const off = (hz: number) => (machine: ScriptedMachine) => void machine.vp.cpuidLeaves.set(0x15, leaf15(TSC_HZ + sign * hz));
      expect(startupCode('tdx', off(TSC_FREQUENCY_TOLERANCE_HZ))).toBeNull();
      expect(startupCode('tdx', off(TSC_FREQUENCY_TOLERANCE_HZ + 1))).toBe('tsc-frequency-disagrees');
      expect(startupCode('snp', off(TSC_FREQUENCY_TOLERANCE_HZ + 1))).toBeNull();
    }
  });

  it('under TDX needs leaf 0x15, with no part of it zero', () => {
    expect(startupCode('tdx', (machine) => machine.vp.cpuidLeaves.set(0, [0x14, 0, 0, 0]))).toBe('tsc-cpuid-leaf-missing');
    for (const zero of [0, 1, 2]) {
      const leaf = [...leaf15(TSC_HZ)] as [number, number, number, number];
      leaf[zero] = 0;
      expect(startupCode('tdx', (machine) => machine.vp.cpuidLeaves.set(0x15, leaf))).toBe('tsc-cpuid-zero');
    }
  });

  it('cannot be zero or hidden', () => {
    expect(startupCode('none', (machine) => machine.vp.msrs.set(0x40000022, 0n))).toBe('tsc-frequency-invalid');
    expect(startupCode('none', (machine) => machine.vp.msrs.delete(0x40000022))).toBe('tsc-frequency-unavailable');
  });
});
