/** What a run tells, as plain data: reporters only show it. The shape and key order of the JSON schemas under `schema/`. */
import type { CostModel, LedgerSnapshot } from '@paravisor/virt-machine';
import type { RunOutcome, TimerSummary } from '@paravisor/partition';
import type { MachineOptions } from './cli/options.js';
import type { GuestFile } from './guest-file.js';

/** The openvmm commit whose behaviour is modelled. */
export const OPENVMM_COMMIT = '1488a37b7';

/** One test under one backing and timer. */
export interface TestReport {
  readonly name: string;
  readonly outcome: RunOutcome['kind'];
  readonly expectedFailure: boolean;
  /** True when the outcome is the expected one. */
  readonly ok: boolean;
  readonly reason: string | null;
  readonly log: readonly string[];
  readonly guest: { readonly instructions: number; readonly virtualNs: number };
  readonly exits: LedgerSnapshot;
  readonly timers: TimerSummary;
  /** Wall-clock milliseconds: the only figure that differs between two runs. */
  readonly wallMs: number;
}

/** All tests under one backing and timer. */
export interface RunReport {
  readonly backing: string;
  readonly isolation: string;
  readonly guestTimer: 'hardware' | 'vmtime';
  readonly usesHardwareTimer: boolean;
  readonly options: Readonly<Record<string, string>>;
  readonly tests: readonly TestReport[];
}

/** What stands above the runs: enough to repeat them. */
export interface ReportHead {
  readonly version: string;
  readonly models: { readonly openvmm: string };
  readonly seed: number;
  readonly tscHz: number;
  readonly ips: number;
  readonly vps: number;
  readonly memoryMiB: number;
  readonly timeoutNs: number;
  readonly costModel: CostModel;
  readonly guest: { readonly path: string; readonly sha256: string; readonly tests: number };
}

/** The object of `--reporter json`. */
export interface ResultsReport extends ReportHead {
  readonly schema: 'tmk-vmm/results@1';
  readonly runs: readonly RunReport[];
}

/** How what the guest saw compares across runs: outcome and log of each test. */
export interface Agreement {
  readonly same: boolean;
  /** One line a difference. */
  readonly differences: readonly string[];
}

/** The object of `compare --json`. */
export interface CompareReport extends ReportHead {
  readonly schema: 'tmk-vmm/compare@1';
  readonly agreement: Agreement;
  /** What the figures mean, in one line. */
  readonly meaning: string;
  readonly runs: readonly RunReport[];
}

export function reportHead(version: string, machine: MachineOptions, costModel: CostModel, guest: GuestFile): ReportHead {
  return {
    version,
    models: { openvmm: OPENVMM_COMMIT },
    seed: machine.seed,
    tscHz: machine.tscHz,
    ips: machine.ips,
    vps: machine.vps,
    memoryMiB: machine.memoryMiB,
    timeoutNs: machine.timeoutNs,
    costModel,
    guest: { path: guest.path, sha256: guest.sha256, tests: guest.image.tests.length },
  };
}

/** Whether every test of every run did as expected. */
export function allOk(runs: readonly RunReport[]): boolean {
  return runs.every(({ tests }) => tests.every(({ ok }) => ok));
}

/** Why a test did not do as expected, in words. */
export function reasonOf({ reason, outcome }: Pick<TestReport, 'reason' | 'outcome'>): string {
  return reason ?? (outcome === 'passed' ? 'it passed, but its failure is expected' : 'no reason given');
}

/** Exit reasons that occurred, by destination. */
export function occurred({ byReason }: LedgerSnapshot): Record<string, Record<string, number>> {
  const counted = Object.entries(byReason).map(([destination, reasons]) => [destination, Object.fromEntries(Object.entries(reasons).filter(([, count]) => count > 0))]);
  return Object.fromEntries(counted);
}

/** A run in words: `tdx, hardware timer`; among other runs of its backing also the options in which they differ: `snp, VmTime, rearm=off`. */
export function runTitle({ backing, guestTimer, options }: RunReport, among: readonly RunReport[] = []): string {
  const others = among.filter((other) => other.backing === backing);
  const telling = Object.entries(options).filter(([name, value]) => others.some((other) => other.options[name] !== value));
  return [backing, guestTimer === 'hardware' ? 'hardware timer' : 'VmTime', ...telling.map(([name, value]) => `${name}=${value}`)].join(', ');
}
