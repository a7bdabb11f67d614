/** One L2 VM of one VCPU: the processor context it runs in, its VMCS, and how its registers cross an entry and an exit. */
import { SecondaryControl } from '@paravisor/hcl-protocol';
import type { View, tdxGuestStateLayout } from '@paravisor/hcl-protocol';
import { stateLayout } from '@paravisor/x86-cpu';
import type { Processor } from '@paravisor/x86-cpu';
import { L2TscDeadline } from './l2-tsc-deadline.js';
import { L2Vmcs } from './l2-vmcs.js';
import type { TscConversion } from './tsc-conversion.js';

/** L2_ENTER_GUEST_STATE in the run page. */
export type GuestStateArea = View<(typeof tdxGuestStateLayout)['fields']>;

const GPR_WORDS = 32;
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

  constructor(index: number, processor: Processor, tsc: TscConversion) {
    this.index = index;
    this.processor = processor;
    this.vmcs = new L2Vmcs(processor);
    this.deadline = new L2TscDeadline(tsc);
    processor.i32[stateLayout.xcr0 >> 2] = XCR0_RESET;
  }

  /** The VTL that runs in this VM. */
  get vtl(): number {
    return this.index - 1;
  }

  /** At an entry: general registers, RIP, RFLAGS and the guest interrupt status from memory. */
  loadGuestState(area: GuestStateArea): void {
    const { i32 } = this.processor;
    for (let word = 0; word < GPR_WORDS; word += 2) {
      const register = area.gpr[word >> 1]!;
      i32[GPR + word] = register.lo;
      i32[GPR + word + 1] = register.hi;
    }
    i32[RIP] = area.rip.lo;
    i32[RIP + 1] = area.rip.hi;
    this.processor.writeRflags(area.rflags.lo);
    const { apic, secondaryControls, tprThreshold } = this.vmcs;
    apic.enter(area.rvi, area.svi, (secondaryControls.lo & SecondaryControl.VirtualInterruptDelivery) !== 0, tprThreshold.lo);
  }

  /** At an exit: the same registers back to memory. */
  storeGuestState(area: GuestStateArea): void {
    const { i32 } = this.processor;
    const { apic } = this.vmcs;
    apic.exit();
    area.rvi = apic.rvi;
    area.svi = apic.svi;
    for (let word = 0; word < GPR_WORDS; word += 2) area.gpr[word >> 1]!.setParts(i32[GPR + word]!, i32[GPR + word + 1]!);
    area.rip.setParts(i32[RIP]!, i32[RIP + 1]!);
    area.rflags.setParts(this.processor.readRflags(), 0);
  }
}
