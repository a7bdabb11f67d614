/** `--trace`: one JSON line an event, in the order of events. */
import type { PartitionObserver } from '@paravisor/partition';
import type { OutputFile } from './output.js';
import { eventObserver } from './trace-events.js';

/** Writes the events of one test after another; a line of its own says which test follows. */
export class Trace {
  readonly #file: OutputFile;
  readonly #tscHz: number;

  constructor(file: OutputFile, tscHz: number) {
    this.#file = file;
    this.#tscHz = tscHz;
  }

  /** The observer for the partition of one test. */
  observe(backing: string, test: string): PartitionObserver {
    this.#write({ event: 'test', backing, test });
    return eventObserver(this.#tscHz, (event) => this.#write(event));
  }

  /** What was noted while the test ran and fits no moment: commands that could not be followed, writes that nobody claimed. */
  diagnose(notes: readonly string[]): void {
    for (const note of notes) this.#write({ event: 'note', note });
  }

  #write(event: object): void {
    this.#file.write(`${JSON.stringify(event)}\n`);
  }
}
