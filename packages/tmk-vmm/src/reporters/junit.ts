/**
 * A run's results as JUnit XML, by Jenkins' schema: one suite for every backing and timer. No schema lets a test case have properties, so each test's exits
 * are properties of its suite, under the test's name. Maven Surefire's schema, which knows a single suite and another order of a test case's children,
 * describes each suite too. Seconds are wall-clock ones, which CI systems plot; all else is the same in every run: no time stamp, no host name.
 */
import { create } from 'xmlbuilder2';
import type { XMLBuilder } from 'xmlbuilder2/lib/interfaces.js';
import { occurred, reasonOf, runTitle } from '../report-model.js';
import type { ResultsReport, RunReport, TestReport } from '../report-model.js';
import { visible } from './visible.js';

/** The whole document. */
export function junit(report: ResultsReport): string {
  const document = create({ version: '1.0', encoding: 'UTF-8' });
  const suites = document.ele('testsuites', { name: visible(report.guest.path), ...totals(report.runs.flatMap(({ tests }) => tests)) });
  for (const run of report.runs) suite(suites, report, run);
  return `${document.end({ prettyPrint: true })}\n`;
}

/** How JUnit calls a test that did not do as expected: a failure when the guest told its verdict, an error when it could not get to tell one. */
function troubleOf({ ok, outcome }: TestReport): { readonly element: 'failure' | 'error'; readonly type: string } | null {
  if (ok) return null;
  if (outcome === 'passed') return { element: 'failure', type: 'unexpected-pass' };
  return { element: outcome === 'failed' ? 'failure' : 'error', type: outcome };
}

function totals(tests: readonly TestReport[]) {
  const count = (element: string): number => tests.filter((test) => troubleOf(test)?.element === element).length;
  return { tests: tests.length, failures: count('failure'), errors: count('error'), time: seconds(tests.reduce((sum, { wallMs }) => sum + wallMs, 0)) };
}

const seconds = (ms: number): string => (ms / 1000).toFixed(3);

function suite(suites: XMLBuilder, report: ResultsReport, run: RunReport): void {
  const element = suites.ele('testsuite', { name: visible(runTitle(run)), ...totals(run.tests), skipped: 0 });
  const properties = element.ele('properties');
  for (const [name, value] of propertiesOf(report, run)) properties.ele('property', { name: visible(name), value: visible(String(value)) });
  for (const test of run.tests) testCase(element, run, test);
}

function testCase(parent: XMLBuilder, run: RunReport, test: TestReport): void {
  // Readers take the class name apart at its dots: the backing becomes the package, the timer the class.
  const element = parent.ele('testcase', { name: visible(test.name), classname: visible(`${run.backing}.${run.guestTimer}`), time: seconds(test.wallMs) });
  const trouble = troubleOf(test);
  if (trouble) element.ele(trouble.element, { message: visible(reasonOf(test)), type: trouble.type }).txt(visible(reasonOf(test)));
  if (test.log.length > 0) element.ele('system-out').txt(test.log.map(visible).join('\n'));
}

type Property = readonly [name: string, value: string | number | boolean];

function propertiesOf(report: ResultsReport, run: RunReport): Property[] {
  const { version, models, seed, tscHz, ips, vps, memoryMiB, timeoutNs, costModel, guest } = report;
  const { backing, isolation, guestTimer, usesHardwareTimer, options } = run;
  return [
    ...Object.entries({ version, 'models.openvmm': models.openvmm, seed, tscHz, ips, vps, memoryMiB, timeoutNs, costModel: costModel.name, 'guest.sha256': guest.sha256 }),
    ...Object.entries({ backing, isolation, guestTimer, usesHardwareTimer }),
    ...Object.entries(options).map(([name, value]): Property => [`option.${name}`, value]),
    ...run.tests.flatMap((test) => testProperties(test).map(([name, value]): Property => [`${test.name}: ${name}`, value])),
  ];
}

/** Totals always; reasons that occurred. */
function testProperties({ outcome, expectedFailure, guest, exits, timers }: TestReport): Property[] {
  const { paravisor, user, hypervisor } = exits;
  return [
    ['outcome', outcome],
    ['expectedFailure', expectedFailure],
    ['guest.instructions', guest.instructions],
    ['guest.virtualNs', guest.virtualNs],
    ...Object.entries({ paravisor, user, hypervisor }).map(([destination, count]): Property => [`exits.${destination}`, count]),
    ...Object.entries(occurred(exits)).flatMap(([destination, reasons]) => Object.entries(reasons).map(([reason, count]): Property => [`exits.${destination}.${reason}`, count])),
    ['timers.armed', timers.armed],
    ['timers.expired', timers.expired],
  ];
}
