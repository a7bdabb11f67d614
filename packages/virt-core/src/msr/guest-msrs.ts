import { HvMsr } from '@paravisor/hcl-protocol';
import type { ReadonlyU64, U64 } from '@paravisor/hcl-protocol';
import { LocalApic } from '../apic/index.js';
import { MsrStatus } from '../contract/index.js';
import { Synic } from '../synic/index.js';
import type { ReferenceClock } from '../time/index.js';
import type { ArchitecturalMsrs, ArchitecturalMsrsState } from './architectural.js';
import type { GuestCrash } from './guest-crash.js';
import type { HypervisorRegisters } from './hypervisor-registers.js';
import type { VpAssistPage } from './vp-assist-page.js';

/** Whom a VTL's MSR accesses concern. */
export interface GuestMsrsOptions {
  readonly vpIndex: number;
  readonly apic: LocalApic;
  readonly synic: Synic;
  readonly clock: ReferenceClock;
  /** Virtual TSC frequency, Hz. */
  readonly tscFrequency: number;
  readonly shared: HypervisorRegisters;
  readonly assistPage: VpAssistPage;
  readonly crash: GuestCrash;
  readonly architectural: ArchitecturalMsrs;
  /** The guest wrote a SINT: which vectors the host may bring for it may be others now. */
  readonly sintWritten: () => void;
  /** The guest read the guest-idle MSR. */
  readonly idle: () => void;
}

/**
 * RDMSR and WRMSR of one VTL of one VP, as far as they exit: the local APIC's and the SynIC's registers go there, the rest of TLFS's synthetic MSRs
 * is here. Read-only registers answer a write with #GP; MSRs nobody knows read 0 and ignore writes.
 */
export class GuestMsrs {
  readonly #options: GuestMsrsOptions;

  constructor(options: GuestMsrsOptions) {
    this.#options = options;
  }

  read(msr: number, out: U64): MsrStatus {
    const { apic, synic, shared } = this.#options;
    if (LocalApic.owns(msr)) return apic.readMsr(msr, out);
    if (Synic.owns(msr)) return synic.readMsr(msr, out);
    switch (msr) {
      case HvMsr.GuestOsId:
        out.set(shared.guestOsId);
        break;
      case HvMsr.Hypercall:
        out.set(shared.hypercall);
        break;
      case HvMsr.VpIndex:
        out.setParts(this.#options.vpIndex, 0);
        break;
      case HvMsr.TimeRefCount:
        this.#options.clock.now(out);
        break;
      case HvMsr.ReferenceTsc:
        out.set(shared.referenceTsc);
        break;
      case HvMsr.TscFrequency:
        out.setNumber(this.#options.tscFrequency);
        break;
      case HvMsr.VpAssistPage:
        out.set(this.#options.assistPage.register);
        break;
      case HvMsr.GuestIdle:
        out.setParts(0, 0);
        this.#options.idle();
        break;
      default:
        return this.#options.crash.read(msr, out) ? MsrStatus.Ok : this.#options.architectural.read(msr, out);
    }
    return MsrStatus.Ok;
  }

  write(msr: number, value: ReadonlyU64): MsrStatus {
    const { apic, synic, shared } = this.#options;
    if (LocalApic.owns(msr)) return apic.writeMsr(msr, value);
    if (Synic.owns(msr)) {
      const status = synic.writeMsr(msr, value);
      if (Synic.isSint(msr)) this.#options.sintWritten();
      return status;
    }
    switch (msr) {
      case HvMsr.GuestOsId:
        return shared.writeGuestOsId(value);
      case HvMsr.Hypercall:
        return shared.writeHypercall(value);
      case HvMsr.ReferenceTsc:
        return shared.writeReferenceTsc(value);
      case HvMsr.VpAssistPage:
        return this.#options.assistPage.writeRegister(value);
      case HvMsr.VpIndex:
      case HvMsr.TimeRefCount:
      case HvMsr.TscFrequency:
        return MsrStatus.GeneralProtection;
      default:
        return this.#options.crash.write(msr, value) ? MsrStatus.Ok : this.#options.architectural.write(msr, value);
    }
  }

  /** What no other owner saves: SynIC, APIC, assist page, crash registers and partition-wide registers save themselves. */
  save(): ArchitecturalMsrsState {
    return this.#options.architectural.save();
  }

  restore(state: ArchitecturalMsrsState): void {
    this.#options.architectural.restore(state);
  }
}
