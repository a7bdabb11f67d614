/** A guest's file: its bytes, what they hash to, and the tests in it. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { ElfError, readTmk } from '@paravisor/partition';
import type { TmkImage } from '@paravisor/partition';
import { UsageError, fileTrouble } from './errors.js';

export interface GuestFile {
  /** As the user gave it. */
  readonly path: string;
  readonly sha256: string;
  readonly image: TmkImage;
}

/** Reads a test microkernel. Throws `UsageError` that names the file and what is wrong with it. */
export function readGuest(path: string): GuestFile {
  const bytes = readBytes(path, 'give the ELF file of a test microkernel');
  try {
    return { path, sha256: sha256(bytes), image: readTmk(bytes) };
  } catch (error) {
    if (error instanceof ElfError) throw new UsageError(`${path}: ${error.message}`);
    throw error;
  }
}

/** In hexadecimal. */
export const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/** A file's bytes. Throws `UsageError`, which ends in what to do. */
export function readBytes(path: string, remedy: string): Uint8Array {
  try {
    return readFileSync(path);
  } catch (error) {
    throw new UsageError(`${path}: ${fileTrouble(error)}: ${remedy}`);
  }
}
