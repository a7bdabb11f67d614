import { writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { firstLine } from './errors.js';

/** What is needed to see the fault again. */
export interface FaultContext {
  readonly version: string;
  readonly guest: { readonly path: string; readonly sha256: string };
  readonly test: string;
  readonly backing: string;
  readonly options: Readonly<Record<string, string>>;
  readonly guestTimer: string;
  /** Seed included. */
  readonly machine: object;
  /** Oldest first, as in a trace. */
  readonly lastEvents: readonly object[];
}

/** The model itself broke: neither the guest's fault nor the user's. */
export class ModelFault extends Error {
  readonly context: FaultContext;
  constructor(cause: unknown, context: FaultContext) {
    super(firstLine(cause), { cause });
    this.name = 'ModelFault';
    this.context = context;
  }
}

const FILE = 'tmk-vmm-fault.json';

/** Writes the report beside the user, or where temporary files go. Returns its path. */
export function writeFaultReport(fault: ModelFault): string {
  const stack = fault.cause instanceof Error ? fault.cause.stack?.split('\n') : undefined;
  const text = `${JSON.stringify({ schema: 'tmk-vmm/fault@1', message: fault.message, ...fault.context, stack }, null, 2)}\n`;
  for (const path of [resolve(FILE), join(tmpdir(), FILE)]) {
    try {
      writeFileSync(path, text);
      return path;
    } catch {
      continue;
    }
  }
  return '(nowhere: no folder could be written)';
}
