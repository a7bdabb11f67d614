/** What the backing keeps for one lower VTL of one VP. */
import type { LocalApic } from '@paravisor/virt-core';
import type { TdvpsAccess } from './l2-field.js';
import { L2Vmcs } from './l2-vmcs.js';
import { PendingEvents } from './pending-events.js';
import { PrivateRegisters } from './private-registers.js';

export class LowerVtl {
  readonly vtl: number;
  readonly vmcs: L2Vmcs;
  readonly registers = new PrivateRegisters();
  readonly events: PendingEvents;
  /** The next entry flushes this VTL's guest translations. */
  flushTlb = false;

  constructor(vtl: number, access: TdvpsAccess, apic: LocalApic) {
    this.vtl = vtl;
    this.vmcs = new L2Vmcs(access, vtl);
    this.events = new PendingEvents(this.vmcs, this.registers, apic);
  }
}
