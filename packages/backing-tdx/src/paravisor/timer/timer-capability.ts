/** Which guest timer a TDX partition gets (openvmm PR 2483, PR 4053). */
import { Errno, MshvCapability } from '@paravisor/hcl-protocol';
import type { Hcl } from '@paravisor/hcl-protocol';
import { StartupError } from '@paravisor/virt-core';

/**
 * Whether the driver can virtualize the timers of lower VTLs. It is asked whatever the partition will use. A TDX kernel that fails with EOPNOTSUPP is
 * an error here, not a "no" (PR 4053): throws `StartupError`, as for any other errno.
 */
export function supportsLowerVtlTimerVirt(hcl: Hcl): boolean {
  const answer = hcl.checkExtension(MshvCapability.LowerVtlTimerVirt);
  if (answer >= 0) return answer !== 0;
  if (answer === -Errno.EOPNOTSUPP) {
    throw new StartupError(
      'lower-vtl-timer-unknown',
      'the VTL2 kernel does not support lower-VTL timer virtualization (EOPNOTSUPP), which a TDX partition needs: use kernel 6.12.52.4 or later',
    );
  }
  throw new StartupError('lower-vtl-timer-failed', `CHECK_EXTENSION for lower-VTL timer virtualization failed with errno ${-answer}: look into the VTL2 kernel's log`);
}
