/** A comparison for a reader: one table, exits a tick. */
import { reasonOf, runTitle } from '../report-model.js';
import type { CompareReport, TestReport } from '../report-model.js';
import { notes } from './notes.js';
import { microseconds } from './pretty.js';
import type { Style } from './style.js';
import { plainTable } from './table.js';
import { visible } from './visible.js';

const HEAD = ['test', 'backing, timer', 'outcome', 'ticks', 'paravisor', 'user', 'hypervisor', 'timer arm', 'timer expiry', 'halt', 'VMPL switch', 'p50', 'p99', 'max'];

/** The whole comparison as text. */
export function compareText(report: CompareReport, style: Style): string {
  const [first] = report.runs;
  const rows = (first?.tests ?? []).flatMap((_, index) => report.runs.map((run, place) => row(runTitle(run, report.runs), run.tests[index]!, place === 0, style)));
  const parts = [
    `${style.bold(report.guest.path)}: exits a tick, in all [in brackets] where no timer came due; timer arm to VMPL switch are the hypervisor's by reason; p50 to max are delivery latencies`,
    plainTable(HEAD, rows, 3),
    [...failures(report), style.bold(report.meaning), agreementLine(report, style), ...notes(report)].join('\n'),
  ];
  return `${parts.join('\n\n')}\n`;
}

function row(title: string, test: TestReport, leads: boolean, style: Style): string[] {
  const { exits, timers } = test;
  const { timer_arm = 0, timer_expiry = 0, halt = 0, vmpl_switch = 0 } = exits.byReason.hypervisor;
  const figures = [exits.paravisor, exits.user, exits.hypervisor, timer_arm, timer_expiry, halt, vmpl_switch];
  return [
    leads ? visible(test.name) : '',
    title,
    test.ok ? style.green(test.outcome) : style.red(test.outcome),
    String(timers.expired),
    ...figures.map((count) => (timers.expired > 0 ? (count / timers.expired).toFixed(2) : `[${count}]`)),
    microseconds(timers.latencyNs.p50),
    microseconds(timers.latencyNs.p99),
    microseconds(timers.latencyNs.max),
  ];
}

function failures(report: CompareReport): string[] {
  return report.runs.flatMap((run) => run.tests.filter(({ ok }) => !ok).map((test) => visible(`${test.name}, ${runTitle(run, report.runs)}: ${test.outcome}: ${reasonOf(test)}`)));
}

function agreementLine({ agreement, runs }: CompareReport, style: Style): string {
  if (agreement.same) return `The guest saw the same outcome and wrote the same log in all ${runs.length} runs.`;
  return [style.red('The guest could tell the runs apart:'), ...agreement.differences.map((line) => `  ${visible(line)}`)].join('\n');
}
