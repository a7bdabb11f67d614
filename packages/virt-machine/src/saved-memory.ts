/** Guest RAM and its permissions as plain data. */
import { StateError, restoreBytes, saveBytes } from '@paravisor/hcl-protocol';
import type { MachineMemory } from '@paravisor/x86-cpu';

const PAGE_BYTES = 4096;
/** Bytes of RAM saved as one text. */
const STRETCH = 1 << 20;

export type SavedMemory = {
  /** A mebibyte each, the last one what is left. */
  readonly ram: readonly string[];
  /** By permission table: runs of pages with the same bits, as number of pages and bits by turns. */
  readonly permissions: readonly (readonly number[])[];
  /** `MachineMemory.saveCode`. */
  readonly code: readonly number[];
};

export function saveMemory(memory: MachineMemory, tables: number): SavedMemory {
  const ram: string[] = [];
  for (let gpa = 0; gpa < memory.ramBytes; gpa += STRETCH) {
    const bytes = new Uint8Array(Math.min(STRETCH, memory.ramBytes - gpa));
    memory.readRam(gpa, bytes);
    ram.push(saveBytes(bytes));
  }
  return { ram, permissions: Array.from({ length: tables }, (_, table) => savePermissions(memory, table)), code: memory.saveCode() };
}

function savePermissions(memory: MachineMemory, table: number): readonly number[] {
  const runs: number[] = [];
  const pages = memory.ramBytes / PAGE_BYTES;
  for (let first = 0; first < pages; ) {
    const bits = memory.getPermissions(table, first);
    let end = first + 1;
    while (end < pages && memory.getPermissions(table, end) === bits) end++;
    runs.push(end - first, bits);
    first = end;
  }
  return runs;
}

/** @throws {StateError} when it is not what was saved of such a memory. */
export function restoreMemory(memory: MachineMemory, { ram, permissions, code }: SavedMemory): void {
  for (let gpa = 0, stretch = 0; gpa < memory.ramBytes; gpa += STRETCH, stretch++) {
    const bytes = new Uint8Array(Math.min(STRETCH, memory.ramBytes - gpa));
    restoreBytes(bytes, ram[stretch] ?? '');
    memory.writeRam(gpa, bytes);
  }
  for (const [table, runs] of permissions.entries()) restorePermissions(memory, table, runs);
  memory.restoreCode(code);
}

function restorePermissions(memory: MachineMemory, table: number, runs: readonly number[]): void {
  const pages = memory.ramBytes / PAGE_BYTES;
  let first = 0;
  for (let at = 0; at < runs.length; at += 2) {
    const count = runs[at]!;
    if (!Number.isInteger(count) || count < 1 || first + count > pages) throw new StateError(`the permissions of table ${table} are not those of ${pages} pages`);
    memory.setPermissions(table, first, count, runs[at + 1]!);
    first += count;
  }
  if (first !== pages) throw new StateError(`the permissions of table ${table} are not those of ${pages} pages`);
}
