/** One timer from the guest's write to its interrupt, as traces of real runs tell it, and what a tick of the whole run costs. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { blocks, code, table } from './markdown.mjs';
import { tmkVmm } from './tool.mjs';

const GUEST = 'packages/tmk-guests/elf/timers.elf';

/** Traces a run and tells its first timer. */
export function timerLife(guest, backing, guestTimer) {
  const test = `timers::stimer_periodic_${guest}`;
  const folder = mkdtempSync(join(tmpdir(), 'timer-life-'));
  try {
    const file = join(folder, 'trace.jsonl');
    const report = JSON.parse(tmkVmm('run', GUEST, test, '--backing', backing, '--guest-timer', guestTimer, '--trace', file, '--reporter', 'json'));
    const events = readFileSync(file, 'utf8').trimEnd().split('\n').map((line) => JSON.parse(line));
    return blocks(lifeTable(firstTimer(events)), totals(report.runs[0].tests[0]));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** From the exit that brings the guest's write, to the return to user mode that brings its end of interrupt. */
function firstTimer(events) {
  const armed = events.findIndex(({ event }) => event === 'timer_armed');
  const written = events.findLastIndex(({ destination, reason }, index) => index < armed && destination === 'paravisor' && reason === 'msr_write');
  const delivered = events.findIndex(({ event }) => event === 'timer_delivered');
  const ended = events.findIndex(({ destination }, index) => index > delivered && destination === 'user');
  // The host's timer being armed and its expiry are hypervisor exits too: once is enough.
  return events.slice(written, ended + 1).filter(({ event }) => !event.startsWith('host_timer_'));
}

const meanings = {
  timer_armed: 'the paravisor has computed when the timer is due',
  deadline_written: 'the driver writes TSC_DEADLINE of the lower VTL on the way in',
  timer_delivered: "the scan finds the timer due and sets its vector in the guest's APIC",
  'paravisor msr_write': 'the guest writes an MSR of its timer or its APIC',
  'paravisor timer_expired': 'the TDX module ends the run of the lower VTL: its deadline has come',
  'paravisor hw_interrupt': 'the host interrupts VTL2, which ends the run of the lower VTL',
  'paravisor intr': 'the host interrupts VTL2, which ends the run of the lower VTL',
  'paravisor hlt': 'the guest halts',
  'user msr_write': 'the run ioctl returns: user mode emulates the write',
  'user timer_expired': 'the run ioctl returns: user mode counts it and goes round',
  'user hw_interrupt': 'the run ioctl returns: user mode goes round',
  'user intr': 'the run ioctl returns: user mode goes round',
  'user hlt': 'the run ioctl returns: user mode marks the VP as halted',
  'user cancelled': 'the run ioctl returns because the VmTime timeout has set its cancel flag',
  'hypervisor timer_arm': "VTL2 programs its own timer, which the host keeps",
  'hypervisor timer_expiry': "the host signals that VTL2's timer has expired",
  'hypervisor halt': 'VTL2 has nothing to run and gives the processor to the host',
  'hypervisor vmpl_switch': 'in or out of the lower VTL by way of the host',
};

function meaningOf(key) {
  if (Object.hasOwn(meanings, key)) return meanings[key];
  throw new Error(`docs/generate/timer-life.mjs has no words for "${key}"`);
}

function lifeTable(events) {
  const start = events.find(({ event }) => event === 'timer_armed').ns;
  const rows = events.map(({ event, ns, destination, reason, timer }) => {
    const key = event === 'exit' ? `${destination} ${reason}` : event;
    const name = event === 'exit' ? `${destination} exit ${code(reason)}` : `${code(event)}${timer === undefined ? '' : ` (${timer})`}`;
    return [((ns - start) / 1000).toFixed(1), name, meaningOf(key)];
  });
  return table(['µs', 'event', 'what happens'], rows);
}

/** What the run cost beyond its start and end: reasons that come with every other tick at least are named. */
function totals({ exits, timers }) {
  const kinds = ['paravisor', 'user', 'hypervisor'].map((kind) => {
    const reasons = Object.entries(exits.byReason[kind]).filter(([, count]) => count >= timers.expired / 2).map(([reason, count]) => `${code(reason)} ${count}`);
    return [kind, String(exits[kind]), reasons.join(', ')];
  });
  return blocks(`The whole run, ${timers.expired} ticks:`, table(['exits', 'in all', 'of these, for ticks'], kinds));
}
