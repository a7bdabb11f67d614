/** MSRs that read the same for every guest of a trust domain (openvmm, TDX `read_msr_tdx` and `write_msr_tdx`). */
import { ArchitecturalMsr, commonFixedMsrs } from '@paravisor/virt-core';
import type { FixedMsr, FixedMsrs } from '@paravisor/virt-core';

/** Locked, and VMX not enabled. */
const FEATURE_CONTROL = 1;
/** As Hyper-V has it: fast strings, thermal monitor, SpeedStep, MONITOR, xTPR disable; branch trace storage and PEBS unavailable. */
const MISC_ENABLE = 1 | (1 << 3) | (1 << 11) | (1 << 12) | (1 << 16) | (1 << 18) | (1 << 23);

/** Writing zero to the microcode revision is how its reading starts (SDM volume 3, 11.11.7.1), and allowed; any other value is not. */
export const tdxFixedMsrs: FixedMsrs = new Map<number, FixedMsr>([
  [ArchitecturalMsr.FeatureControl, { value: FEATURE_CONTROL, refuses: 'none' }],
  [ArchitecturalMsr.MicrocodeRevision, { value: commonFixedMsrs.microcodeRevision, refuses: { lo: -1, hi: -1 } }],
  [ArchitecturalMsr.MtrrCap, { value: commonFixedMsrs.mtrrCap, refuses: 'none' }],
  [ArchitecturalMsr.McgStatus, commonFixedMsrs.mcgStatus],
  [ArchitecturalMsr.MiscEnable, { value: MISC_ENABLE, refuses: 'none' }],
]);
