/** MSRs that read the same for every guest under SNP (openvmm, SNP `read_msr_snp` and `write_msr_snp`). */
import { ArchitecturalMsr, commonFixedMsrs } from '@paravisor/virt-core';
import type { FixedMsr, FixedMsrs } from '@paravisor/virt-core';

/** Only what is read-only, or has reserved bits; IA32_MISC_ENABLE is Intel's. */
export const snpFixedMsrs: FixedMsrs = new Map<number, FixedMsr>([
  [ArchitecturalMsr.MicrocodeRevision, { value: commonFixedMsrs.microcodeRevision, refuses: 'none' }],
  [ArchitecturalMsr.MtrrCap, { value: commonFixedMsrs.mtrrCap, refuses: 'all' }],
  [ArchitecturalMsr.McgCap, { value: 0, refuses: 'all' }],
  [ArchitecturalMsr.McgStatus, commonFixedMsrs.mcgStatus],
  [ArchitecturalMsr.SysCfg, { value: 0, refuses: 'all' }],
  [ArchitecturalMsr.VmCr, { value: 0, refuses: 'all' }],
]);
