/** What is wrong with a kernel image; stable, for programs. */
export type MultibootErrorCode = 'not-multiboot' | 'unsupported-feature' | 'malformed' | 'outside-ram' | 'overlap';

/** A kernel image cannot be booted: the message is one line that says what is wrong, where, and what to do. */
export class MultibootError extends Error {
  readonly code: MultibootErrorCode;
  constructor(code: MultibootErrorCode, message: string) {
    super(message);
    this.name = 'MultibootError';
    this.code = code;
  }
}
