import { HvMsr, U64 } from '@paravisor/hcl-protocol';
import type { HclVp } from '@paravisor/hcl-protocol';
import { StartupError } from '../contract/index.js';
import type { Isolation } from '../contract/index.js';

/** How far the host's word and CPUID may lie apart under TDX, Hz. */
export const TSC_FREQUENCY_TOLERANCE_HZ = 12_500_000;

const LEAF_TSC = 0x15;

/**
 * The virtual TSC's frequency, Hz: what the hypervisor says in MSR 0x40000022. Under TDX the host is not believed alone: the TDX module's CPUID
 * leaf 15H must say the same (openvmm, start-up of OpenHCL). Throws `StartupError`.
 */
export function tscFrequencyOf(vp: HclVp, isolation: Isolation): number {
  const cell = new U64();
  if (!vp.rdmsr(HvMsr.TscFrequency, cell)) {
    throw new StartupError('tsc-frequency-unavailable', 'VTL2 may not read the TSC frequency MSR 0x40000022: the host must offer frequency MSRs');
  }
  const frequency = cell.toNumber();
  if (!Number.isSafeInteger(frequency) || frequency <= 0) {
    throw new StartupError('tsc-frequency-invalid', `the TSC frequency MSR 0x40000022 reads ${cell}: expected a positive number of Hz`);
  }
  if (isolation === 'tdx') requireSameFrequency(frequency, cpuidTscFrequency(vp));
  return frequency;
}

/** ECX × EBX / EAX of leaf 15H: crystal clock times the TSC's ratio (Intel SDM volume 2, CPUID). */
function cpuidTscFrequency(vp: HclVp): number {
  const registers = new Int32Array(4);
  vp.cpuid(0, 0, registers);
  const maxLeaf = registers[0]! >>> 0;
  if (maxLeaf < LEAF_TSC) {
    throw new StartupError('tsc-cpuid-leaf-missing', `CPUID ends at leaf 0x${maxLeaf.toString(16)}: under TDX leaf 0x15 must give the TSC frequency`);
  }
  vp.cpuid(LEAF_TSC, 0, registers);
  const denominator = registers[0]! >>> 0;
  const numerator = registers[1]! >>> 0;
  const crystalHz = registers[2]! >>> 0;
  if (denominator === 0 || numerator === 0 || crystalHz === 0) {
    throw new StartupError('tsc-cpuid-zero', `CPUID leaf 0x15 gives ${crystalHz} Hz × ${numerator} / ${denominator}: under TDX no part of it may be 0`);
  }
  return Math.floor((crystalHz * numerator) / denominator);
}

function requireSameFrequency(fromHost: number, fromCpuid: number): void {
  if (Math.abs(fromHost - fromCpuid) <= TSC_FREQUENCY_TOLERANCE_HZ) return;
  throw new StartupError(
    'tsc-frequency-disagrees',
    `the host says the TSC runs at ${fromHost} Hz, CPUID leaf 0x15 says ${fromCpuid} Hz: they may differ by ${TSC_FREQUENCY_TOLERANCE_HZ} Hz at most`,
  );
}
