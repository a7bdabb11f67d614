/** What the backing keeps for one lower VTL of one VP. */
import { GuestActivity } from '@paravisor/virt-core';
import type { LocalApic } from '@paravisor/virt-core';
import type { TdxApicPage } from './apic-page.js';
import type { L2FieldState, TdvpsAccess } from './l2-field.js';
import { L2Vmcs } from './l2-vmcs.js';
import { PendingEvents } from './pending-events.js';
import type { PendingEventsState } from './pending-events.js';
import { PrivateRegisters } from './private-registers.js';
import type { PrivateRegistersState } from './private-registers.js';

/** What `LowerVtl.save` gives. */
export type LowerVtlState = {
  readonly vmcs: readonly L2FieldState[];
  readonly registers: PrivateRegistersState;
  readonly events: PendingEventsState;
  readonly activity: GuestActivity;
  readonly flushTlb: boolean;
};

/** One of them. */
export class LowerVtl {
  readonly vtl: number;
  readonly vmcs: L2Vmcs;
  readonly apic: LocalApic;
  readonly apicPage: TdxApicPage;
  readonly registers = new PrivateRegisters();
  readonly events: PendingEvents;
  /** Why the VTL last stopped executing, as far as an exit of its own said so; means nothing while it runs. */
  activity: GuestActivity = GuestActivity.Running;
  /** The next entry flushes this VTL's guest translations. */
  flushTlb = false;

  save(): LowerVtlState {
    const { vmcs, registers, events, activity, flushTlb } = this;
    return { vmcs: vmcs.save(), registers: registers.save(), events: events.save(), activity, flushTlb };
  }

  restore({ vmcs, registers, events, activity, flushTlb }: LowerVtlState): void {
    this.vmcs.restore(vmcs);
    this.registers.restore(registers);
    this.events.restore(events);
    this.activity = activity;
    this.flushTlb = flushTlb;
  }

  /** `makePage` gets the registers that go with the page. */
  constructor(vtl: number, access: TdvpsAccess, apic: LocalApic, makePage: (registers: PrivateRegisters) => TdxApicPage) {
    this.vtl = vtl;
    this.vmcs = new L2Vmcs(access, vtl);
    this.apic = apic;
    this.apicPage = makePage(this.registers);
    apic.attachCr8(this.apicPage);
    this.events = new PendingEvents(this.vmcs, this.registers, apic, this.apicPage);
  }
}
