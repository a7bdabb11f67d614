/** Replays recordings of the reference through the guest timer that guests run on. Here, so that a command can use what the tests use. */
import { U64, u64ToBigInt } from '@paravisor/hcl-protocol';
import type { ReadonlyU64 } from '@paravisor/hcl-protocol';
import { VmTimeAccess } from '@paravisor/virt-core';
import { RearmScan, RearmingGuestTimer } from './paravisor/index.js';
import type { RearmScanHolder } from './paravisor/index.js';

type Row = Readonly<Record<string, unknown>>;

const guestTimer = new RearmingGuestTimer();

/** A row that is not of the recordings' schema. */
class MalformedRow extends Error {}

/**
 * Replays a row of `snp_scan.jsonl`: one VP's scans with re-arming on. Null when every field of every step agrees, else one line naming step and field.
 */
export function replaySnpScan(row: unknown): string | null {
  try {
    return replay(asRow(row, 'the row'));
  } catch (error) {
    if (error instanceof MalformedRow) return `malformed row: ${error.message}`;
    throw error;
  }
}

function replay(row: Row): string | null {
  const osTime = new U64();
  // The recordings' OS clock starts at 0.
  const vmTime = new VmTimeAccess({ osTimeNs: (out) => void out.set(osTime) }, quantity(row, 'vm0'));
  const vp: RearmScanHolder = { vmTime, rearmScan: new RearmScan() };
  const { steps } = row;
  if (!Array.isArray(steps) || steps.length === 0) throw new MalformedRow('steps is not a list of steps');
  for (const [index, value] of steps.entries()) {
    const step = asRow(value, `step ${index}`);
    osTime.set(quantity(step, 'os'));
    const found = perform(step, vp) ?? difference(stateOf(vp), asRow(step['out'], `out of step ${index}`));
    if (found !== null) return `step ${index} (${String(step['op'])}): ${found}`;
  }
  return null;
}

/** Performs the step; what a poll returned is compared here. */
function perform(step: Row, vp: RearmScanHolder): string | null {
  switch (step['op']) {
    case 'clear':
      guestTimer.clearDeadline(vp);
      return null;
    case 'update':
      guestTimer.updateDeadline(vp, quantity(step, 'now'), quantity(step, 'next'));
      return null;
    case 'apic':
      vp.vmTime.setTimeoutIfBefore(quantity(step, 't'));
      return null;
    case 'poll': {
      const now = new U64();
      return difference({ ready: vp.vmTime.poll(now) ? decimal(now) : null }, step);
    }
    default:
      throw new MalformedRow(`no such step: ${String(step['op'])}`);
  }
}

const stateOf = ({ rearmScan: scan, vmTime }: RearmScanHolder): Row => ({
  armed_ref: scan.hasArmed ? decimal(scan.armedRefTime) : null,
  armed_to: scan.hasArmed ? decimal(scan.armedTimeout) : null,
  next_ref: scan.sawDeadline ? decimal(scan.earliestRefTime) : null,
  seen: scan.sawDeadline,
  vt: vmTime.hasTimeout ? decimal(vmTime.timeout) : null,
});

/** The first field that is recorded otherwise; null when all agree. */
function difference(actual: Row, recorded: Row): string | null {
  for (const [name, value] of Object.entries(actual)) {
    if (value !== recorded[name]) return `${name} is ${String(value)}, recorded ${String(recorded[name])}`;
  }
  return null;
}

function asRow(value: unknown, what: string): Row {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new MalformedRow(`${what} is not an object`);
  return value as Row;
}

/** A field that holds a 64-bit quantity: a decimal string. */
function quantity(row: Row, name: string): U64 {
  const value = row[name];
  if (typeof value !== 'string' || !/^\d{1,20}$/.test(value) || BigInt(value) >> 64n !== 0n) throw new MalformedRow(`${name} is not a 64-bit decimal`);
  return U64.of(BigInt(value));
}

const decimal = (value: ReadonlyU64): string => u64ToBigInt(value).toString();
