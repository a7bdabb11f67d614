/** The TDX backing's part of one VP (openvmm `TdxBacked`, in behaviour). */
import { EntryRcx, RunFlag, RunStatus, TdxStatus, TlbInvalidation, l2VmOfVtl, viewTdxRunPage } from '@paravisor/hcl-protocol';
import type { HclVp, TdxRunPage, U64 } from '@paravisor/hcl-protocol';
import { OffloadResult } from '@paravisor/virt-core';
import type { BackingVp, BackingVpContext, GuestRegisters, HardwareIsolatedGuestTimer, InitialRegisters, VmTimeAccess } from '@paravisor/virt-core';
import { ExitDispatch } from './exit-dispatch.js';
import { TdxGuestRegisters } from './guest-registers.js';
import { initializeLowerVtl } from './initial-state.js';
import { TdvpsAccess } from './l2-field.js';
import { LowerVtl } from './lower-vtl.js';
import { TscDeadlineState } from './timer/index.js';
import type { L2TscDeadlinePage, TdxTimerVp } from './timer/index.js';

/** A lower VTL with what is made around it. */
interface VtlParts {
  readonly state: LowerVtl;
  readonly registers: GuestRegisters;
  readonly exits: ExitDispatch;
}

/** A VP whose lower VTLs are L2 VMs of its VCPU. */
export class TdxVp implements BackingVp, TdxTimerVp {
  readonly vmTime: VmTimeAccess;
  /** Only touched by the TSC deadline service. */
  readonly tscDeadline = new TscDeadlineState();
  readonly deadlinePage: L2TscDeadlinePage;
  readonly #hcl: HclVp;
  readonly #page: TdxRunPage;
  readonly #guestTimer: HardwareIsolatedGuestTimer<TdxTimerVp>;
  readonly #access: TdvpsAccess;
  /** [VTL0, VTL1]. */
  readonly #vtls: readonly VtlParts[];
  /** The last run idled: it entered nothing, whatever the run page says. */
  #idled = false;

  constructor({ hcl, vmTime, apics, handlers }: BackingVpContext, guestTimer: HardwareIsolatedGuestTimer<TdxTimerVp>) {
    this.#hcl = hcl;
    this.vmTime = vmTime;
    this.#guestTimer = guestTimer;
    this.#access = new TdvpsAccess(hcl);
    const page = viewTdxRunPage(hcl.runPage);
    this.#page = page;
    this.deadlinePage = page.context.l2TscDeadline;
    this.#vtls = apics.map((apic, vtl) => {
      const state = new LowerVtl(vtl, this.#access, apic);
      const registers = new TdxGuestRegisters(page, state);
      return { state, registers, exits: new ExitDispatch(page, state, registers, handlers) };
    });
    // No proxied interrupt may come before user mode asks for it (facts of the run page at VP creation).
    page.proxyIrrBlocked.fill(0xffffffff);
  }

  rdtsc(out: U64): void {
    this.#hcl.rdtsc(out);
  }

  readonly registers = (vtl: number): GuestRegisters => this.#vtls[vtl]!.registers;

  initialize(vtl: number, registers: InitialRegisters): void {
    const { state } = this.#vtls[vtl]!;
    initializeLowerVtl(state, this.#access, this.#page, registers);
    state.events.reset();
  }

  /** What VTLs share is in the run page, once a VP; what each has for itself is written there before its run. */
  switchVtl(_from: number, _to: number): void {}

  flushTlb(vtl: number): void {
    this.#vtls[vtl]!.state.flushTlb = true;
  }

  /** An event that the last exit cut off was queued again right after that exit: only the round's offers are forgotten here. */
  deliverPendingEvents(_vtl: number): void {
    for (const { state } of this.#vtls) state.events.startRound();
  }

  /** Only noted here: what an entry injects is decided just before it, when every source has spoken. The APIC is told then. */
  offerInterrupt(vtl: number, vector: number): void {
    this.#vtls[vtl]!.state.events.offerInterrupt(vector);
  }

  offerNmi(vtl: number): void {
    this.#vtls[vtl]!.state.events.offerNmi();
  }

  injectException(vtl: number, vector: number, errorCode: number): void {
    this.#vtls[vtl]!.state.events.injectException(vector, errorCode);
  }

  pendingEventVector(vtl: number): number {
    return this.#vtls[vtl]!.state.events.pendingVector;
  }

  isInterruptPending(vtl: number, checkRflags: boolean): boolean {
    return this.#vtls[vtl]!.state.events.isInterruptPending(checkRflags);
  }

  /** The APIC's state stays in user mode. */
  offloadApic(_vtl: number): OffloadResult {
    return OffloadResult.NotOffloaded;
  }

  beforeRun(vtl: number, halted: boolean): void {
    const { state } = this.#vtls[vtl]!;
    const page = this.#page;
    this.#idled = halted;
    if (!halted) state.events.resolve();
    page.flags = halted ? page.flags | RunFlag.Halted : page.flags & ~RunFlag.Halted;
    page.context.entryRcx.setParts(state.flushTlb ? TlbInvalidation.AllContexts : 0, l2VmOfVtl(vtl) << EntryRcx.HighVmShift);
    this.#guestTimer.beginLowerVtlRun(this, vtl);
    state.registers.toRunPage(page);
  }

  afterRun(vtl: number, status: RunStatus): void {
    const { state, exits } = this.#vtls[vtl]!;
    state.registers.fromRunPage(this.#page);
    this.#guestTimer.endLowerVtlRun(this, vtl);
    if (status !== RunStatus.Finished) return;
    const { exitInfo } = this.#page.context;
    // Any status from PENDING_INTERRUPT on, real errors included, is taken as "never entered": go round again.
    if (exitInfo.rax.hi >>> 0 >= TdxStatus.PendingInterrupt) return;
    if (!this.#idled) {
      state.flushTlb = false;
      this.#access.generation++;
      state.events.entered(exitInfo.r10, exitInfo.r11.hi);
    }
    exits.dispatch();
  }
}
