/** How a guest's run ended. */
export interface RunOutcome {
  readonly kind: 'passed' | 'failed' | 'faulted' | 'timeout';
  /** Why, in one line; null when it passed. */
  readonly reason: string | null;
  /** Of a guest that wrote to the exit port: the status that QEMU's process would end with. */
  readonly exitStatus?: number;
}

/** How much of a guest's text is kept: a guest in a loop must not fill the host's memory. */
const LINES_KEPT = 10_000;
const CHARACTERS_KEPT = 4 * 1024 * 1024;

/** Lines that end, with a line that says so, where they become too many. */
class BoundedLines {
  readonly lines: string[] = [];
  #characters = 0;
  #full = false;

  save(): readonly string[] {
    return [...this.lines];
  }

  restore(lines: readonly string[]): void {
    for (const line of lines) this.add(line);
  }

  add(line: string): void {
    if (this.#full) return;
    this.#characters += line.length;
    this.#full = this.lines.length === LINES_KEPT || this.#characters > CHARACTERS_KEPT;
    this.lines.push(this.#full ? '… the rest is not kept' : line);
  }
}

export type GuestRecordState = {
  readonly log: readonly string[];
  readonly ignored: readonly string[];
  readonly outcome: { readonly kind: RunOutcome['kind']; readonly reason: string | null; readonly exitStatus?: number } | null;
};

/** What a guest and its devices leave behind while it runs. */
export class GuestRecord {
  /** The guest's log. */
  readonly log = new BoundedLines();
  /** Commands of the guest that could not be followed. */
  readonly ignored = new BoundedLines();
  #outcome: RunOutcome | null = null;

  /** How the run ended, or null while it goes on. */
  get outcome(): RunOutcome | null {
    return this.#outcome;
  }

  save(): GuestRecordState {
    return { log: this.log.save(), ignored: this.ignored.save(), outcome: this.#outcome === null ? null : { ...this.#outcome } };
  }

  restore({ log, ignored, outcome }: GuestRecordState): void {
    this.log.restore(log);
    this.ignored.restore(ignored);
    this.#outcome = outcome;
  }

  /** The first end counts. */
  end(outcome: RunOutcome): RunOutcome {
    this.#outcome ??= outcome;
    return this.#outcome;
  }
}
