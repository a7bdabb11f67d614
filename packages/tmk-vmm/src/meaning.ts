/** What a comparison's figures mean, in one line made from the figures. */
import { runTitle } from './report-model.js';
import type { RunReport, TestReport } from './report-model.js';

/** Exits by which the host hypervisor arms and fires VTL2's own timer. */
function timerExits({ exits }: TestReport): number {
  const { timer_arm = 0, timer_expiry = 0 } = exits.byReason.hypervisor;
  return timer_arm + timer_expiry;
}

/** A run whose figures are told together, and its timer exits a tick. */
interface Cost {
  readonly run: RunReport;
  readonly exitsATick: number;
}

/**
 * Timer exits a tick of every run, apart for tests that run while they wait and tests that halt, and what follows from them. A test counts as
 * halting when in some run it went idle at least once for every two ticks. Tests whose timers come due in some runs only are left out.
 */
export function meaningOf(runs: readonly RunReport[]): string {
  const ticking = (runs[0]?.tests ?? []).map((_, index) => index).filter((index) => runs.every(({ tests }) => tests[index]!.timers.expired > 0));
  if (ticking.length === 0) return 'No timer of the guest came due in every run, so there is no cost of a tick to compare.';
  const halting = ticking.filter((index) => runs.some(({ tests }) => haltsATick(tests[index]!) >= 0.5));
  const busyCosts = costs(runs, ticking.filter((index) => !halting.includes(index)));
  const haltingCosts = costs(runs, halting);
  const parts = [
    ...(busyCosts.length > 0 ? [`while the guest runs ${list(busyCosts, runs)}`] : []),
    ...(haltingCosts.length > 0 ? [`when it halts between ticks ${list(haltingCosts, runs)}`] : []),
  ];
  return `To arm and fire its timer a tick takes the hypervisor, in exits: ${parts.join('; ')}.${verdict(busyCosts, haltingCosts)}`;
}

function haltsATick({ exits, timers }: TestReport): number {
  return (exits.byReason.hypervisor.halt ?? 0) / timers.expired;
}

/** One cost a run over the tests with these places; none when there are no tests. */
function costs(runs: readonly RunReport[], indices: readonly number[]): Cost[] {
  if (indices.length === 0) return [];
  return runs.map((run) => {
    const tests = indices.map((index) => run.tests[index]!);
    const exits = tests.reduce((sum, test) => sum + timerExits(test), 0);
    return { run, exitsATick: exits / tests.reduce((sum, test) => sum + test.timers.expired, 0) };
  });
}

function list(told: readonly Cost[], runs: readonly RunReport[]): string {
  return told.map(({ run, exitsATick }) => `${exitsATick.toFixed(2)} (${runTitle(run, runs)})`).join(', ');
}

/** What the hardware timer is worth, where the figures show it. */
function verdict(busy: readonly Cost[], halting: readonly Cost[]): string {
  const saved = savedByHardware(busy);
  if (saved === null) return '';
  const ofRunning = saved > 0.9 ? ' The hardware timer takes the hypervisor out of a running guest\'s ticks' : ` The hardware timer saves a running guest ${(100 * saved).toFixed(0)} % of them`;
  const ofHalting = savedByHardware(halting);
  if (ofHalting === null) return `${ofRunning}.`;
  return ofHalting < 0.1 ? `${ofRunning}, but not out of a halted one's: only the host can wake it.` : `${ofRunning}.`;
}

/** The share of timer exits that the hardware timer saves against the cheapest run without it; null when there is nothing to compare. */
function savedByHardware(told: readonly Cost[]): number | null {
  const costOf = (timer: RunReport['guestTimer']): number => Math.min(...told.filter(({ run }) => run.guestTimer === timer).map(({ exitsATick }) => exitsATick));
  const [hardware, vmTime] = [costOf('hardware'), costOf('vmtime')];
  return Number.isFinite(hardware) && Number.isFinite(vmTime) && vmTime > 0 ? 1 - hardware / vmTime : null;
}
