/**
 * A run's results as TAP 14 (testanything.org): a subtest for every backing and timer, a test point for every test, and its figures as YAML. A test
 * whose failure is expected is `ok` when it fails and `not ok` when it passes; TAP's own TODO would let it pass either way.
 */
import { stringify } from 'yaml';
import { occurred, reasonOf, runTitle } from '../report-model.js';
import type { ResultsReport, RunReport, TestReport } from '../report-model.js';
import { visible } from './visible.js';

/** The whole stream. */
export function tap(report: ResultsReport): string {
  const { version, models, seed, ips, tscHz, costModel, guest, runs } = report;
  const lines = [
    'TAP version 14',
    `1..${runs.length}`,
    `# tmk-vmm ${version}, models openvmm ${models.openvmm}`,
    `# guest ${visible(guest.path)}, sha256 ${guest.sha256}`,
    `# seed ${seed}, ${ips} instructions a virtual second, TSC at ${tscHz} Hz, costs ${visible(costModel.name)}`,
    ...runs.flatMap((run, index) => subtest(run, index + 1)),
  ];
  return `${lines.join('\n')}\n`;
}

function subtest(run: RunReport, number: number): string[] {
  const points = run.tests.flatMap((test, index) => [point(test.ok, index + 1, test.name), ...diagnosis(test)]);
  const title = description(runTitle(run));
  return ['', `# Subtest: ${title}`, ...[`1..${run.tests.length}`, ...points].map((line) => `    ${line}`), point(run.tests.every(({ ok }) => ok), number, runTitle(run))];
}

const point = (ok: boolean, number: number, name: string): string => `${ok ? 'ok' : 'not ok'} ${number} - ${description(name)}`;

/** TAP 14: `#` begins a directive and `\` escapes it. */
const description = (name: string): string => visible(name).replaceAll(/[\\#]/g, String.raw`\$&`);

function diagnosis(test: TestReport): string[] {
  const { outcome, expectedFailure, guest, exits, timers, log, wallMs } = test;
  const figures = {
    ...(test.ok ? {} : { message: visible(reasonOf(test)), severity: 'fail' }),
    outcome,
    expectedFailure,
    duration_ms: wallMs,
    guest,
    exits: { ...exits, byReason: occurred(exits) },
    timers,
    ...(log.length > 0 ? { log: log.map(visible) } : {}),
  };
  // Strings in quotes and on one line, so that no line of a guest's log can be taken for the block's end.
  const yaml = stringify(figures, { defaultStringType: 'QUOTE_DOUBLE', defaultKeyType: 'PLAIN', lineWidth: 0 }).trimEnd();
  return ['---', ...yaml.split('\n'), '...'].map((line) => `  ${line}`);
}
