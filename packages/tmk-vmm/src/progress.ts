/** Which test runs, for whoever waits at a terminal: one line of stderr that is written over and leaves nothing behind. */
import { performance } from 'node:perf_hooks';
import { isLive } from './terminal.js';
import type { Terminal } from './terminal.js';
import { visible } from './reporters/visible.js';

const CLEAR_LINE = '\r\x1b[2K';
const USUAL_COLUMNS = 80;

/** Hears of every test before it runs. */
export interface Progress {
  starting(backing: string, test: string): void;
}

/** Writes to stderr when that is a terminal, else nothing at all. */
export class ProgressLine implements Progress {
  readonly #terminal: Terminal;
  readonly #live: boolean;
  readonly #total: number;
  readonly #began = performance.now();
  #started = 0;

  constructor(terminal: Terminal, total: number) {
    this.#terminal = terminal;
    this.#live = isLive(terminal.stderr, terminal.env);
    this.#total = total;
  }

  starting(backing: string, test: string): void {
    this.#started++;
    if (!this.#live) return;
    const { stderr } = this.#terminal;
    const seconds = ((performance.now() - this.#began) / 1000).toFixed(1);
    const line = `[${this.#started}/${this.#total}] ${seconds} s  ${backing}  ${visible(test)}`;
    // A line that wraps could not be cleared.
    stderr.write(CLEAR_LINE + line.slice(0, (stderr.columns ?? USUAL_COLUMNS) - 1));
  }

  /** Takes the line away, before anything else is written. */
  end(): void {
    if (this.#live && this.#started > 0) this.#terminal.stderr.write(CLEAR_LINE);
  }
}
