/** One L2 VM of one VCPU: the processor context it runs in, its VMCS, and how its registers cross an entry and an exit. */
import { SecondaryControl, tdxGuestStateLayout, wordsOf } from '@paravisor/hcl-protocol';
import type { View } from '@paravisor/hcl-protocol';
import type { VpMachine } from '@paravisor/virt-machine';
import { createRegisterImage, stateLayout } from '@paravisor/x86-cpu';
import type { ImageField, Processor, RegisterImage } from '@paravisor/x86-cpu';
import { L2TscDeadline } from './l2-tsc-deadline.js';
import { L2Vmcs } from './l2-vmcs.js';
import type { TscConversion } from './tsc-conversion.js';

/** L2_ENTER_GUEST_STATE in the run page. */
export type GuestStateArea = View<(typeof tdxGuestStateLayout)['fields']>;

const { gpr, rip, rflags, rvi } = tdxGuestStateLayout.fields;
const GPR_BYTES = 16 * 8;
const RIP_BYTES = 8;
/** What the area and the processor hold alike. */
const IMAGE: readonly ImageField[] = [
  { image: gpr.offset, state: stateLayout.gpr, bytes: GPR_BYTES },
  { image: rip.offset, state: stateLayout.rip, bytes: RIP_BYTES },
];
/** Words of the area. RVI in bits 7:0, SVI in 15:8. */
const AREA_RFLAGS = rflags.offset >> 2;
const AREA_INTERRUPT_STATUS = rvi.offset >> 2;
/** XCR0 after reset: x87 state (SDM volume 3, table 10-1). It is the VCPU's, and no field of an L2 VMCS. */
const XCR0_RESET = 1;

export class L2Vm {
  /** L2 VM index, 1 upwards. */
  readonly index: number;
  readonly processor: Processor;
  readonly vmcs: L2Vmcs;
  readonly deadline: L2TscDeadline;

  readonly #area: Int32Array;
  readonly #registers: RegisterImage;

  /** `area`, in the run page of `machine`, is where entries find the VM's registers and exits leave them. */
  constructor(index: number, machine: VpMachine, tsc: TscConversion, area: GuestStateArea) {
    const processor = machine.processors[index - 1]!;
    this.index = index;
    this.processor = processor;
    this.vmcs = new L2Vmcs(processor);
    this.deadline = new L2TscDeadline(tsc);
    this.#area = wordsOf(area);
    const { buffer, byteOffset, byteLength } = this.#area;
    this.#registers = createRegisterImage(machine.memory, processor, new Uint8Array(buffer, byteOffset, byteLength), IMAGE);
    processor.i32[stateLayout.xcr0 >> 2] = XCR0_RESET;
  }

  /** The VTL that runs in this VM. */
  get vtl(): number {
    return this.index - 1;
  }

  /** At an entry: general registers, RIP, RFLAGS and the guest interrupt status from memory. */
  loadGuestState(): void {
    this.#registers.load();
    const words = this.#area;
    this.processor.writeRflags(words[AREA_RFLAGS]!);
    const { apic, secondaryControls, tprThreshold } = this.vmcs;
    const status = words[AREA_INTERRUPT_STATUS]!;
    apic.enter(status & 0xff, (status >>> 8) & 0xff, (secondaryControls.lo & SecondaryControl.VirtualInterruptDelivery) !== 0, tprThreshold.lo);
  }

  /** At an exit: the same registers back to memory. */
  storeGuestState(): void {
    this.#registers.store();
    const { apic } = this.vmcs;
    apic.exit();
    const words = this.#area;
    words[AREA_INTERRUPT_STATUS] = (words[AREA_INTERRUPT_STATUS]! & ~0xffff) | (apic.svi << 8) | apic.rvi;
    words[AREA_RFLAGS] = this.processor.readRflags();
    words[AREA_RFLAGS + 1] = 0;
  }
}
