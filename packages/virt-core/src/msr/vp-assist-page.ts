import { REGISTER_ENABLE, U64, hvVpAssistPageLayout, restoreU64, saveU64 } from '@paravisor/hcl-protocol';
import type { GuestMemoryLine, ReadonlyU64 } from '@paravisor/hcl-protocol';
import { MsrStatus } from '../contract/status.js';
import { OverlayPage } from '../memory/index.js';
import type { OverlayPageState } from '../memory/index.js';

const RESERVED = 0xffe;
const { apicAssist, vtlEntryReason, vinaAsserted, vtlReturnRax, vtlReturnRcx } = hvVpAssistPageLayout.fields;
/** Bit 0 of the APIC assist field: the guest may end its interrupt by clearing the bit, without an EOI (TLFS "EOI Assist"). */
const NO_EOI_REQUIRED = 1;

export type VpAssistPageState = { readonly register: string; readonly page: OverlayPageState };

/**
 * The VP assist page of one VTL of one VP, and its register 0x40000073 (TLFS "Virtual Processor Assist Page"; openvmm `ProcessorVtlHv`). Until the
 * guest enables it, it is a private page: what a VTL switch leaves in it is there when it is enabled.
 */
export class VpAssistPage {
  readonly #register = new U64();
  readonly #page: OverlayPage;
  readonly #cell = new U64();
  readonly #word = new Uint8Array(4);
  readonly #wordView = new DataView(this.#word.buffer);
  readonly #byte = this.#word.subarray(0, 1);

  constructor(memory: GuestMemoryLine) {
    this.#page = new OverlayPage(memory);
  }

  /** MSR 0x40000073, as written. */
  get register(): ReadonlyU64 {
    return this.#register;
  }

  /** WRMSR: #GP for a reserved bit, and for a page outside RAM; nothing changes then. */
  writeRegister(value: ReadonlyU64): MsrStatus {
    if ((value.lo & RESERVED) !== 0) return MsrStatus.GeneralProtection;
    if ((value.lo & REGISTER_ENABLE) === 0) this.#page.unmap();
    else if (!this.#page.map(value)) return MsrStatus.GeneralProtection;
    this.#register.set(value);
    return MsrStatus.Ok;
  }

  /**
   * Lets the guest end its interrupt without an exit, just before it runs. False when the page is not enabled. If true, `takeLazyEoi` must follow after
   * the run, before anybody looks at the APIC.
   */
  offerLazyEoi(): boolean {
    if (!this.enabled) return false;
    this.#writeWord(apicAssist.offset, NO_EOI_REQUIRED);
    return true;
  }

  /** The guest has placed the page. */
  get enabled(): boolean {
    return (this.#register.lo & REGISTER_ENABLE) !== 0;
  }

  /** True when the guest cleared the bit: the EOI is now to be done at the APIC. Else the offer is taken back. Only after `offerLazyEoi`. */
  takeLazyEoi(): boolean {
    const word = this.#readWord(apicAssist.offset);
    if ((word & NO_EOI_REQUIRED) === 0) return true;
    this.#writeWord(apicAssist.offset, word & ~NO_EOI_REQUIRED);
    return false;
  }

  /** Why this VTL was entered (`HvVtlEntryReason`). */
  setEntryReason(reason: number): void {
    this.#writeWord(vtlEntryReason.offset, reason);
  }

  /** Whether VINA is asserted: the guest may write it too. */
  get vinaAsserted(): boolean {
    return (this.#readWord(vinaAsserted.offset) & 0xff) !== 0;
  }

  setVinaAsserted(asserted: boolean): void {
    this.#byte[0] = asserted ? 1 : 0;
    this.#page.write(vinaAsserted.offset, this.#byte);
  }

  /** RAX and RCX that a VTL return which is not fast restores. */
  readReturnRegisters(rax: U64, rcx: U64): void {
    this.#page.readU64(vtlReturnRax.offset, rax);
    this.#page.readU64(vtlReturnRcx.offset, rcx);
  }

  /** Power-on state: a private page of zeros. */
  reset(): void {
    this.#register.setParts(0, 0);
    this.#page.reset();
  }

  save(): VpAssistPageState {
    return { register: saveU64(this.#register), page: this.#page.save() };
  }

  restore(state: VpAssistPageState): void {
    restoreU64(this.#register, state.register);
    this.#page.restore(state.page);
  }

  /** The aligned 4 bytes at `offset`. */
  #readWord(offset: number): number {
    this.#page.readU64(offset & ~7, this.#cell);
    return (offset & 4) === 0 ? this.#cell.lo : this.#cell.hi;
  }

  #writeWord(offset: number, value: number): void {
    this.#wordView.setInt32(0, value, true);
    this.#page.write(offset, this.#word);
  }
}
