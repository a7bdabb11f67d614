/** Replays recordings of the reference (`test/recordings/snp_scan.jsonl`) through the guest timer guests run on. */
import { U64 } from '@paravisor/hcl-protocol';
import { VmTimeAccess, recordedRow } from '@paravisor/virt-core';
import { RearmScan, RearmingGuestTimer } from './paravisor/index.js';
import type { RearmScanHolder } from './paravisor/index.js';

const { decimal, quantity, replay, replaySteps } = recordedRow;
type Row = recordedRow.Row;

const guestTimer = new RearmingGuestTimer();

/** One VP's scans, with an OS clock that reads what the recording says and starts at 0. */
class RecordedScans implements RearmScanHolder {
  readonly vmTime: VmTimeAccess;
  readonly rearmScan = new RearmScan();
  readonly #osTime = new U64();

  constructor(vmTimeAtStart: U64) {
    this.vmTime = new VmTimeAccess({ osTimeNs: (out) => void out.set(this.#osTime) }, vmTimeAtStart);
  }

  step(op: string, step: Row): Row | null {
    this.#osTime.set(quantity(step, 'os'));
    switch (op) {
      case 'clear':
        guestTimer.clearDeadline(this);
        return {};
      case 'update':
        guestTimer.updateDeadline(this, quantity(step, 'now'), quantity(step, 'next'));
        return {};
      case 'apic':
        this.vmTime.setTimeoutIfBefore(quantity(step, 't'));
        return {};
      case 'poll': {
        const now = new U64();
        return { ready: this.vmTime.poll(now) ? decimal(now) : null };
      }
      default:
        return null;
    }
  }

  state(): Row {
    const { rearmScan: scan, vmTime } = this;
    return {
      armed_ref: scan.hasArmed ? decimal(scan.armedRefTime) : null,
      armed_to: scan.hasArmed ? decimal(scan.armedTimeout) : null,
      next_ref: scan.sawDeadline ? decimal(scan.earliestRefTime) : null,
      seen: scan.sawDeadline,
      vt: vmTime.hasTimeout ? decimal(vmTime.timeout) : null,
    };
  }
}

/**
 * Replays one row of `snp_scan.jsonl`: one VP's scans with re-arming on. Null when every field of every step agrees, else one line that names step and
 * field, or says what is malformed about the row.
 */
export function replaySnpScan(row: unknown): string | null {
  return replay(row, (known) => replaySteps(known, new RecordedScans(quantity(known, 'vm0'))));
}
