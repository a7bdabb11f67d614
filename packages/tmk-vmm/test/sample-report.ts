/** A report with every outcome there is, and a guest that writes what it can to break a document. */
import { defaultCosts } from '@paravisor/virt-machine';
import type { ResultsReport, RunReport, TestReport } from '../src/report-model.js';

function test(name: string, seen: Partial<TestReport>): TestReport {
  return {
    name,
    outcome: 'passed',
    expectedFailure: false,
    ok: true,
    reason: null,
    log: [],
    guest: { instructions: 5, virtualNs: 250 },
    exits: { paravisor: 2, user: 1, hypervisor: 3, byReason: { paravisor: { timer_expired: 2, hlt: 0 }, user: { hlt: 1 }, hypervisor: { timer_arm: 3 } } },
    timers: { armed: 1, expired: 0, latencyNs: { p50: null, p99: null, max: null } },
    wallMs: 1250,
    ...seen,
  };
}

/** Ends of every kind of block, markup, escapes and characters that XML does not have. */
const hostileLog = ['...', '---', '1..0', 'Bail out! # TODO', ']]></system-out></testcase>', '\x00\x1b[2J\r\n    not ok 1', '\ud800 \uffff "quoted" \\ & 😀'];

const tests = [
  test('a::passes', {}),
  test('a::fails', { outcome: 'failed', ok: false, reason: 'panicked: 1 < 2 & "3"' }),
  test('a::faults', { outcome: 'faulted', ok: false, reason: 'triple fault\nat 0x1000' }),
  test('a::never_ends', { outcome: 'timeout', ok: false, reason: 'took longer than 10 virtual seconds' }),
  test('a::fails_as_expected', { outcome: 'failed', expectedFailure: true, reason: 'panicked' }),
  test('a::passes_unexpectedly', { expectedFailure: true, ok: false }),
  test('a::writes # TODO \\ <anything>', { log: hostileLog }),
];

const run = (backing: string, guestTimer: RunReport['guestTimer'], all: readonly TestReport[]): RunReport => ({
  backing,
  isolation: backing,
  guestTimer,
  usesHardwareTimer: guestTimer === 'hardware',
  options: { rearm: 'on' },
  tests: all,
});

export const sampleReport: ResultsReport = {
  schema: 'tmk-vmm/results@1',
  version: '1.2.3',
  models: { openvmm: '1488a37b7' },
  seed: 0,
  tscHz: 2e9,
  ips: 2e7,
  vps: 1,
  memoryMiB: 4,
  timeoutNs: 10e9,
  costModel: defaultCosts,
  guest: { path: 'guests/<a&b>\x07.elf', sha256: '00'.repeat(32), tests: tests.length },
  runs: [run('tdx', 'hardware', tests), run('snp', 'vmtime', tests.slice(0, 1))],
};
