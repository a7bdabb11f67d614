/** What the driver answers when user mode asks for lower-VTL timer virtualization (CHECK_EXTENSION, openvmm PR 4053). */
import { Errno } from '@paravisor/hcl-protocol';

/**
 * `supported`: a kernel that knows the capability. `absent`: one that does not, and so fails with EOPNOTSUPP. `failed`: the ioctl itself goes wrong,
 * with another errno.
 */
export const timerCapabilities = ['supported', 'absent', 'failed'] as const;
export type TimerCapability = (typeof timerCapabilities)[number];

/** The capability's value, or a negative errno. */
export function answerTo(capability: TimerCapability): number {
  switch (capability) {
    case 'supported':
      return 1;
    case 'absent':
      return -Errno.EOPNOTSUPP;
    case 'failed':
      return -Errno.EIO;
  }
}
