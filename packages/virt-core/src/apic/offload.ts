/**
 * A local APIC whose IRR and ISR hardware keeps in a virtual-APIC page (openvmm `virt_support_apic`, APIC offload). Requests are taken over here as ever;
 * `push` hands them to the page, and what has to look at IRR or ISR pulls both back first.
 */
import type { ApicRequests } from './requests.js';
import { VectorSet } from './vector-set.js';

/** Where hardware keeps IRR and ISR: behind the backing. */
export interface ApicOffloadTarget {
  /** Adds IRR and ISR to those of the page. `tmr` tells which vectors are level-triggered, so that their EOI has to exit. */
  push(irr: VectorSet, isr: VectorSet, tmr: VectorSet): void;
  /** Takes IRR and ISR out of the page, which is empty then. */
  pull(irr: VectorSet, isr: VectorSet): void;
}

/** How a push came out. */
export const PushResult = {
  /** The APIC is not offloaded, or there was nothing new. */
  Nothing: 0,
  Pushed: 1,
  /** An auto-EOI request is about, which hardware cannot do: take the offload off. */
  NotSupported: 2,
} as const;
export type PushResult = (typeof PushResult)[keyof typeof PushResult];

/** What `ApicOffload.save` gives. */
export type ApicOffloadState = { readonly enabled: boolean; readonly needsPush: boolean };

/** The offload of one local APIC. */
export class ApicOffload {
  /** IRR and ISR are hardware's. */
  enabled = false;
  readonly #requests: ApicRequests;
  readonly #irr = new VectorSet();
  readonly #isr = new VectorSet();
  #target: ApicOffloadTarget | null = null;
  /** Something here has to be pushed before the guest runs again. */
  #needsPush = false;

  constructor(requests: ApicRequests) {
    this.#requests = requests;
  }

  attach(target: ApicOffloadTarget): void {
    this.#target = target;
  }

  enable(): void {
    this.enabled = true;
    this.#needsPush = true;
  }

  /** For good: IRR and ISR are this side's again. */
  disable(): void {
    this.pull();
    this.enabled = false;
  }

  /** IRR changed. */
  requestsChanged(): void {
    this.#needsPush = true;
  }

  /** Brings IRR and ISR back, as far as hardware has them: before this side reads or changes either. */
  pull(): void {
    if (!this.enabled) return;
    this.#target!.pull(this.#irr, this.#isr);
    this.#requests.accumulate(this.#irr, this.#isr);
    this.#needsPush = true;
  }

  /** Before a run. Nothing is pushed while the APIC is software-disabled. */
  push(softwareEnabled: boolean): PushResult {
    if (!this.enabled || !this.#needsPush || !softwareEnabled) return PushResult.Nothing;
    const requests = this.#requests;
    if (requests.activeAutoEoi) return PushResult.NotSupported;
    this.#target!.push(requests.irr, requests.isr, requests.tmr);
    requests.irr.clear();
    requests.isr.clear();
    this.#needsPush = false;
    return PushResult.Pushed;
  }

  /** Registers were reset: what is pending was forgotten on this side, and is not looked at (openvmm `reset_registers`). */
  reset(): void {
    this.#needsPush = false;
  }

  save(): ApicOffloadState {
    return { enabled: this.enabled, needsPush: this.#needsPush };
  }

  restore({ enabled, needsPush }: ApicOffloadState): void {
    this.enabled = enabled;
    this.#needsPush = needsPush;
  }
}
