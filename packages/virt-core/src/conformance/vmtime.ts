import { U64 } from '@paravisor/hcl-protocol';
import { NS_PER_100NS, durationTo100ns } from '../time/conversions.js';
import { VmTimeAccess, vmTimeCheckedSub, vmTimeIsAfter, vmTimeIsBefore, vmTimeMax, vmTimeMin } from '../time/vmtime.js';
import { VmTimeGuestTimer } from '../timers/vmtime-guest-timer.js';
import { ManualClock } from './manual-clock.js';
import { MalformedRow, decimal, difference, integer, quantity, replay, stepsOf, text } from './row.js';
import type { Row } from './row.js';

/** Replays a row of `vmtime.jsonl`: VmTime arithmetic, the VmTime guest timer, or one waiter. Null when every field agrees. */
export function replayVmTime(row: unknown): string | null {
  return replay(row, (known) => {
    switch (text(known, 'kind')) {
      case 'arith':
        return replayArithmetic(known);
      case 'guest_timer':
        return replayGuestTimer(known);
      case 'access':
        return replayAccess(known);
      default:
        throw new MalformedRow('kind is none of arith, guest_timer, access');
    }
  });
}

function replayArithmetic(row: Row): string | null {
  const a = quantity(row, 'a');
  const b = quantity(row, 'b');
  const duration = new U64();
  durationTo100ns(quantity(row, 'secs'), integer(row, 'nanos'), duration);
  const between = new U64();
  const inOrder = vmTimeCheckedSub(a, b, between);
  const actual = {
    add: decimal(new U64().set(a).add(duration)),
    before: vmTimeIsBefore(a, b),
    after: vmTimeIsAfter(a, b),
    // Wider than 64 bits: a duration, not a time.
    sub_ns: inOrder ? (between.toBigInt() * BigInt(NS_PER_100NS)).toString() : null,
    min: decimal(vmTimeMin(a, b)),
    max: decimal(vmTimeMax(a, b)),
  };
  return difference('arith', { out: actual }, row);
}

function replayGuestTimer(row: Row): string | null {
  const vmTime = new VmTimeAccess(new ManualClock(), quantity(row, 'vmtime'));
  new VmTimeGuestTimer().updateDeadline({ vmTime }, quantity(row, 'now'), quantity(row, 'next'));
  return difference('guest_timer', { timeout: vmTime.hasTimeout ? decimal(vmTime.timeout) : null }, row);
}

function replayAccess(row: Row): string | null {
  const clock = new ManualClock();
  const access = new VmTimeAccess(clock, quantity(row, 'vm0'), quantity(row, 'os0'));
  const now = new U64();
  for (const [index, step] of stepsOf(row).entries()) {
    const op = text(step, 'op');
    clock.time.set(quantity(step, 'os'));
    let ready: { ready: string | null } | null = null;
    switch (op) {
      case 'set':
        access.setTimeout(quantity(step, 't'));
        break;
      case 'set_if_before':
        access.setTimeoutIfBefore(quantity(step, 't'));
        break;
      case 'cancel':
        access.cancelTimeout();
        break;
      case 'poll':
        ready = { ready: access.poll(now) ? decimal(now) : null };
        break;
      default:
        throw new MalformedRow(`step ${index}: no such step: ${op}`);
    }
    access.now(now);
    const out = { now: decimal(now), timeout: access.hasTimeout ? decimal(access.timeout) : null, waiting: access.waiting };
    const found = difference(`step ${index} (${op})`, { ...ready, out }, step);
    if (found !== null) return found;
  }
  return null;
}
