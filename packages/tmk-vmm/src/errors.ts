/** The ways a run can end early. What a guest does wrong is no error: it is a test's outcome. */

/** Exit statuses of the command. */
export const ExitStatus = {
  Ok: 0,
  /** A test did not do as expected. */
  TestsFailed: 1,
  /** Usage or unreadable input: one line on stderr. */
  Usage: 2,
  /** A fault in the model itself: a report was written to a file. */
  ModelFault: 3,
} as const;
export type ExitStatus = (typeof ExitStatus)[keyof typeof ExitStatus];

/** Exit statuses of `boot`: even, for a guest that exits by its port has odd ones. */
export const BootStatus = {
  Timeout: 4,
  /** The guest faulted. */
  Faulted: 6,
  ModelFault: 8,
} as const;

/** The user's mistake. The message is one line: what is wrong, where, what to do. */
export class UsageError extends Error {
  constructor(message: string) {
    super(message.replaceAll(/\s*\n\s*/g, ' '));
    this.name = 'UsageError';
  }
}

/** The first line of whatever was thrown. */
export function firstLine(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.split('\n', 1)[0] ?? '';
}

/** Why a file or folder could not be used, in words, for the errors of node:fs. */
export function fileTrouble(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  switch (code) {
    case 'ENOENT':
      return 'there is no such file';
    case 'ENOTDIR':
      return 'a part of its path is not a folder';
    case 'EISDIR':
      return 'it is a folder, not a file';
    case 'EACCES':
    case 'EPERM':
      return 'permission denied';
    case 'EROFS':
      return 'its file system is read-only';
    case 'ENOSPC':
      return 'no space is left on its device';
    default:
      return firstLine(error);
  }
}
