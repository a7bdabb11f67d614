import type { RunPage } from '@paravisor/hcl-protocol';
import type { LocalApic } from '../apic/index.js';

const BANKS = 8;

/** Interrupts the host asks for in VTL0 of one VP: the driver leaves them in the run page (openvmm `proxy_irr`). */
export class ProxiedInterrupts {
  readonly #page: RunPage;
  readonly #apic: LocalApic;
  readonly #taken = new Uint32Array(BANKS);

  /** `apic` is VTL0's. */
  constructor(page: RunPage, apic: LocalApic) {
    this.#page = page;
    this.#apic = apic;
  }

  /** Before each scan of VTL0's APIC: what the driver left goes into IRR. */
  take(): void {
    const page = this.#page;
    if (page.scanProxyIrr === 0) return;
    page.scanProxyIrr = 0;
    const { proxyIrr } = page;
    for (let bank = 0; bank < BANKS; bank++) {
      this.#taken[bank] = proxyIrr[bank]!;
      proxyIrr[bank] = 0;
    }
    this.#apic.requestProxied(this.#taken);
  }
}
