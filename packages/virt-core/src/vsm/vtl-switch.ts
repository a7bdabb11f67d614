import { HvVtlEntryReason, U64, VsmVina } from '@paravisor/hcl-protocol';
import type { BackingVp } from '../contract/index.js';
import type { VpAssistPage } from '../msr/index.js';
import { exitEvent } from './pending-event.js';
import type { VpVsm } from './vp-vsm.js';

const VTL0 = 0;
const VTL1 = 1;
const RAX = 0;
const RCX = 1;

/** What switching needs of the VP. */
export interface VtlSwitchOptions {
  readonly vsm: VpVsm;
  /** VTL1's. */
  readonly assistPage: VpAssistPage;
  /** Requests a vector in VTL1's APIC. */
  readonly requestVtl1Interrupt: (vector: number, autoEoi: boolean) => void;
}

/** Which VTL of a VP runs, and how that changes (TLFS 15.6 to 15.12; openvmm `hardware_cvm`). */
export class VtlSwitch {
  /** The VTL that ran last, or runs next. */
  activeVtl = VTL0;
  readonly #options: VtlSwitchOptions;
  readonly #rax = new U64();
  readonly #rcx = new U64();
  #backing: BackingVp | null = null;

  constructor(options: VtlSwitchOptions) {
    this.#options = options;
  }

  /** The backing's part is made after this one. Once, before any round. */
  connect(backing: BackingVp): void {
    this.#backing = backing;
  }

  /** VTL0 gives way to VTL1. */
  raise(reason: number): void {
    this.#backing!.switchVtl(VTL0, VTL1);
    this.activeVtl = VTL1;
    this.#options.assistPage.setEntryReason(reason);
  }

  /** VTL1 gives the VP back. Unless the return is fast, RAX and RCX of VTL0 come from VTL1's assist page. */
  returnToVtl0(fast: boolean): void {
    const { vsm, assistPage } = this.#options;
    const backing = this.#backing!;
    vsm.tlbLocked = false;
    if ((vsm.vina.lo & VsmVina.AutoReset) !== 0) assistPage.setVinaAsserted(false);
    backing.switchVtl(VTL1, VTL0);
    this.activeVtl = VTL0;
    if (fast) return;
    assistPage.readReturnRegisters(this.#rax, this.#rcx);
    const registers = backing.registers(VTL0);
    registers.writeGpr(RAX, this.#rax);
    registers.writeGpr(RCX, this.#rcx);
  }

  /**
   * After the offers of a round: an interrupt of VTL1 pre-empts VTL0, whatever VTL1's RFLAGS.IF; while VTL1 runs, one that VTL0 could take is announced
   * to it (VINA), once until the flag in the assist page is cleared. True when it was: the round is to be repeated.
   */
  handleInterrupts(): boolean {
    const { vsm, assistPage } = this.#options;
    if (!vsm.vtl1Enabled) return false;
    const backing = this.#backing!;
    if (this.activeVtl === VTL0 && backing.isInterruptPending(VTL1, false)) this.raise(HvVtlEntryReason.Interrupt);
    if (this.activeVtl !== VTL1 || !backing.isInterruptPending(VTL0, true)) return false;
    const { lo: vina } = vsm.vina;
    if ((vina & VsmVina.Enabled) === 0 || assistPage.vinaAsserted) return false;
    assistPage.setVinaAsserted(true);
    this.#options.requestVtl1Interrupt(vina & VsmVina.VectorMask, (vina & VsmVina.AutoEoi) !== 0);
    return true;
  }

  /** Before the scans of a round: the exception that VTL1 wrote for VTL0 goes into VTL0 if that runs next. True when it did: VTL0 is not halted any more. */
  deliverExitEvent(): boolean {
    const { pendingEvent } = this.#options.vsm;
    if (this.activeVtl !== VTL0 || pendingEvent.isZero()) return false;
    const backing = this.#backing!;
    const { vector, errorCode } = exitEvent(pendingEvent, backing.pendingEventVector(VTL0));
    backing.injectException(VTL0, vector, errorCode);
    pendingEvent.setParts(0, 0);
    return true;
  }
}
