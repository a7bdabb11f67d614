import { PAGE_SIZE, REGISTER_ENABLE, U64 } from '@paravisor/hcl-protocol';
import type { GuestMemoryLine, ReadonlyU64 } from '@paravisor/hcl-protocol';
import { MsrStatus } from '../contract/index.js';
import { hypercallPage, referenceTscPage } from './overlay-pages.js';
import type { ProcessorVendor } from './overlay-pages.js';

/** Bit 1 of the hypercall register: nothing may change until reset (TLFS "Establishing the Hypercall Interface"). */
const HYPERCALL_LOCKED = 2;

/** What the partition-wide registers need of the partition. */
export interface HypervisorRegistersOptions {
  readonly memory: GuestMemoryLine;
  readonly vendor: ProcessorVendor;
  /** Scale of the reference TSC page (`ReferenceTimeScale.pageScale`). */
  readonly referenceScale: ReadonlyU64;
}

/** Guest physical address in a page-pointing register: bits 51:12. */
function pageAddress(register: ReadonlyU64): number {
  return (register.hi & 0xfffff) * 0x1_0000_0000 + ((register.lo & ~(PAGE_SIZE - 1)) >>> 0);
}

/** The hypervisor registers that all VPs of one VTL share: guest OS identity, hypercall page, reference TSC page. */
export class HypervisorRegisters {
  readonly guestOsId = new U64();
  readonly hypercall = new U64();
  readonly referenceTsc = new U64();
  readonly #options: HypervisorRegistersOptions;
  #tscSequence = 0;

  constructor(options: HypervisorRegistersOptions) {
    this.#options = options;
  }

  /** Without an identity there is no hypercall page (TLFS "Reporting the Guest OS Identity"). */
  writeGuestOsId(value: ReadonlyU64): MsrStatus {
    this.guestOsId.set(value);
    if (this.guestOsId.isZero()) this.hypercall.lo &= ~REGISTER_ENABLE;
    return MsrStatus.Ok;
  }

  /** A locked register ignores writes; the enable bit needs a guest OS identity. #GP when the page lies outside RAM. */
  writeHypercall(value: ReadonlyU64): MsrStatus {
    if ((this.hypercall.lo & HYPERCALL_LOCKED) !== 0) return MsrStatus.Ok;
    const enable = (value.lo & REGISTER_ENABLE) !== 0 && !this.guestOsId.isZero();
    if (enable && !this.#options.memory.write(pageAddress(value), hypercallPage(this.#options.vendor))) return MsrStatus.GeneralProtection;
    this.hypercall.setParts(enable ? value.lo : value.lo & ~REGISTER_ENABLE, value.hi);
    return MsrStatus.Ok;
  }

  /** Each enabling write publishes the page under a new sequence, from 1 and never 0, which would mean "do not use". #GP outside RAM. */
  writeReferenceTsc(value: ReadonlyU64): MsrStatus {
    if ((value.lo & REGISTER_ENABLE) !== 0) {
      const sequence = (this.#tscSequence + 1) >>> 0 || 1;
      const page = referenceTscPage(sequence, this.#options.referenceScale);
      if (!this.#options.memory.write(pageAddress(value), page)) return MsrStatus.GeneralProtection;
      this.#tscSequence = sequence;
    }
    this.referenceTsc.set(value);
    return MsrStatus.Ok;
  }
}
