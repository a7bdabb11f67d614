import type { Paravisor, ParavisorState } from '@paravisor/virt-core';
import type { Ledger, Machine, MachineState } from '@paravisor/virt-machine';
import type { Plain } from '@paravisor/hcl-protocol';
import type { DeviceBus, DeviceBusState } from './chipset/chipset.js';
import type { GuestRecord, GuestRecordState, RunOutcome } from './guest-record.js';
import { registerLine } from './register-dump.js';
import { sealState } from './state/partition-state.js';
import type { PartitionState } from './state/partition-state.js';
import type { TimerStatistics, TimerStatisticsState, TimerSummary } from './timer-statistics.js';

/** Virtual time a run may take. */
export interface RunLimits {
  /** From the partition's start, ns. */
  readonly timeoutNs: number;
}

interface PartitionParts {
  readonly machine: Machine;
  readonly paravisor: Paravisor;
  readonly statistics: TimerStatistics;
  readonly record: GuestRecord;
  readonly chipset: DeviceBus;
  /** What the partition was made with, as far as its behaviour depends on it. */
  readonly identity: () => Fields;
}

type Fields = { readonly [name: string]: Plain };

/** The state of a partition's parts. */
type PartsState = {
  readonly machine: MachineState;
  readonly paravisor: ParavisorState;
  readonly record: GuestRecordState;
  readonly statistics: TimerStatisticsState;
  readonly chipset: DeviceBusState;
};

const NS_PER_SECOND = 1e9;

/** A machine with a paravisor and a guest in it. */
export class Partition {
  readonly #parts: PartitionParts;

  /** Made by `createPartition`. */
  constructor(parts: PartitionParts) {
    this.#parts = parts;
  }

  /** What the partition really uses, after capability and options. */
  get usesHardwareTimer(): boolean {
    return this.#parts.paravisor.usesHardwareTimer;
  }

  get guestTimer(): 'hardware' | 'vmtime' {
    return this.usesHardwareTimer ? 'hardware' : 'vmtime';
  }

  /** Every exit so far. */
  get ledger(): Ledger {
    return this.#parts.machine.ledger;
  }

  /** Guest timers so far. */
  get timers(): TimerSummary {
    return this.#parts.statistics.summary();
  }

  /** The guest's log lines. */
  get log(): readonly string[] {
    return this.#parts.record.log.lines;
  }

  /** Commands of the guest that could not be followed, and writes nobody claimed: for diagnosis. */
  get diagnostics(): readonly string[] {
    const unclaimed = this.#parts.chipset.unclaimedWrites.map(({ space, address, size }) => `unclaimed ${space} write of ${size} bytes at 0x${address.toString(16)}`);
    return [...this.#parts.record.ignored.lines, ...unclaimed];
  }

  /** Guest instructions retired by all VPs. */
  get instructions(): number {
    return this.#parts.machine.retired;
  }

  /** Virtual time since the partition's start, ns. */
  get virtualNs(): number {
    const { machine } = this.#parts;
    return machine.osTime.nsOf(machine.now);
  }

  /** Runs the guest until it says how it went, faults, or the virtual time is up. An ended partition stays ended. */
  run({ timeoutNs }: RunLimits): RunOutcome {
    const { machine, record } = this.#parts;
    const limit = machine.schedule(machine.osTime.ticksAt(timeoutNs), () => {
      record.end({ kind: 'timeout', reason: `the guest was still running after ${timeoutNs / NS_PER_SECOND} virtual seconds` });
      machine.stop();
    });
    while (record.outcome === null) {
      if (!this.#runNextVp()) record.end({ kind: 'timeout', reason: 'every VP is idle and nothing will wake one' });
    }
    machine.unschedule(limit);
    return record.outcome;
  }

  /**
   * Runs the guest until every VP that can run has reached `tick`, an absolute tick of the virtual TSC, and stands still there: it can be saved, or run on
   * as if nothing had been. How the run ended, or null when it did not.
   */
  runTo(tick: number): RunOutcome | null {
    const { machine, record } = this.#parts;
    machine.pauseAt(tick);
    while (record.outcome === null && this.#runNextVp());
    machine.pauseAt(Infinity);
    return record.outcome;
  }

  /** The partition's state, sealed, as plain data that JSON carries without loss. See `restorePartition`. */
  save(): PartitionState {
    return sealState(this.#parts.identity(), this.#saveParts());
  }

  #saveParts(): PartsState {
    const { machine, paravisor, record, statistics, chipset } = this.#parts;
    return { machine: machine.save(), paravisor: paravisor.save(), record: record.save(), statistics: statistics.save(), chipset: chipset.save() };
  }

  /**
   * Called once by `restorePartition`, on a partition freshly made: `open` gets what such a partition was made with and its own state, and gives the state to
   * go on with.
   */
  restore(open: (own: { readonly options: Fields; readonly state: Fields }) => Fields): void {
    const { machine, paravisor, record, statistics, chipset } = this.#parts;
    const state = open({ options: this.#parts.identity(), state: this.#saveParts() }) as PartsState;
    machine.restore(state.machine);
    paravisor.restore(state.paravisor);
    record.restore(state.record);
    statistics.restore(state.statistics);
    chipset.restore(state.chipset);
    if (record.outcome !== null) machine.stop();
  }

  /** Lets the VP whose turn it is run as far as it may. False when there is none. */
  #runNextVp(): boolean {
    const { machine, paravisor, record } = this.#parts;
    const index = machine.nextVp();
    const vp = paravisor.vps[index];
    if (vp === undefined) return false;
    const fault = vp.run();
    if (fault === null) return true;
    const registers = registerLine(paravisor.vps[fault.vp]!.backing.registers(fault.vtl));
    record.end({ kind: 'faulted', reason: `VP ${fault.vp} VTL${fault.vtl}: ${fault.reason}; ${registers}` });
    return true;
  }
}
