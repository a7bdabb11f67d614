/** One VP of a machine: its register contexts and pages, and the way to run a context in virtual time. */
import { restoreBytes, saveBytes } from '@paravisor/hcl-protocol';
import type { ReadonlyU64 } from '@paravisor/hcl-protocol';
import { XCR0_SUPPORTED, createProcessor, stateLayout } from '@paravisor/x86-cpu';
import type { Executor, MachineMemory, Processor, ProcessorState } from '@paravisor/x86-cpu';
import type { VpClock, VpClockState } from './clock.js';
import type { GuestStop, VpMachine } from './contract.js';
import type { CostModel } from './cost.js';
import { ContextClock, GuestRun } from './guest-run.js';
import type { HostVp, HostVpState } from './host.js';
import type { KernelTimers, KernelTimersState } from './kernel-timers.js';
import type { Ledger } from './ledger.js';
import type { MachineObserver } from './observer.js';
import type { Schedule } from './schedule.js';

export const LOWER_VTLS = 2;
/** Run page, APIC page, VMSA of VTL0 and VTL1. */
export const PAGES_A_VP = 4;

/** What a machine gives one of its VPs. */
export type MachineVpParts = Pick<VpMachine, 'index' | 'clock' | 'host' | 'timers' | 'costs' | 'ledger' | 'observer' | 'memory'> & { readonly schedule: Schedule };

export type MachineVpState = {
  readonly clock: VpClockState;
  readonly host: HostVpState;
  readonly timers: KernelTimersState;
  readonly lastVtl: number;
  readonly run: number;
  /** Run page, APIC page, VMSA of VTL0 and VTL1. */
  readonly pages: readonly string[];
  readonly processors: readonly ProcessorState[];
};

export class MachineVp implements VpMachine {
  readonly index: number;
  readonly clock: VpClock;
  readonly host: HostVp;
  readonly timers: KernelTimers;
  readonly costs: CostModel;
  readonly ledger: Ledger;
  readonly observer: MachineObserver;
  readonly memory: MachineMemory;
  readonly processors: readonly Processor[];
  readonly runPage: Uint8Array;
  readonly apicPage: Uint8Array;
  readonly vmsaPages: readonly Uint8Array[];
  /** The lower VTL that ran last; VTL0 at first. */
  lastVtl = 0;
  readonly #run: GuestRun;
  readonly #times: readonly ContextClock[];

  constructor(parts: MachineVpParts, vendor: 'intel' | 'amd', executor: Executor) {
    this.index = parts.index;
    this.clock = parts.clock;
    this.host = parts.host;
    this.timers = parts.timers;
    this.costs = parts.costs;
    this.ledger = parts.ledger;
    this.observer = parts.observer;
    this.memory = parts.memory;
    const page = (kind: number) => parts.memory.hostPage(parts.index * PAGES_A_VP + kind);
    this.runPage = page(0);
    this.apicPage = page(1);
    this.vmsaPages = [page(2), page(3)];
    this.#run = new GuestRun(parts);
    this.#times = Array.from({ length: LOWER_VTLS }, () => new ContextClock(parts.clock, parts.schedule));
    this.processors = this.#times.map((clock, vtl) => {
      const processor = createProcessor(parts.memory, { index: parts.index * LOWER_VTLS + vtl, permissionTable: vtl, vendor, clock, executor });
      clock.attach(processor);
      return processor;
    });
  }

  /** XSETBV in VTL2's kernel: what no processor of the VP takes faults and changes nothing. */
  writeXcr0(value: ReadonlyU64): boolean {
    if (value.hi !== 0 || (value.lo & ~XCR0_SUPPORTED) !== 0 || (value.lo & 1) === 0) return false;
    for (const { i32 } of this.processors) i32[stateLayout.xcr0 >> 2] = value.lo;
    return true;
  }

  runGuest(processor: Processor, deadlineTicks: number): GuestStop {
    this.lastVtl = processor === this.processors[0] ? 0 : 1;
    return this.#run.run(processor, this.#times[this.lastVtl]!, deadlineTicks);
  }

  get #pages(): readonly Uint8Array[] {
    return [this.runPage, this.apicPage, ...this.vmsaPages];
  }

  save(): MachineVpState {
    return {
      clock: this.clock.save(),
      host: this.host.save(),
      timers: this.timers.save(),
      lastVtl: this.lastVtl,
      run: this.#run.save(),
      pages: this.#pages.map(saveBytes),
      processors: this.processors.map((processor) => processor.save()),
    };
  }

  /** Guest RAM and its permissions have been restored before. */
  restore({ clock, host, timers, lastVtl, run, pages, processors }: MachineVpState): void {
    this.clock.restore(clock);
    this.host.restore(host);
    this.timers.restore(timers);
    this.lastVtl = lastVtl;
    this.#run.restore(run);
    for (const [kind, page] of this.#pages.entries()) restoreBytes(page, pages[kind]!);
    for (const [vtl, processor] of this.processors.entries()) {
      processor.restore(processors[vtl]!);
      this.#times[vtl]!.attach(processor);
    }
  }
}
