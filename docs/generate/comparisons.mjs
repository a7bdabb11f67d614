/** Tables of real runs: what each timer policy costs, and what a guest gets from each kind of host. */
import { blocks, code, table } from './markdown.mjs';
import { refusal, tmkVmm } from './tool.mjs';

const GUEST = 'packages/tmk-guests/elf/timers.elf';
const EXAMPLE = ['--plugin', 'docs/examples/example-backing'];

const compare = (guest, ...args) => JSON.parse(tmkVmm('compare', guest, ...args, '--json'));
const us = (ns) => (ns === null ? '–' : `${(ns / 1000).toFixed(1)} µs`);
const timerOf = ({ guestTimer }) => (guestTimer === 'hardware' ? 'hardware timer' : 'VmTime');

/** Every backing with every timer and variant, under tests of a guest: exits a tick and latencies. `tests` are names with what each is about. */
export function policies(guest, tests) {
  const { runs } = compare(`packages/tmk-guests/elf/${guest}.elf`, ...Object.keys(tests).map((test) => `${guest}::${test}`), ...EXAMPLE);
  const heads = ['backing, timer', 'variant', 'paravisor', 'user', 'hypervisor', 'timer arm', 'timer expiry', 'halt', 'VMPL switch', 'p50', 'p99', 'max'];
  const sections = runs[0].tests.map(({ name }, index) => blocks(`${tests[name.split('::')[1]]} (${code(name)}):`, table(heads, runs.map((run) => policyRow(run, run.tests[index], runs)))));
  return blocks(...sections);
}

function policyRow(run, { exits, timers }, runs) {
  const { timer_arm = 0, timer_expiry = 0, halt = 0, vmpl_switch = 0 } = exits.byReason.hypervisor;
  const { p50, p99, max } = timers.latencyNs;
  // Only those in which runs of the backing differ.
  const others = runs.filter(({ backing }) => backing === run.backing);
  const telling = Object.entries(run.options).filter(([name, value]) => others.some(({ options }) => options[name] !== value));
  return [
    `${run.backing}, ${timerOf(run)}`,
    telling.map(([name, value]) => code(`${name}=${value}`)).join(' '),
    ...[exits.paravisor, exits.user, exits.hypervisor, timer_arm, timer_expiry, halt, vmpl_switch].map((count) => (count / timers.expired).toFixed(2)),
    ...[p50, p99, max].map(us),
  ];
}

/** Ticks of 1000 that a guest gets in two virtual seconds from each host, and what arriving they have behind them. */
export function hostTimers() {
  const one = ['--set', 'snp.rearm=on', '--set', 'snp.kernelStimer0=on'];
  const rows = ['honest', 'drop', 'delay', 'repeat', 'flood'].flatMap((manner) => {
    const { runs } = compare(GUEST, 'timers::stimer_periodic_busy', 'timers::stimer_periodic_idle', '--timeout', '2', '--set', `host.timer=${manner}`, ...one);
    return ['busy', 'idle'].map((kind, index) => [code(manner), kind, ...runs.map(({ tests }) => hostCell(tests[index]))]);
  });
  return table(['`host.timer`', 'guest', 'tdx, hardware timer', 'tdx, VmTime', 'snp, VmTime'], rows);
}

function hostCell({ timers, exits }) {
  if (timers.expired === 0) return '**none**';
  const { vmpl_switch: switches = 0 } = exits.byReason.hypervisor;
  return `${timers.expired} ticks, p50 ${us(timers.latencyNs.p50)}, max ${us(timers.latencyNs.max)}, ${((exits.hypervisor - switches) / timers.expired).toFixed(1)} exits`;
}

/** A host that lies about the TSC's frequency. */
export function hostAnswers() {
  const args = ['run', GUEST, 'timers::stimer_periodic_busy', '--set', 'host.answers=nonsense', '--reporter', 'json'];
  const { runs } = JSON.parse(tmkVmm(...args, '--backing', 'snp'));
  const { timers, outcome } = runs[0].tests[0];
  return table(['backing', 'what happens'], [
    ['tdx', `refuses to start: ${code(refusal(...args, '--backing', 'tdx'))}`],
    ['snp', `believes it: the guest's test ends as ${code(outcome)} with ${timers.expired} ticks, but ${us(timers.latencyNs.p50)} of its own time behind them`],
  ]);
}
