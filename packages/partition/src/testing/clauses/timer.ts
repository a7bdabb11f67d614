/** The guest timer: what the backing does with the deadlines it is given. */
import { RunStatus } from '@paravisor/hcl-protocol';
import { clause } from '../clause.js';
import type { ContractClause, Subject } from '../clause.js';
import { CPUID, SPIN, report } from '../guest.js';
import { ContractRig } from '../rig.js';

/** 100 ns units: how far ahead deadlines lie here, and how late VTL2 may be back in user mode for one. */
const AHEAD = 3000;
const SLACK = 500;
/** Returns of the ioctl that are no sign of anything: a deadline nobody wants any more may come once, the host's timer too. */
const STRAYS = 4;

const spinning = (subject: Subject): ContractRig => new ContractRig(subject, { programs: [[SPIN]] });

/** Wants `deadlines` round after round until the time `until`, and says when the ioctl returned. */
function returnsUntil(rig: ContractRig, until: number, deadlines: readonly number[]): number[] {
  const returns: number[] = [];
  while (rig.now() < until && returns.length < 100) {
    rig.round({ deadlines, callBackAt: until });
    returns.push(rig.now());
  }
  return returns;
}

/** The deadline came: VTL2 was back between it and `SLACK` after it, and not all the time before. */
function requireFired({ require }: Subject, returns: readonly number[], due: number, what: string): void {
  const early = returns.filter((time) => time < due).length;
  require(early <= STRAYS, `${what}: the run ioctl returned ${early} times before it`);
  const [first] = returns.filter((time) => time >= due);
  require(first !== undefined && first <= due + SLACK, `${what}: VTL2 was back ${first === undefined ? 'not at all' : `${(first - due) / 10} µs after it`}`);
}

export const timerClauses: readonly ContractClause[] = [
  clause('timer-tells-its-kind', 'isHardwareVirtualized, usesHardwareTimer and the capabilities agree, and a timer that is switched off is none', (subject) => {
    const { backing, require } = subject;
    for (const guestTimer of ['auto', 'vmtime'] as const) {
      const { shared } = new ContractRig(subject, { programs: [[SPIN]] }, { guestTimer });
      const virtualized = shared.guestTimer.isHardwareVirtualized();
      require(virtualized === shared.usesHardwareTimer, `isHardwareVirtualized says ${virtualized}, usesHardwareTimer ${shared.usesHardwareTimer}`);
      require(virtualized === shared.guestTimer.isHardwareVirtualized(), 'isHardwareVirtualized says one thing now and another then');
      require(!virtualized || backing.capabilities.usesHardwareTimer, 'it uses a hardware timer that its capabilities do not know');
      require(!virtualized || guestTimer === 'auto', 'it uses the hardware timer although that is disabled');
    }
  }),

  clause('begin-and-end-around-each-run', 'beginLowerVtlRun and endLowerVtlRun are called once each around every call of the run ioctl', (subject) => {
    const rig = new ContractRig(subject, { programs: [[CPUID, CPUID, CPUID, SPIN]] });
    for (let round = 0; round < 3; round++) {
      rig.record.calls.length = 0;
      rig.round();
      const around = rig.record.calls.filter((call) => call !== 'clear' && call !== 'update').join(', ');
      subject.require(around === 'begin, run, end', `a round with one run made the calls ${around}`);
    }
  }),

  clause('end-after-cancelled-run', 'endLowerVtlRun is called after a cancelled run too', (subject) => {
    const rig = spinning(subject);
    const status = rig.round({ deadlines: [rig.now() + AHEAD], cancel: true });
    subject.require(status === RunStatus.Cancelled, 'a run whose cancel flag is set does not return as cancelled');
    subject.require(rig.record.calls.at(-1) === 'end', `after the cancelled run the last call is ${rig.record.calls.at(-1)}`);
  }),

  clause('clear-before-scans', 'clearDeadline is the loop\'s: once a round, before the first updateDeadline, and never between that and the run', (subject) => {
    const rig = new ContractRig(subject, { programs: [[CPUID, SPIN]] });
    for (let round = 0; round < 3; round++) {
      rig.record.calls.length = 0;
      const now = rig.now();
      rig.round({ deadlines: [now + 2 * AHEAD, now + AHEAD], callBackAt: now + 100 });
      const until = rig.record.calls.slice(0, rig.record.calls.indexOf('run')).filter((call) => call !== 'begin').join(', ');
      subject.require(until === 'clear, update, update', `up to the run the calls were ${until}`);
    }
  }),

  clause('deadline-brings-vtl2-back', 'a running lower VTL gives the VP back at its deadline, neither long before nor after', (subject) => {
    const rig = spinning(subject);
    const due = rig.now() + AHEAD;
    requireFired(subject, returnsUntil(rig, due + 2 * SLACK, [due]), due, 'a deadline 300 µs ahead');
  }),

  clause('earliest-deadline-survives', 'of all deadlines of a round the earliest counts, in whatever order they come', (subject) => {
    for (const order of [[2, 1, 3], [1, 2, 3], [3, 2, 1]]) {
      const rig = spinning(subject);
      const start = rig.now();
      const due = start + AHEAD;
      requireFired(subject, returnsUntil(rig, due + 2 * SLACK, order.map((factor) => start + factor * AHEAD)), due, `deadlines in the order ${order.join(', ')}`);
    }
  }),

  clause('past-deadline-fires-at-once', 'a deadline that has passed already brings VTL2 back at once', (subject) => {
    const rig = spinning(subject);
    const start = rig.now();
    rig.round({ deadlines: [start - 10], callBackAt: start + AHEAD });
    const after = rig.now() - start;
    subject.require(after <= SLACK, `with a deadline in the past VTL2 was back after ${after / 10} µs`);
  }),

  clause('early-return-is-a-reason-to-look', 'a run that comes back before the deadline, for whatever reason, loses nothing: wanted again, it still comes', (subject) => {
    const rig = spinning(subject);
    const start = rig.now();
    const due = start + AHEAD;
    rig.round({ deadlines: [due], callBackAt: start + AHEAD / 3 });
    subject.require(rig.now() < due, 'VTL2 could not be called back before the deadline');
    requireFired(subject, returnsUntil(rig, due + 2 * SLACK, [due]), due, 'the same deadline after an early return');
  }),

  clause('cleared-deadline-is-forgotten', 'a later deadline takes the place of an earlier one that was cleared, which comes once at most', (subject) => {
    const rig = spinning(subject);
    const start = rig.now();
    const due = start + 2 * AHEAD;
    rig.round({ deadlines: [start + AHEAD], callBackAt: start + AHEAD / 3 });
    requireFired(subject, returnsUntil(rig, due + 2 * SLACK, [due]), due, 'the later deadline');
  }),

  clause('stale-deadline-does-not-storm', 'a deadline that has come, and that nobody wants any more, does not come again and again', (subject) => {
    const rig = spinning(subject);
    const due = rig.now() + AHEAD;
    returnsUntil(rig, due + SLACK, [due]);
    const returns = returnsUntil(rig, due + 10 * AHEAD, []);
    subject.require(returns.length <= STRAYS, `in 3 ms with nothing wanted the run ioctl returned ${returns.length} times`);
  }),

  clause('cancelled-run-enters-nothing', 'a run whose cancel flag is set enters no lower VTL and handles no exit', (subject) => {
    const rig = new ContractRig(subject, { programs: [[report(1), SPIN]] });
    const { instructions, ledger } = rig.partition;
    const { paravisor } = ledger.snapshot();
    rig.round({ cancel: true });
    rig.round({ cancel: true });
    subject.require(rig.partition.instructions === instructions, 'the guest executed instructions in a cancelled run');
    subject.require(ledger.snapshot().paravisor === paravisor, 'a cancelled run counted a paravisor exit');
    subject.require(rig.record.asked.length === 0, 'a cancelled run made the backing handle an exit');
    rig.rounds(20, () => rig.record.reports.length > 0, { callBackAt: rig.now() + AHEAD });
    subject.require(rig.record.reports.length === 1, 'the run after a cancelled one does not go on with the guest');
  }),
];
