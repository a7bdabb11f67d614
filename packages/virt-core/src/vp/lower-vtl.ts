import type { LocalApic, LocalApicState } from '../apic/index.js';
import type { ArchitecturalMsrsState, GuestMsrs, VpAssistPage, VpAssistPageState } from '../msr/index.js';
import type { Synic, SynicState } from '../synic/index.js';
import type { MessageQueues, MessageQueuesState } from './message-queues.js';

/** What a lower VTL of a VP is doing when it is not executing. */
export const Activity = {
  Running: 0,
  /** After HLT: ends with an interrupt it can take, or an NMI. */
  Halted: 1,
  /** After a read of the guest-idle MSR: ends with any interrupt, RFLAGS.IF or not (TLFS "Guest Idle"). */
  Idle: 2,
  /** An application processor before its start-up IPI. */
  WaitForSipi: 3,
} as const;
export type Activity = (typeof Activity)[keyof typeof Activity];

/** Why a VP is to go round, by VTL; bits (openvmm `WakeReason`). */
export const WakeReason = {
  /** Something was staged in the APIC: the round looks at staged requests. */
  Apic: 1,
  /** A message waits for a SINT. */
  MessageQueues: 2,
  /** A start request waits (`VpVsm.requests`). */
  StartEnableVtl: 4,
} as const;

/** One lower VTL of one VP, as the loop keeps it: plain state and the devices that belong to it. */
export interface LowerVtl {
  readonly vtl: number;
  readonly apic: LocalApic;
  readonly synic: Synic;
  readonly messages: MessageQueues;
  readonly msrs: GuestMsrs;
  readonly assistPage: VpAssistPage;
  /** It has a start state: it takes part in the loop. */
  enabled: boolean;
  activity: Activity;
  /** `WakeReason` bits that came since the last round began. Other VPs' threads add to them. */
  wakeReasons: number;
  /** This round looks at staged requests. */
  scanIrr: boolean;
}

/** `LowerVtl` as plain data, between two rounds. */
export type LowerVtlState = {
  readonly apic: LocalApicState;
  readonly synic: SynicState;
  readonly messages: MessageQueuesState;
  readonly msrs: ArchitecturalMsrsState;
  readonly assistPage: VpAssistPageState;
  readonly enabled: boolean;
  readonly activity: number;
  readonly wakeReasons: number;
};

export const saveLowerVtl = ({ apic, synic, messages, msrs, assistPage, enabled, activity, wakeReasons }: LowerVtl): LowerVtlState => ({
  apic: apic.save(),
  synic: synic.save(),
  messages: messages.save(),
  msrs: msrs.save(),
  assistPage: assistPage.save(),
  enabled,
  activity,
  wakeReasons,
});

export function restoreLowerVtl(lowerVtl: LowerVtl, state: LowerVtlState): void {
  lowerVtl.apic.restore(state.apic);
  lowerVtl.synic.restore(state.synic);
  lowerVtl.messages.restore(state.messages);
  lowerVtl.msrs.restore(state.msrs);
  lowerVtl.assistPage.restore(state.assistPage);
  lowerVtl.enabled = state.enabled;
  lowerVtl.activity = state.activity as Activity;
  lowerVtl.wakeReasons = state.wakeReasons;
}
