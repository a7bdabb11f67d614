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

/** Halts a tick below which a test counts as one that runs while it waits, and from which it counts as one that halts. */
const SELDOM = 0.25;
const MOSTLY = 0.75;

/**
 * Timer exits a tick of every run, apart for tests that run while they wait, tests that halt, and those between, by the run in which a test halts most;
 * and what follows from them. Tests whose timers come due in some runs only are left out.
 */
export function meaningOf(runs: readonly RunReport[]): string {
  const ticking = (runs[0]?.tests ?? []).map((_, index) => index).filter((index) => runs.every(({ tests }) => tests[index]!.timers.expired > 0));
  if (ticking.length === 0) return 'No timer of the guest came due in every run, so there is no cost of a tick to compare.';
  const halts = (index: number): number => Math.max(...runs.map(({ tests }) => haltsATick(tests[index]!)));
  const busyCosts = costs(runs, ticking.filter((index) => halts(index) < SELDOM));
  const mixedCosts = costs(runs, ticking.filter((index) => halts(index) >= SELDOM && halts(index) < MOSTLY));
  const haltingCosts = costs(runs, ticking.filter((index) => halts(index) >= MOSTLY));
  const parts = [
    ...(busyCosts.length > 0 ? [`while the guest runs ${list(busyCosts, runs)}`] : []),
    ...(mixedCosts.length > 0 ? [`when it halts now and then ${list(mixedCosts, runs)}`] : []),
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
