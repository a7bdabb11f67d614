import type { Paravisor } from '@paravisor/virt-core';
import type { Ledger, Machine } from '@paravisor/virt-machine';
import type { UnclaimedWrite } from './chipset/chipset.js';
import type { GuestRecord, RunOutcome } from './guest-record.js';
import { registerLine } from './register-dump.js';
import type { TimerStatistics, TimerSummary } from './timer-statistics.js';

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
  readonly unclaimedWrites: readonly UnclaimedWrite[];
}

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
    const unclaimed = this.#parts.unclaimedWrites.map(({ space, address, size }) => `unclaimed ${space} write of ${size} bytes at 0x${address.toString(16)}`);
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
    while (record.outcome === null) this.#runNextVp();
    machine.unschedule(limit);
    return record.outcome;
  }

  /** Lets the VP whose turn it is run as far as it may. */
  #runNextVp(): void {
    const { machine, paravisor, record } = this.#parts;
    const index = machine.nextVp();
    const vp = paravisor.vps[index];
    if (vp === undefined) {
      record.end({ kind: 'timeout', reason: 'every VP is idle and nothing will wake one' });
      return;
    }
    const fault = vp.run();
    if (fault === null) return;
    const registers = registerLine(paravisor.vps[fault.vp]!.backing.registers(fault.vtl));
    record.end({ kind: 'faulted', reason: `VP ${fault.vp} VTL${fault.vtl}: ${fault.reason}; ${registers}` });
  }
}
