import { U64, restoreU64, saveU64 } from '@paravisor/hcl-protocol';
import { StartRequest } from './start-request.js';
import type { StartRequestState } from './start-request.js';

/** One VP's part in guest VSM and in starting VPs (openvmm `UhCvmVpInner`, `GuestVsmVpState`). */
export class VpVsm {
  /** HvCallEnableVpVtl was made for this VP. */
  vtl1EnableCalled = false;
  /** The VP itself has taken that call: it has a VTL1. */
  vtl1Enabled = false;
  /** The VP runs or was started by hypercall: it cannot be started again so. */
  started: boolean;
  /** By VTL: a context that waits for the VP. */
  readonly requests: (StartRequest | null)[] = [null, null];
  /** VsmVina of VTL1. */
  readonly vina = new U64();
  /** VTL1 wants no guest translation of VTL0 to be flushed: until it returns, or says otherwise. */
  tlbLocked = false;
  /** PendingEvent0 that VTL1 wrote for VTL0: 0 for none. */
  readonly pendingEvent = new U64();

  constructor(vpIndex: number) {
    this.started = vpIndex === 0;
  }

  save(): VpVsmState {
    const { vtl1EnableCalled, vtl1Enabled, started, tlbLocked } = this;
    return {
      vtl1EnableCalled,
      vtl1Enabled,
      started,
      tlbLocked,
      requests: this.requests.map((request) => request?.save() ?? null),
      vina: saveU64(this.vina),
      pendingEvent: saveU64(this.pendingEvent),
    };
  }

  restore(state: VpVsmState): void {
    this.vtl1EnableCalled = state.vtl1EnableCalled;
    this.vtl1Enabled = state.vtl1Enabled;
    this.started = state.started;
    this.tlbLocked = state.tlbLocked;
    for (const [vtl, request] of state.requests.entries()) this.requests[vtl] = request === null ? null : StartRequest.restored(request);
    restoreU64(this.vina, state.vina);
    restoreU64(this.pendingEvent, state.pendingEvent);
  }
}

/** `VpVsm` as plain data. */
export type VpVsmState = {
  readonly vtl1EnableCalled: boolean;
  readonly vtl1Enabled: boolean;
  readonly started: boolean;
  readonly tlbLocked: boolean;
  readonly requests: readonly (StartRequestState | null)[];
  readonly vina: string;
  readonly pendingEvent: string;
};
