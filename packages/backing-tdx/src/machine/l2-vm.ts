/** One L2 VM of one VCPU: the processor context it runs in, its VMCS, and how its registers cross an entry and an exit. */
import { SecondaryControl, copy16Words, tdxGuestStateLayout, wordsOf } from '@paravisor/hcl-protocol';
import type { View } from '@paravisor/hcl-protocol';
import { stateLayout } from '@paravisor/x86-cpu';
import type { Processor } from '@paravisor/x86-cpu';
import { L2TscDeadline } from './l2-tsc-deadline.js';
import { L2Vmcs } from './l2-vmcs.js';
import type { TscConversion } from './tsc-conversion.js';

/** L2_ENTER_GUEST_STATE in the run page. */
export type GuestStateArea = View<(typeof tdxGuestStateLayout)['fields']>;

/** Words of the area. */
const { gpr, rip, rflags, rvi } = tdxGuestStateLayout.fields;
const AREA_GPR = gpr.offset >> 2;
const AREA_RIP = rip.offset >> 2;
const AREA_RFLAGS = rflags.offset >> 2;
/** RVI in bits 7:0, SVI in 15:8. */
const AREA_INTERRUPT_STATUS = rvi.offset >> 2;
/** Words of the processor's state. */
const GPR = stateLayout.gpr >> 2;
const RIP = stateLayout.rip >> 2;
/** XCR0 after reset: x87 state (SDM volume 3, table 10-1). It is the VCPU's, and no field of an L2 VMCS. */
const XCR0_RESET = 1;

export class L2Vm {
  /** L2 VM index, 1 upwards. */
  readonly index: number;
  readonly processor: Processor;
  readonly vmcs: L2Vmcs;
  readonly deadline: L2TscDeadline;

  readonly #area: Int32Array;

  /** `area` is where entries find the VM's registers and exits leave them. */
  constructor(index: number, processor: Processor, tsc: TscConversion, area: GuestStateArea) {
    this.index = index;
    this.processor = processor;
    this.vmcs = new L2Vmcs(processor);
    this.deadline = new L2TscDeadline(tsc);
    this.#area = wordsOf(area);
    processor.i32[stateLayout.xcr0 >> 2] = XCR0_RESET;
  }

  /** The VTL that runs in this VM. */
  get vtl(): number {
    return this.index - 1;
  }

  /** At an entry: general registers, RIP, RFLAGS and the guest interrupt status from memory. */
  loadGuestState(): void {
    const { i32 } = this.processor;
    const words = this.#area;
    copy16Words(i32, GPR, words, AREA_GPR);
    copy16Words(i32, GPR + 16, words, AREA_GPR + 16);
    i32[RIP] = words[AREA_RIP]!;
    i32[RIP + 1] = words[AREA_RIP + 1]!;
    this.processor.writeRflags(words[AREA_RFLAGS]!);
    const { apic, secondaryControls, tprThreshold } = this.vmcs;
    const status = words[AREA_INTERRUPT_STATUS]!;
    apic.enter(status & 0xff, (status >>> 8) & 0xff, (secondaryControls.lo & SecondaryControl.VirtualInterruptDelivery) !== 0, tprThreshold.lo);
  }

  /** At an exit: the same registers back to memory. */
  storeGuestState(): void {
    const { i32 } = this.processor;
    const { apic } = this.vmcs;
    apic.exit();
    const words = this.#area;
    words[AREA_INTERRUPT_STATUS] = (words[AREA_INTERRUPT_STATUS]! & ~0xffff) | (apic.svi << 8) | apic.rvi;
    copy16Words(words, AREA_GPR, i32, GPR);
    copy16Words(words, AREA_GPR + 16, i32, GPR + 16);
    words[AREA_RIP] = i32[RIP]!;
    words[AREA_RIP + 1] = i32[RIP + 1]!;
    words[AREA_RFLAGS] = this.processor.readRflags();
    words[AREA_RFLAGS + 1] = 0;
  }
}
