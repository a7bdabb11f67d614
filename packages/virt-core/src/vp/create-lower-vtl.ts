import type { Hcl, HclVp, RunPage } from '@paravisor/hcl-protocol';
import { LocalApic } from '../apic/index.js';
import type { LocalApicSet } from '../apic/index.js';
import type { TimerObserver } from '../contract/index.js';
import { ArchitecturalMsrs, GuestMsrs, VpAssistPage } from '../msr/index.js';
import type { FixedMsrs, GuestCrash, HypervisorRegisters } from '../msr/index.js';
import { Synic, filterProxiedVectors } from '../synic/index.js';
import type { ReferenceClock, VmTimeAccess } from '../time/index.js';
import { Activity } from './lower-vtl.js';
import type { LowerVtl } from './lower-vtl.js';
import { MessageQueues } from './message-queues.js';

/** What a lower VTL is made of and with. */
export interface LowerVtlParts {
  readonly hcl: Hcl;
  readonly hclVp: HclVp;
  readonly runPage: RunPage;
  readonly vmTime: VmTimeAccess;
  readonly clock: ReferenceClock;
  readonly observer: TimerObserver;
  /** Hz. */
  readonly tscFrequency: number;
  readonly fixedMsrs: FixedMsrs;
  /** Of the VP. */
  readonly crash: GuestCrash;
  /** By VTL: what all VPs share. */
  readonly apicSets: readonly LocalApicSet[];
  readonly hypervisorRegisters: readonly HypervisorRegisters[];
}

/** A lower VTL at power-on, without registers yet: it does not take part in the loop. */
export function createLowerVtl({ hcl, hclVp, runPage, vmTime, clock, observer, tscFrequency, fixedMsrs, crash, apicSets, hypervisorRegisters }: LowerVtlParts, vtl: number): LowerVtl {
  const vp = hclVp.index;
  const apic = new LocalApic({ vp, vtl, apicId: vp, set: apicSets[vtl]!, vmTime, x2apicCapable: true, observer });
  const synic = new Synic({ vp, vtl, memory: hcl.memory, interrupts: apic, observer });
  const assistPage = new VpAssistPage(hcl.memory);
  const lowerVtl: LowerVtl = {
    vtl,
    apic,
    synic,
    assistPage,
    messages: new MessageQueues(synic),
    msrs: new GuestMsrs({
      vpIndex: vp,
      apic,
      synic,
      clock,
      tscFrequency,
      shared: hypervisorRegisters[vtl]!,
      assistPage,
      crash,
      architectural: new ArchitecturalMsrs(hclVp, fixedMsrs),
      sintWritten: () => {
        // The host brings interrupts to VTL0 only.
        if (vtl === 0) filterProxiedVectors(synic.sints, runPage.proxyIrrBlocked);
      },
      idle: () => {
        lowerVtl.activity = Activity.Idle;
      },
    }),
    enabled: false,
    activity: Activity.Running,
    wakeReasons: 0,
    scanIrr: false,
  };
  return lowerVtl;
}
