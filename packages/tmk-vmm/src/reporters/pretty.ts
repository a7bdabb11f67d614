/** A run's results for a reader. */
import { reasonOf, runTitle } from '../report-model.js';
import type { ResultsReport, RunReport, TestReport } from '../report-model.js';
import { notes } from './notes.js';
import type { Style } from './style.js';
import { plainTable } from './table.js';
import { visible } from './visible.js';

const HEAD = ['test', 'outcome', 'paravisor', 'user', 'hypervisor', 'timer due', 'p50', 'p99', 'max'];

/** The whole report as text. Of the options in force the runs' titles have those that were chosen, by name. */
export function pretty(report: ResultsReport, style: Style, chosen: ReadonlySet<string>): string {
  const parts = report.runs.map((run) => prettyRun(run, style, chosen));
  const tests = report.runs.flatMap((run) => run.tests);
  const failed = tests.filter(({ ok }) => !ok).length;
  const counts = `${tests.length - failed} as expected, ${failed} not`;
  return `${[...parts, notes(report).join('\n'), failed === 0 ? style.green(counts) : style.red(counts)].join('\n\n')}\n`;
}

function prettyRun(run: RunReport, style: Style, chosen: ReadonlySet<string>): string {
  const options = Object.entries(run.options).filter(([name]) => chosen.has(name)).map(([name, value]) => `${name}=${value}`);
  const title = `${style.bold(runTitle(run))} ${style.dim([`isolation ${run.isolation}`, ...options].join(', '))}`;
  const rows = run.tests.map((test) => row(test, style));
  const details = run.tests.flatMap((test) => detail(test, style));
  return [title, plainTable(HEAD, rows, 2), ...details].join('\n');
}

function row(test: TestReport, style: Style): string[] {
  const { exits, timers } = test;
  const outcome = test.ok && test.expectedFailure ? `${test.outcome} (expected)` : test.outcome;
  return [
    visible(test.name),
    test.ok ? style.green(outcome) : style.red(outcome),
    String(exits.paravisor),
    String(exits.user),
    String(exits.hypervisor),
    String(timers.expired),
    microseconds(timers.latencyNs.p50),
    microseconds(timers.latencyNs.p99),
    microseconds(timers.latencyNs.max),
  ];
}

/** Latencies in microseconds; a dash where no timer came due. */
export function microseconds(ns: number | null): string {
  return ns === null ? '–' : `${(ns / 1000).toFixed(1)} µs`;
}

/** Why a test did not do as expected, and what the guest said; one that did is told by its row. */
function detail(test: TestReport, style: Style): string[] {
  if (test.ok) return [];
  return [style.red(visible(`${test.name}: ${test.outcome}: ${reasonOf(test)}`)), ...test.log.map((line) => `  | ${visible(line)}`)];
}
