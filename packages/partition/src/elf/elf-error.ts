/** What is wrong with a guest's file; stable, for programs. */
export type ElfErrorCode =
  | 'empty'
  | 'not-elf'
  | 'truncated'
  | 'elf32'
  | 'big-endian'
  | 'wrong-machine'
  | 'wrong-type'
  | 'malformed'
  | 'no-segments'
  | 'segment-outside-file'
  | 'segment-wraps'
  | 'segments-overlap'
  | 'segment-outside-ram'
  | 'entry-outside-image'
  | 'no-tmk-tests'
  | 'bad-tmk-tests'
  | 'name-outside-file';

/** A guest's file cannot be used: the message is one line that says what is wrong, where, and what to do. */
export class ElfError extends Error {
  readonly code: ElfErrorCode;
  constructor(code: ElfErrorCode, message: string) {
    super(message);
    this.name = 'ElfError';
    this.code = code;
  }
}

/** A 64-bit value as messages show addresses and offsets. */
export function hex(value: bigint | number): string {
  return `0x${value.toString(16)}`;
}
