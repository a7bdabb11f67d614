/** A partition under the contract's eyes, run by its own loop or driven by hand, a round at a time. */
import { RunStatus, U64, u64ToNumber, viewRunPage } from '@paravisor/hcl-protocol';
import type { HclVp, RunPage } from '@paravisor/hcl-protocol';
import { ReferenceClock } from '@paravisor/virt-core';
import type { BackingShared, BackingVp, BackingVpContext } from '@paravisor/virt-core';
import { createPartition } from '../create-partition.js';
import type { RunOutcome } from '../guest-record.js';
import type { PartitionObserver } from '../observer.js';
import type { PartitionOptions } from '../options.js';
import type { Partition } from '../partition.js';
import type { Subject } from './clause.js';
import { contractLoader } from './guest.js';
import type { ContractGuest } from './guest.js';
import { Record, cellOf, watched } from './watched.js';

const TSC_HZ = 2_000_000_000;
const NS_PER_REFERENCE_UNIT = 100;
const LONGEST_ROUND = 50_000;

export interface RigOptions extends Pick<PartitionOptions, 'guestTimer'> {
  readonly observer?: PartitionObserver;
}

/** What a round driven by hand is to do. */
export interface Round {
  /** Reference times handed to the timer, in this order; none leaves nothing wanted. */
  readonly deadlines?: readonly number[];
  /** Reference time at which VTL2 is called back whatever the timer does; 5 ms from now unless given, so that no round lasts for ever. */
  readonly callBackAt?: number;
  /** `cancel` is found set by the ioctl. */
  readonly cancel?: boolean;
  readonly vtl?: number;
}

export class ContractRig {
  readonly record = new Record();
  readonly partition: Partition;
  readonly shared: BackingShared;
  /** The first VP, and what it was made with. */
  readonly vp: BackingVp;
  readonly context: BackingVpContext;
  readonly #hcl: HclVp;
  readonly #page: RunPage;
  readonly #clock: ReferenceClock;
  readonly #cell = new U64();

  constructor({ backing }: Pick<Subject, 'backing'>, guest: ContractGuest, { observer, ...options }: RigOptions = {}) {
    this.partition = createPartition({
      backing: watched(backing, this.record),
      load: contractLoader(guest),
      tscHz: TSC_HZ,
      ...options,
      ...(observer === undefined ? {} : { observer }),
    });
    const { shared, hcl, vps, contexts } = this.record;
    if (shared === null || hcl === null || vps.length === 0) throw new Error('createPartition made no VP of the backing');
    this.shared = shared;
    this.vp = vps[0]!;
    this.context = contexts[0]!;
    this.#hcl = hcl.vps[0]!;
    this.#page = viewRunPage(this.#hcl.runPage);
    this.#clock = new ReferenceClock(this.#hcl, TSC_HZ);
  }

  /** Reference time now, 100 ns. */
  now(): number {
    this.#clock.now(this.#cell);
    return this.#cell.toNumber();
  }

  /** The partition's own loop, until the guest ends or `microseconds` of virtual time are up. */
  run(microseconds: number): RunOutcome {
    return this.partition.run({ timeoutNs: this.partition.virtualNs + microseconds * 1000 });
  }

  /**
   * One round as the VP loop goes round, for a clause that wants to say what happens in it: forget the timeout, clear, update, arm the host's timer, run.
   * Returns the ioctl's status, or null when the timeout had come already, so that there was no reason to run.
   */
  round({ deadlines = [], callBackAt = this.now() + LONGEST_ROUND, cancel = false, vtl = 0 }: Round = {}): RunStatus | null {
    const { vp, shared, context } = this;
    this.#page.cancel = 0;
    context.vmTime.cancelTimeout();
    shared.guestTimer.clearDeadline(vp);
    vp.deliverPendingEvents(vtl);
    for (const next of deadlines) {
      const now = cellOf(this.now());
      shared.guestTimer.updateDeadline(vp, now, cellOf(next));
    }
    if (!this.#armHostTimer(callBackAt)) return null;
    if (cancel) this.#page.cancel = 1;
    vp.beforeRun(vtl, false);
    const status = this.#hcl.run();
    if (status === RunStatus.Pending || status === RunStatus.Failed) throw new Error(`the run ioctl returned ${status} in a partition of one VP`);
    vp.afterRun(vtl, status);
    return status;
  }

  /** Goes round until `done`, at most `limit` times. Returns the number of rounds. */
  rounds(limit: number, done: () => boolean, round: Round = {}): number {
    for (let count = 0; count < limit; count++) {
      if (done()) return count;
      this.round(round);
    }
    return limit;
  }

  /** False when the timeout is not in the future. */
  #armHostTimer(callBackAt: number): boolean {
    const { vmTime } = this.context;
    const os = new U64();
    this.#hcl.osTimeNs(os);
    let expiry = callBackAt * NS_PER_REFERENCE_UNIT;
    if (vmTime.hasTimeout) {
      vmTime.hostTimeNs(vmTime.timeout, this.#cell);
      expiry = Math.min(expiry, this.#cell.toNumber());
    }
    if (expiry <= u64ToNumber(os)) return false;
    this.#hcl.armTimer(cellOf(expiry));
    return true;
  }
}
