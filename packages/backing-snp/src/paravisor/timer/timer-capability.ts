import { Errno, MshvCapability } from '@paravisor/hcl-protocol';
import type { Hcl } from '@paravisor/hcl-protocol';
import { StartupError } from '@paravisor/virt-core';

/**
 * Lower-VTL timer virtualization is not for SNP: EOPNOTSUPP is the expected answer, a kernel that claims it is not believed, and any other errno is
 * fatal (openvmm PR 4053).
 * @throws {StartupError}
 */
export function checkTimerCapability(hcl: Hcl): void {
  const answer = hcl.checkExtension(MshvCapability.LowerVtlTimerVirt);
  if (answer < 0 && answer !== -Errno.EOPNOTSUPP) {
    throw new StartupError('lower-vtl-timer-failed', `CHECK_EXTENSION for lower-VTL timer virtualization failed with errno ${-answer}: look into the VTL2 kernel's log`);
  }
}
