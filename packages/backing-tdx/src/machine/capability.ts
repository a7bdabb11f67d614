/** What the driver answers when user mode asks for lower-VTL timer virtualization (CHECK_EXTENSION, openvmm PR 4053). */
import { Errno } from '@paravisor/hcl-protocol';

/**
 * `supported`: a kernel that can. `absent`: one that answers that it cannot, on hardware without L2 TSC deadlines. `failed`: one that does not know the
 * question, as before 6.12.52.4, and fails with EOPNOTSUPP.
 */
export const timerCapabilities = ['supported', 'absent', 'failed'] as const;
export type TimerCapability = (typeof timerCapabilities)[number];

/** The capability's value, or a negative errno. */
export function answerTo(capability: TimerCapability): number {
  switch (capability) {
    case 'supported':
      return 1;
    case 'absent':
      return 0;
    case 'failed':
      return -Errno.EOPNOTSUPP;
  }
}
