/** How a guest's run ended. */
export interface RunOutcome {
  readonly kind: 'passed' | 'failed' | 'faulted' | 'timeout';
  /** Why, in one line; null when it passed. */
  readonly reason: string | null;
}

/** How much of a guest's text is kept: a guest in a loop must not fill the host's memory. */
const LINES_KEPT = 10_000;
const CHARACTERS_KEPT = 4 * 1024 * 1024;

/** Lines that end, with a line that says so, where they become too many. */
class BoundedLines {
  readonly lines: string[] = [];
  #characters = 0;
  #full = false;

  add(line: string): void {
    if (this.#full) return;
    this.#characters += line.length;
    this.#full = this.lines.length === LINES_KEPT || this.#characters > CHARACTERS_KEPT;
    this.lines.push(this.#full ? '… the rest is not kept' : line);
  }
}

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

  /** The first end counts. */
  end(outcome: RunOutcome): RunOutcome {
    this.#outcome ??= outcome;
    return this.#outcome;
  }
}
