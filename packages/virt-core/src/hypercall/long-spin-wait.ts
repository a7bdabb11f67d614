import { HvStatus } from '@paravisor/hcl-protocol';
import { HvCallCode } from './control.js';
import type { HypercallHandler } from './handler.js';

/** HvCallNotifyLongSpinWait (TLFS 11.12.2): the spinning VP is not descheduled for it, since each VP has a thread of its own. */
export const notifyLongSpinWait: HypercallHandler = {
  code: HvCallCode.NotifyLongSpinWait,
  inputBytes: 8,
  outputBytes: 0,
  takesVariableHeader: false,
  rep: null,
  call: () => HvStatus.Success,
};
