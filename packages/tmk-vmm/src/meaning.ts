/** What a comparison's figures mean, in one line made from the figures. */
import { runTitle } from './report-model.js';
import type { RunReport, TestReport } from './report-model.js';

/** Exits by which the host hypervisor arms and fires VTL2's own timer. */
export function timerExits({ exits }: TestReport): number {
  const { timer_arm = 0, timer_expiry = 0 } = exits.byReason.hypervisor;
  return timer_arm + timer_expiry;
}

/**
 * Timer exits a tick of every run, apart for guests that run while they wait and guests that halt. A test counts as halting when any run of it
 * went idle at least once for every two ticks.
 */
export function meaningOf(runs: readonly RunReport[]): string {
  const ticking = (runs[0]?.tests ?? []).map((_, index) => index).filter((index) => runs.every(({ tests }) => tests[index]!.timers.expired > 0));
  if (ticking.length === 0) return 'No timer of the guest came due in every run, so there is no cost of a tick to compare.';
  const halting = ticking.filter((index) => runs.some(({ tests }) => haltsATick(tests[index]!) >= 0.5));
  const busy = ticking.filter((index) => !halting.includes(index));
  const parts = [
    ...(busy.length > 0 ? [`while the guest runs: ${costs(runs, busy)}`] : []),
    ...(halting.length > 0 ? [`while it halts: ${costs(runs, halting)}`] : []),
  ];
  return `Hypervisor exits a tick to arm and fire a timer, ${parts.join('; ')}.`;
}

function haltsATick({ exits, timers }: TestReport): number {
  return (exits.byReason.hypervisor.halt ?? 0) / timers.expired;
}

function costs(runs: readonly RunReport[], indices: readonly number[]): string {
  return runs
    .map((run) => {
      const tests = indices.map((index) => run.tests[index]!);
      const exits = tests.reduce((sum, test) => sum + timerExits(test), 0);
      const ticks = tests.reduce((sum, test) => sum + test.timers.expired, 0);
      return `${(exits / ticks).toFixed(2)} under ${runTitle(run)}`;
    })
    .join(', ');
}
