import type { HclVp } from '@paravisor/hcl-protocol';
import type { BackingVp, InitialRegisters } from '../contract/index.js';
import { StartKind } from '../vsm/index.js';
import type { GuestVsm, VpVsm, VtlSwitch } from '../vsm/index.js';
import { Activity, WakeReason } from './lower-vtl.js';
import type { LowerVtl } from './lower-vtl.js';
import { resetRegisters, writeInitState, writeStartupState } from './reset-state.js';

const VTL0 = 0;
const VTL1 = 1;

/** Whose start it is about. */
export interface VpStartupOptions {
  readonly hcl: HclVp;
  readonly backing: BackingVp;
  readonly guestVsm: GuestVsm;
  readonly vsm: VpVsm;
  readonly vtlSwitch: VtlSwitch;
}

/** How the lower VTLs of a VP come to run: power-on, INIT and start-up IPIs, and requests by hypercall. All in the VP's own thread. */
export class VpStartup {
  readonly #options: VpStartupOptions;

  constructor(options: VpStartupOptions) {
    this.#options = options;
  }

  /** The first VP has the loader's registers, others those of reset. */
  powerOn(lowerVtl: LowerVtl, registers: InitialRegisters): void {
    const { hcl } = this.#options;
    const first = hcl.index === 0;
    this.#enable(lowerVtl, first ? registers : resetRegisters(hcl));
    if (!first) lowerVtl.activity = Activity.WaitForSipi;
  }

  /** Enabling gives VTL1 its state; starting gives the VP one and lets it run, from the highest VTL it has (openvmm `hcvm_handle_vp_start_enable_vtl`). */
  takeRequest(lowerVtl: LowerVtl): void {
    const { backing, vsm, vtlSwitch } = this.#options;
    const { vtl } = lowerVtl;
    const request = vsm.requests[vtl]!;
    if (request === null) return;
    vsm.requests[vtl] = null;
    const registers = backing.registers(vtl);
    if (request.kind === StartKind.EnableVpVtl) {
      vsm.vtl1Enabled = true;
      this.#enable(lowerVtl, request.toInitialRegisters(registers));
    } else {
      request.writeTo(registers);
      if (vtl === VTL1 || vsm.vtl1Enabled) vtlSwitch.activeVtl = VTL1;
    }
    lowerVtl.activity = Activity.Running;
  }

  /** INIT: the first VP goes on as it was, halted or running, from its reset vector; others wait for a start-up IPI. */
  init(lowerVtl: LowerVtl): void {
    const { hcl, backing } = this.#options;
    if (!this.#allowed(lowerVtl)) return;
    writeInitState(backing.registers(lowerVtl.vtl), hcl);
    lowerVtl.apic.init();
    if (hcl.index !== 0) lowerVtl.activity = Activity.WaitForSipi;
  }

  /** A start-up IPI, which only a VP that waits for it takes. */
  startUp(lowerVtl: LowerVtl, vector: number): void {
    if (lowerVtl.activity !== Activity.WaitForSipi || !this.#allowed(lowerVtl)) return;
    writeStartupState(this.#options.backing.registers(lowerVtl.vtl), vector);
    lowerVtl.activity = Activity.Running;
  }

  /** INIT and start-up IPIs are for VTL0, unless VTL1 forbids them. */
  #allowed({ vtl }: LowerVtl): boolean {
    return vtl === VTL0 && !this.#options.guestVsm.denyLowerVtlStartup;
  }

  /** Its first round looks at staged requests. */
  #enable(lowerVtl: LowerVtl, registers: InitialRegisters): void {
    this.#options.backing.initialize(lowerVtl.vtl, registers);
    lowerVtl.enabled = true;
    lowerVtl.wakeReasons |= WakeReason.Apic;
  }
}
