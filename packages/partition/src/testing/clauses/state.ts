/** Saved state: a partition goes on from it as if nothing had been. */
import { createPartition, restorePartition } from '../../create-partition.js';
import type { PartitionOptions } from '../../options.js';
import type { Partition } from '../../partition.js';
import { clause } from '../clause.js';
import type { ContractClause } from '../clause.js';
import { contractLoader } from '../guest.js';
import type { ContractGuest } from '../guest.js';

const TSC_HZ = 2_000_000_000;
const END_TICK = TSC_HZ / 200;
/** Points of time to save at, in ticks: among the guest's start, and anywhere between two of its timer's ticks. */
const SAVED_AT = [1_000, 40_003, 777_777, 2_100_001, 5_432_109];

/** Runs to the end and tells everything there is to tell. */
function endOf(partition: Partition): string {
  const outcome = partition.runTo(END_TICK);
  const { ledger, timers, log, instructions, virtualNs } = partition;
  return JSON.stringify({ outcome, exits: ledger.snapshot(), timers, log, instructions, virtualNs, state: partition.save() });
}

/** The clause of saved state, for a guest with a timer that is always armed. */
export const stateClauses = (guest: ContractGuest): readonly ContractClause[] => [
  clause('saved-state-goes-on-alike', 'a partition restored from its state at any time runs on with the same exits, timers and bytes as the one that was saved', ({ backing, require }) => {
    const options: PartitionOptions = { backing, load: contractLoader(guest), tscHz: TSC_HZ };
    const expected = endOf(createPartition(options));
    for (const tick of SAVED_AT) {
      const partition = createPartition(options);
      partition.runTo(tick);
      const text = JSON.stringify(partition.save());
      const restored = restorePartition(options, JSON.parse(text));
      require(JSON.stringify(restored.save()) === text, `restored from its state at tick ${tick}, it saves another state`);
      require(endOf(restored) === expected, `restored from its state at tick ${tick}, it ends otherwise than without`);
    }
  }),
];
