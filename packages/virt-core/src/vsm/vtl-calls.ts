/** HvCallVtlCall and HvCallVtlReturn (TLFS 15.6 and 15.7; openvmm `VtlCall`, `VtlReturn`). What they may not do is #UD. */
import { HvVtlEntryReason } from '@paravisor/hcl-protocol';
import { HvCallCode } from '../hypercall/control.js';
import type { VtlSwitchHandler } from '../hypercall/handler.js';
import type { VsmCallsOptions } from './enable-vtl.js';

const VTL0 = 0;
const VTL1 = 1;
/** Input of a return: leave RAX and RCX as they are. */
const FAST_RETURN = 1;

/** From VTL0, on a VP that has a VTL1, with input 0. */
export function vtlCall({ vps }: VsmCallsOptions): VtlSwitchHandler {
  return {
    code: HvCallCode.VtlCall,
    switchVtl({ vp, vtl }, { lo, hi }) {
      const { vsm, vtlSwitch } = vps[vp]!;
      if (vtl !== VTL0 || !vsm.vtl1Enabled || lo !== 0 || hi !== 0) return false;
      vtlSwitch.raise(HvVtlEntryReason.VtlCall);
      return true;
    },
  };
}

/** From VTL1, with input 0, or 1 for a fast return. */
export function vtlReturn({ vps }: VsmCallsOptions): VtlSwitchHandler {
  return {
    code: HvCallCode.VtlReturn,
    switchVtl({ vp, vtl }, { lo, hi }) {
      if (vtl !== VTL1 || (lo & ~FAST_RETURN) !== 0 || hi !== 0) return false;
      vps[vp]!.vtlSwitch.returnToVtl0((lo & FAST_RETURN) !== 0);
      return true;
    },
  };
}
