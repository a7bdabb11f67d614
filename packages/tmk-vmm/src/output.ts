/** Where text goes: stdout, or a file that is opened before anything runs, so that a file that cannot be written is known at once. */
import { closeSync, openSync, writeSync } from 'node:fs';
import { UsageError, fileTrouble } from './errors.js';

/** A file that is written piece by piece, buffered. */
export class OutputFile {
  readonly #descriptor: number;
  readonly #what: string;
  #pending = '';

  /** `option` names the file's option in errors. Throws `UsageError` when the file cannot be opened for writing. */
  constructor(option: string, path: string) {
    this.#what = `--${option} ${path}`;
    try {
      this.#descriptor = openSync(path, 'w');
    } catch (error) {
      throw this.#trouble(error);
    }
  }

  write(text: string): void {
    this.#pending += text;
    if (this.#pending.length >= BUFFERED) this.#flush();
  }

  close(): void {
    this.#flush();
    closeSync(this.#descriptor);
  }

  #flush(): void {
    const bytes = Buffer.from(this.#pending);
    this.#pending = '';
    try {
      for (let at = 0; at < bytes.length; ) at += writeSync(this.#descriptor, bytes, at);
    } catch (error) {
      throw this.#trouble(error);
    }
  }

  #trouble(error: unknown): UsageError {
    return new UsageError(`${this.#what}: it cannot be written: ${fileTrouble(error)}: give a file in a folder that can be written to`);
  }
}

const BUFFERED = 0x10000;
