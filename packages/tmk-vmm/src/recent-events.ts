import type { PartitionObserver } from '@paravisor/partition';
import { eventObserver } from './trace-events.js';

const KEPT = 64;

/** Keeps the last events of a run, for the report on a fault. */
export class RecentEvents {
  readonly #ring: object[] = [];
  #next = 0;
  readonly observer: PartitionObserver;

  constructor(tscHz: number) {
    this.observer = eventObserver(tscHz, (event) => {
      this.#ring[this.#next++ % KEPT] = event;
    });
  }

  /** Oldest first. */
  list(): readonly object[] {
    const start = this.#next % KEPT;
    return this.#next <= KEPT ? [...this.#ring] : [...this.#ring.slice(start), ...this.#ring.slice(0, start)];
  }
}
