/** What `boot` reads: a kernel and its modules. */
import { MultibootError, readMultibootImage } from '@paravisor/partition';
import type { MultibootImage, MultibootModule } from '@paravisor/partition';
import { UsageError } from './errors.js';
import { readBytes, sha256 } from './guest-file.js';

/** A file as a report names it. */
export interface FileReport {
  /** As the user gave it. */
  readonly path: string;
  readonly sha256: string;
}

export interface KernelFile extends FileReport {
  readonly image: MultibootImage;
}

export interface ModuleFile extends FileReport {
  readonly module: MultibootModule;
}

/** Reads a Multiboot kernel. Throws `UsageError` that names the file and what is wrong with it. */
export function readKernel(path: string): KernelFile {
  const bytes = readBytes(path, 'give the file of a Multiboot 1 kernel');
  try {
    return { path, sha256: sha256(bytes), image: readMultibootImage(bytes) };
  } catch (error) {
    throw asUsage(path, error);
  }
}

/** Reads a module; its string is its path, as QEMU's loader gives it. */
export function readModule(path: string): ModuleFile {
  const contents = readBytes(path, 'give the file of a module');
  return { path, sha256: sha256(contents), module: { contents, commandLine: path } };
}

/** The error of a kernel that cannot be read or does not fit, as the user's; others as they are. */
export function asUsage(path: string, error: unknown): unknown {
  return error instanceof MultibootError || (error instanceof Error && error.name === 'ElfError') ? new UsageError(`${path}: ${error.message}`) : error;
}
