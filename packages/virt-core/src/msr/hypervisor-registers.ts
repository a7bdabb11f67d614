import { PAGE_SIZE, REGISTER_ENABLE, U64, restoreU64, saveU64 } from '@paravisor/hcl-protocol';
import type { GuestMemoryLine, ReadonlyU64 } from '@paravisor/hcl-protocol';
import { MsrStatus } from '../contract/index.js';
import { hypercallPage, referenceTscPage } from './overlay-pages.js';
import type { ProcessorVendor } from './overlay-pages.js';

/** Bit 1 of the hypercall register: nothing may change until reset (TLFS "Establishing the Hypercall Interface"). */
const HYPERCALL_LOCKED = 2;
const HYPERCALL_RESERVED = 0xffc;
const REFERENCE_TSC_RESERVED = 0xffe;

/** What the partition-wide registers need of the partition. */
export interface HypervisorRegistersOptions {
  readonly memory: GuestMemoryLine;
  readonly vendor: ProcessorVendor;
  /** Scale of the reference TSC page (`ReferenceTimeScale.pageScale`). */
  readonly referenceScale: ReadonlyU64;
}

/** Guest physical address in a page-pointing register: bits 63:12. Beyond 2^53 it is no RAM whatever the rounding. */
function pageAddress(register: ReadonlyU64): number {
  return (register.hi >>> 0) * 0x1_0000_0000 + ((register.lo & ~(PAGE_SIZE - 1)) >>> 0);
}

function samePage(a: ReadonlyU64, b: ReadonlyU64): boolean {
  return a.hi === b.hi && ((a.lo ^ b.lo) & ~(PAGE_SIZE - 1)) === 0;
}

/**
 * The hypervisor registers that all VPs of one VTL share: guest OS identity, hypercall page, reference TSC page (openvmm `GlobalHv`). Their pages are
 * written into the guest's RAM when they are enabled or moved; what was there does not come back, as in the reference.
 */
export class HypervisorRegisters {
  readonly guestOsId = new U64();
  readonly hypercall = new U64();
  readonly referenceTsc = new U64();
  readonly #options: HypervisorRegistersOptions;
  #tscSequence = 0;

  constructor(options: HypervisorRegistersOptions) {
    this.#options = options;
  }

  /** Any value. TLFS ties the hypercall page to an identity that is not zero; openvmm does not. */
  writeGuestOsId(value: ReadonlyU64): MsrStatus {
    this.guestOsId.set(value);
    return MsrStatus.Ok;
  }

  /** #GP once the register is locked, for a reserved bit, and for a page outside RAM. Enabling writes the page, and so does a move. */
  writeHypercall(value: ReadonlyU64): MsrStatus {
    const { hypercall } = this;
    if ((hypercall.lo & HYPERCALL_LOCKED) !== 0 || (value.lo & HYPERCALL_RESERVED) !== 0) return MsrStatus.GeneralProtection;
    const enabled = (hypercall.lo & REGISTER_ENABLE) !== 0;
    if ((value.lo & REGISTER_ENABLE) !== 0 && (!enabled || !samePage(value, hypercall))) {
      if (!this.#options.memory.write(pageAddress(value), hypercallPage(this.#options.vendor))) return MsrStatus.GeneralProtection;
    }
    hypercall.set(value);
    return MsrStatus.Ok;
  }

  /**
   * #GP for a reserved bit, and for a page outside RAM. Enabling publishes the page only where the frame number changes, whether it was enabled before
   * or not (openvmm): each time under a new sequence, from 1 and never 0, which would mean "do not use". So frame 0 as the first is never written.
   */
  writeReferenceTsc(value: ReadonlyU64): MsrStatus {
    if ((value.lo & REFERENCE_TSC_RESERVED) !== 0) return MsrStatus.GeneralProtection;
    if ((value.lo & REGISTER_ENABLE) !== 0 && !samePage(value, this.referenceTsc)) {
      const sequence = (this.#tscSequence + 1) >>> 0 || 1;
      const page = referenceTscPage(sequence, this.#options.referenceScale);
      if (!this.#options.memory.write(pageAddress(value), page)) return MsrStatus.GeneralProtection;
      this.#tscSequence = sequence;
    }
    this.referenceTsc.set(value);
    return MsrStatus.Ok;
  }

  save(): HypervisorRegistersState {
    const { guestOsId, hypercall, referenceTsc } = this;
    return { guestOsId: saveU64(guestOsId), hypercall: saveU64(hypercall), referenceTsc: saveU64(referenceTsc), tscSequence: this.#tscSequence };
  }

  /** The pages are guest RAM and come back with it. */
  restore(state: HypervisorRegistersState): void {
    restoreU64(this.guestOsId, state.guestOsId);
    restoreU64(this.hypercall, state.hypercall);
    restoreU64(this.referenceTsc, state.referenceTsc);
    this.#tscSequence = state.tscSequence;
  }
}

/** `HypervisorRegisters` as plain data. */
export type HypervisorRegistersState = { readonly guestOsId: string; readonly hypercall: string; readonly referenceTsc: string; readonly tscSequence: number };
