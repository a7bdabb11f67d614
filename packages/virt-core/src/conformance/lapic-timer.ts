import { ApicBase, ApicRegister, APIC_DEFAULT_BASE, MSR_APIC_BASE, U64, X2APIC_MSR_BASE } from '@paravisor/hcl-protocol';
import type { ReadonlyU64 } from '@paravisor/hcl-protocol';
import { LocalApic, LocalApicSet } from '../apic/index.js';
import type { VectorSet } from '../apic/vector-set.js';
import { silentTimerObserver } from '../contract/observer.js';
import { VmTimeAccess } from '../time/vmtime.js';
import { ManualClock } from './manual-clock.js';
import { decimal, integer, quantity, replay, replaySteps } from './row.js';
import type { Row, SteppedRecording } from './row.js';

const osTimeZero: ReadonlyU64 = new U64();

/** Replays a row of `lapic_timer.jsonl`: one local APIC in x2APIC mode. Null when every field of every step agrees. */
export function replayLapicTimer(row: unknown): string | null {
  return replay(row, (known) => replaySteps(known, new ApicRecording()));
}

/** Register a step writes its `v` to. */
const written: Readonly<Record<string, number>> = {
  svr: ApicRegister.Svr,
  lvt: ApicRegister.LvtTimer,
  dcr: ApicRegister.TimerDivide,
  icr: ApicRegister.TimerInitialCount,
};

class ApicRecording implements SteppedRecording {
  readonly #vmTime = new VmTimeAccess(new ManualClock());
  readonly #apic = new LocalApic({
    vp: 0,
    vtl: 0,
    apicId: 0,
    set: new LocalApicSet({ wake() {} }),
    vmTime: this.#vmTime,
    x2apicCapable: true,
    observer: silentTimerObserver,
  });

  constructor() {
    this.#apic.writeMsr(MSR_APIC_BASE, new U64().setParts(APIC_DEFAULT_BASE | ApicBase.Enable | ApicBase.X2apic, 0));
  }

  /** At the step's own VmTime. */
  step(op: string, step: Row): Row | null {
    // Recordings jump further than a 64-bit count of nanoseconds reaches: VmTime is set, as when a partition resumes.
    this.#vmTime.resume(quantity(step, 'now'), osTimeZero);
    const register = written[op];
    if (register !== undefined) {
      this.#apic.writeMsr(X2APIC_MSR_BASE + register, U64.of(integer(step, 'v')));
      return {};
    }
    switch (op) {
      case 'ccr':
        return { v: this.#read(X2APIC_MSR_BASE + ApicRegister.TimerCurrentCount) };
      case 'rd':
        return { v: this.#read(integer(step, 'msr')) };
      case 'scan':
        return this.#scan(step);
      case 'ack': {
        const vector = this.#apic.deliverable();
        if (vector >= 0) this.#apic.acknowledge(vector);
        return { v: orNull(vector) };
      }
      case 'eoi':
        this.#apic.writeMsr(X2APIC_MSR_BASE + ApicRegister.Eoi, U64.of(0));
        return {};
      default:
        return null;
    }
  }

  state(): Row {
    return apicState(this.#apic);
  }

  /** The waiter is as the rest of the VP loop left it: `pre_vt`. */
  #scan(step: Row): Row {
    if (step['pre_vt'] === null) this.#vmTime.cancelTimeout();
    else this.#vmTime.setTimeout(quantity(step, 'pre_vt'));
    const work = this.#apic.scan(this.#vmTime, false);
    return { int: orNull(work.interrupt), vt: this.#vmTime.hasTimeout ? decimal(this.#vmTime.timeout) : null };
  }

  #read(msr: number): number {
    return readMsr(this.#apic, msr);
  }
}

/** A local APIC in x2APIC mode, as the recordings have it. */
export function apicState(apic: LocalApic): Row {
  const { requests, timer } = apic;
  return {
    icr: timer.initialCount,
    ccr: timer.currentCount,
    dcr: timer.divide,
    lvt: readMsr(apic, X2APIC_MSR_BASE + ApicRegister.LvtTimer),
    last: decimal(timer.lastTime),
    next: timer.hasNext ? decimal(timer.nextTime) : null,
    irr: vectorsOf(requests.irr),
    new: vectorsOf(requests.staged),
    isr: vectorsOf(requests.isr),
    top: orNull(apic.deliverable()),
    scan: apic.needsScan,
  };
}

function readMsr(apic: LocalApic, msr: number): number {
  const value = new U64();
  apic.readMsr(msr, value);
  return value.toNumber();
}

function orNull(vector: number): number | null {
  return vector < 0 ? null : vector;
}

function vectorsOf(set: VectorSet): number[] {
  const vectors: number[] = [];
  for (let vector = 0; vector < 256; vector++) if (set.has(vector)) vectors.push(vector);
  return vectors;
}
