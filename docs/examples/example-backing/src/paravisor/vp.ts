/** The backing's part of one VP. */
import { RunFlag, RunStatus, viewRunPage } from '@paravisor/hcl-protocol';
import type { RunPage } from '@paravisor/hcl-protocol';
import { OffloadResult } from '@paravisor/virt-core';
import type { BackingVp, BackingVpContext, GuestRegisters, HardwareIsolatedGuestTimer, InitialRegisters, VmTimeAccess } from '@paravisor/virt-core';
import { viewContext, viewXmm } from '../abi/context.js';
import type { ExampleExit, VtlState } from '../abi/context.js';
import { PendingEvents } from './events.js';
import type { PendingEventsState } from './events.js';
import { Exits } from './exits.js';
import { ExampleRegisters, copyShared, initializeState } from './registers.js';

/** One lower VTL. */
interface LowerVtl {
  readonly state: VtlState;
  readonly registers: ExampleRegisters;
  readonly events: PendingEvents;
  readonly exits: Exits;
}

export class ExampleVp implements BackingVp {
  readonly vmTime: VmTimeAccess;
  readonly #page: RunPage;
  readonly #exit: ExampleExit;
  readonly #guestTimer: HardwareIsolatedGuestTimer<ExampleVp>;
  /** [VTL0, VTL1]. */
  readonly #vtls: readonly LowerVtl[];
  /** The last run idled: it entered nothing, whatever the run page says. */
  #idled = false;

  constructor({ hcl, vmTime, apics, handlers }: BackingVpContext, guestTimer: HardwareIsolatedGuestTimer<ExampleVp>) {
    this.vmTime = vmTime;
    this.#guestTimer = guestTimer;
    this.#page = viewRunPage(hcl.runPage);
    const { exit, vtls } = viewContext(hcl.runPage);
    this.#exit = exit;
    const xmm = viewXmm(hcl.runPage);
    this.#vtls = apics.map((apic, vtl) => {
      const state = vtls[vtl]!;
      const registers = new ExampleRegisters(state, xmm);
      const events = new PendingEvents(state, apic);
      apic.attachCr8(registers);
      return { state, registers, events, exits: new Exits({ vtl, exit, state, events, handlers }) };
    });
    // No proxied interrupt may come before user mode asks for it.
    this.#page.proxyIrrBlocked.fill(0xffffffff);
  }

  readonly registers = (vtl: number): GuestRegisters => this.#vtls[vtl]!.registers;

  initialize(vtl: number, registers: InitialRegisters): void {
    const { state, events } = this.#vtls[vtl]!;
    initializeState(state, registers);
    events.reset();
  }

  switchVtl(from: number, to: number): void {
    copyShared(this.#vtls[from]!.state, this.#vtls[to]!.state);
  }

  flushTlb(vtl: number): void {
    this.#vtls[vtl]!.state.flushTlb = 1;
  }

  /** What the last exit cut off was queued again right after it: only the round's offers are forgotten here. */
  deliverPendingEvents(): void {
    for (const { events } of this.#vtls) events.startRound();
  }

  /** Only noted: what an entry injects is chosen just before it, and the APIC told when it was delivered. */
  offerInterrupt(vtl: number, vector: number): void {
    this.#vtls[vtl]!.events.offerInterrupt(vector);
  }

  offerNmi(vtl: number): void {
    this.#vtls[vtl]!.events.offerNmi();
  }

  injectException(vtl: number, vector: number, errorCode: number): void {
    this.#vtls[vtl]!.events.injectException(vector, errorCode);
  }

  pendingEventVector(vtl: number): number {
    return this.#vtls[vtl]!.events.nextVector;
  }

  isInterruptPending(vtl: number, checkRflags: boolean): boolean {
    return this.#vtls[vtl]!.events.isPending(checkRflags);
  }

  /** No hardware knows the local APIC. */
  offloadApic(): OffloadResult {
    return OffloadResult.NotOffloaded;
  }

  beforeRun(vtl: number, halted: boolean): void {
    const page = this.#page;
    this.#guestTimer.beginLowerVtlRun(this, vtl);
    this.#idled = halted;
    if (!halted) this.#vtls[vtl]!.events.choose();
    page.flags = halted ? page.flags | RunFlag.Halted : page.flags & ~RunFlag.Halted;
    page.targetVtl = vtl;
  }

  /** A run that was cancelled, or that idled, has entered nothing: there is no exit. */
  afterRun(vtl: number, status: RunStatus): void {
    this.#guestTimer.endLowerVtlRun(this, vtl);
    if (status !== RunStatus.Finished || this.#idled) return;
    const { events, exits } = this.#vtls[vtl]!;
    events.entered(this.#exit);
    exits.dispatch();
  }

  /** The lower VTLs' registers are in the run page, which the machine saves. */
  save(): ExampleVpState {
    return { events: this.#vtls.map(({ events }) => events.save()), idled: this.#idled };
  }

  restore({ events, idled }: ExampleVpState): void {
    for (const [vtl, state] of events.entries()) this.#vtls[vtl]!.events.restore(state);
    this.#idled = idled;
  }
}

/** `ExampleVp` as plain data. */
export type ExampleVpState = { readonly events: readonly PendingEventsState[]; readonly idled: boolean };
