/** What a boot tells, as plain data: the shape and key order of `schema/boot-1.json`. */
import type { TimerSummary } from '@paravisor/partition';
import type { CostModel, LedgerSnapshot } from '@paravisor/virt-machine';
import type { FileReport } from './boot-files.js';
import { BootStatus } from './errors.js';

/** One boot under one backing and timer. */
export interface BootRun {
  readonly backing: string;
  readonly isolation: string;
  readonly guestTimer: 'hardware' | 'vmtime';
  readonly usesHardwareTimer: boolean;
  readonly options: Readonly<Record<string, string>>;
  readonly outcome: 'exited' | 'faulted' | 'timeout';
  /** value × 2 + 1 for the value written to the exit port; null without such a write. */
  readonly exitStatus: number | null;
  /** Why it ended without an exit. */
  readonly reason: string | null;
  /** Everything that was sent through COM1. */
  readonly console: string;
  readonly guest: { readonly instructions: number; readonly virtualNs: number };
  readonly exits: LedgerSnapshot;
  readonly timers: TimerSummary;
  /** Wall-clock milliseconds: the only figure that differs between two runs. */
  readonly wallMs: number;
}

/** The object of `boot --reporter json`. */
export interface BootReport {
  readonly schema: 'tmk-vmm/boot@1';
  readonly version: string;
  readonly models: { readonly openvmm: string };
  readonly seed: number;
  readonly tscHz: number;
  readonly ips: number;
  readonly vps: number;
  readonly memoryMiB: number;
  readonly timeoutNs: number;
  readonly costModel: CostModel;
  readonly image: FileReport;
  readonly commandLine: string;
  readonly modules: readonly FileReport[];
  readonly devices: readonly string[];
  readonly runs: readonly BootRun[];
}

/** The process's exit status after one run: a byte. */
export function statusOf({ outcome, exitStatus }: Pick<BootRun, 'outcome' | 'exitStatus'>): number {
  if (exitStatus !== null) return exitStatus & 0xff;
  return outcome === 'timeout' ? BootStatus.Timeout : BootStatus.Faulted;
}

/** A run in one line. */
export function summaryOf(path: string, { backing, guestTimer, outcome, exitStatus, reason, guest, exits }: BootRun): string {
  const timer = guestTimer === 'hardware' ? 'hardware timer' : 'VmTime';
  const end = outcome === 'exited' ? `exited with status ${exitStatus}` : `${outcome}: ${reason}`;
  const seconds = (guest.virtualNs / 1e9).toFixed(3);
  return `${path}: ${backing}, ${timer}: ${end}; ${guest.instructions} instructions, ${seconds} virtual s, exits ${exits.paravisor} paravisor, ${exits.user} user, ${exits.hypervisor} hypervisor`;
}
