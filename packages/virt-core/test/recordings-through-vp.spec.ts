/**
 * The recordings of the reference again, this time through a VP: the guest's steps go in as MSR exits and memory writes, and `scan` is what the VP loop
 * does between two runs. What the loop adds is what a step in isolation has not: it reads the clocks itself, and scans until nothing more happens.
 */
import { readFileSync } from 'node:fs';
import { ApicBase, ApicRegister, APIC_DEFAULT_BASE, HvMsr, MSR_APIC_BASE, PAGE_SIZE, U64, viewHvMessage, X2APIC_MSR_BASE } from '@paravisor/hcl-protocol';
import type { ReadonlyU64 } from '@paravisor/hcl-protocol';
import { describe, expect, it } from 'vitest';
import { FlatMemory } from '../src/conformance/flat-memory.js';
import { apicState } from '../src/conformance/lapic-timer.js';
import { decimal, difference, flag, integer, quantity, stepsOf, text } from '../src/conformance/row.js';
import type { Row } from '../src/conformance/row.js';
import { postedMessage, synicState } from '../src/conformance/synic-timer.js';
import type { HardwareIsolatedGuestTimer } from '../src/contract/index.js';
import { silentTimerObserver } from '../src/contract/index.js';
import { PostStatus, Synic } from '../src/synic/index.js';
import { VmTimeGuestTimer } from '../src/timers/index.js';
import type { VmTimeBackingVp, VmTimeHolder } from '../src/timers/index.js';
import { VmTimeAccess } from '../src/time/index.js';
import { createParavisor } from '../src/vp/index.js';
import type { ParavisorVp } from '../src/vp/index.js';
import { ScriptedMachine } from './scripted-partition.js';
import type { RecordingVp } from './scripted-partition.js';

/** At 10 MHz a tick of the TSC is a unit of reference time, exactly. */
const TSC_HZ = 10_000_000n;
const SIMP = 0x1000;
const SOFTWARE_ENABLED = 0x1ff;
const osTimeZero: ReadonlyU64 = new U64();

function rowsOf(file: string): Row[] {
  const lines = readFileSync(new URL(`./recordings/${file}.jsonl`, import.meta.url), 'utf8').split('\n');
  return lines.filter((line) => line !== '').map((line) => JSON.parse(line) as Row);
}

/** A started VP of one VTL, its local APIC in x2APIC mode. */
class RunningVp {
  readonly machine: ScriptedMachine;
  readonly vp: ParavisorVp;

  constructor({ guestTimer = null as HardwareIsolatedGuestTimer | null, softwareEnabled = true } = {}) {
    this.machine = new ScriptedMachine({ guestTimer });
    this.machine.vp.msrs.set(HvMsr.TscFrequency, TSC_HZ);
    this.vp = createParavisor(this.machine.options).vps[0]!;
    this.wrmsr(MSR_APIC_BASE, BigInt(APIC_DEFAULT_BASE | ApicBase.Enable | ApicBase.X2apic) & 0xffffffffn);
    if (softwareEnabled) this.wrmsr(X2APIC_MSR_BASE + ApicRegister.Svr, SOFTWARE_ENABLED);
    // The first round looks at the APIC whatever the rest: it is behind us.
    this.vp.prepare();
    this.machine.takeLog();
  }

  get backing(): RecordingVp {
    return this.machine.recording;
  }
  get apic() {
    return this.backing.context.apics[0]!;
  }
  get synic() {
    return this.backing.context.synics[0]!;
  }

  wrmsr(msr: number, value: bigint | number | U64): void {
    this.backing.context.handlers.writeMsr(0, msr, value instanceof U64 ? value : U64.of(value));
  }

  rdmsr(msr: number): number {
    const value = new U64();
    this.backing.context.handlers.readMsr(0, msr, value);
    return value.toNumber();
  }

  /** Everything between two runs; what the last round asked of the guest timer, [now, next], or null. */
  round(): readonly [now: string, next: string] | null {
    this.machine.takeLog();
    if (!this.vp.prepare()) throw new Error('the VP has ended');
    const log = this.machine.takeLog();
    const update = log.slice(log.lastIndexOf('clear')).findLast((line) => line.startsWith('update '));
    return update === undefined ? null : (update.split(' ').slice(1) as [string, string]);
  }

  /** Delivers and ends everything that is requested, highest first: [vector, auto-EOI] of each. */
  drain(): [number, boolean][] {
    // Reading IRR looks at what is staged.
    this.rdmsr(X2APIC_MSR_BASE + ApicRegister.Irr0);
    const taken: [number, boolean][] = [];
    for (let vector = this.apic.deliverable(); vector >= 0; vector = this.apic.deliverable()) {
      this.apic.acknowledge(vector);
      const inService = this.apic.requests.isr.has(vector);
      if (inService) this.wrmsr(X2APIC_MSR_BASE + ApicRegister.Eoi, 0);
      taken.push([vector, !inService]);
    }
    return taken;
  }
}

/** What an APIC makes of requests in this order: vectors below 16 are dropped, and the last request of a vector counts. */
function requested(ints: unknown): [number, boolean][] {
  const last = new Map((ints as [number, boolean][]).filter(([vector]) => vector >= 16));
  return [...last].sort(([a], [b]) => b - a);
}

/** Steps compared, and rows compared to their end. */
interface Coverage {
  steps: number;
  wholeRows: number;
}

describe('synic_timer through a VP', () => {
  class SynicThroughVp {
    readonly running = new RunningVp();

    constructor() {
      this.running.wrmsr(HvMsr.Simp, SIMP | 1);
    }

    get #page(): Uint8Array {
      return this.running.machine.memory.bytes.subarray(SIMP, SIMP + PAGE_SIZE);
    }

    state(): Row {
      return synicState(this.running.synic, this.#page);
    }

    /** Takes what the APIC has, which is to be what was recorded. */
    #expectRequests(ints: unknown): void {
      const [taken, recorded] = [this.running.drain(), requested(ints)].map((requests) => JSON.stringify(requests));
      if (taken !== recorded) throw new Error(`the APIC has ${taken}, recorded ${recorded}`);
    }

    /** Whether a second scan at `now` would do more: the recording has one, and the loop as many as it takes. */
    goesOnAfterScan(now: U64): boolean {
      const memory = new FlatMemory(SIMP + PAGE_SIZE);
      memory.bytes.set(this.#page, SIMP);
      const log: number[] = [];
      const probe = new Synic({ vp: 0, vtl: 0, memory, interrupts: { requestSynicInterrupt: (vector) => void log.push(vector) }, observer: silentTimerObserver });
      probe.restore(this.running.synic.save());
      const found = (): string => JSON.stringify([probe.save(), probe.hasNextDue && decimal(probe.nextDue)]);
      probe.scan(now);
      const once = found();
      log.length = 0;
      probe.scan(now);
      return log.length > 0 || found() !== once;
    }

    /** What the step is recorded to have answered, as far as a VP shows it; null when the VP goes further than the recording. */
    step(op: string, step: Row): Row | null {
      const { running } = this;
      switch (op) {
        case 'sint':
          running.wrmsr(HvMsr.Sint0 + integer(step, 'n'), quantity(step, 'v'));
          return {};
        case 'config':
          running.wrmsr(HvMsr.Stimer0Config + 2 * integer(step, 'n'), quantity(step, 'v'));
          return {};
        case 'count':
          running.wrmsr(HvMsr.Stimer0Count + 2 * integer(step, 'n'), quantity(step, 'v'));
          return {};
        case 'count_at':
          running.synic.writeCountAt(integer(step, 'n'), quantity(step, 'v'), quantity(step, 'at'));
          return {};
        case 'eom':
          running.wrmsr(HvMsr.Eom, 0);
          return {};
        case 'clear_slot': {
          const message = viewHvMessage(this.#page, 256 * integer(step, 'n'));
          message.type = 0;
          if (flag(step, 'flags')) message.flags = 0;
          return {};
        }
        case 'want_ready':
          running.synic.requestSintReadiness(integer(step, 'v'));
          return {};
        case 'post': {
          const status = running.synic.postMessage(integer(step, 'n'), postedMessage);
          this.#expectRequests(step['ints']);
          return { ok: status === PostStatus.Posted };
        }
        case 'scan': {
          const now = quantity(step, 'now');
          if (this.goesOnAfterScan(now)) return null;
          running.machine.vp.tsc = now.toBigInt();
          const asked = running.round();
          this.#expectRequests(step['ints']);
          return { next: asked === null ? null : asked[1], ...(asked === null ? {} : { now: asked[0] }) };
        }
        default:
          throw new Error(`no such step: ${op}`);
      }
    }
  }

  it('every step agrees in what the guest sees, the interrupts its APIC has, and the deadline the loop asks for', () => {
    const coverage: Coverage = { steps: 0, wholeRows: 0 };
    let recorded = 0;
    for (const [index, row] of rowsOf('synic_timer').entries()) {
      const subject = new SynicThroughVp();
      const steps = stepsOf(row);
      recorded += steps.length;
      let whole = true;
      for (const [number, step] of steps.entries()) {
        const op = text(step, 'op');
        const answer = subject.step(op, step);
        whole = answer !== null;
        if (answer === null) break;
        expect(difference(`row ${index}, step ${number} (${op})`, { ...answer, out: subject.state() }, step)).toBeNull();
        coverage.steps++;
      }
      if (whole) coverage.wholeRows++;
    }
    // Where a row stops short, a second scan at the same time fires a timer again: periods that lie half the time line ahead, or a SINT just reported free.
    // 25 rows stop short, where a second scan at the same time fires a timer again (a period half the time line long), delivers what the first let in, or
    // no longer names a due time.
    expect({ ...coverage, recorded }).toEqual({ steps: 5667, wholeRows: 275, recorded: 5850 });
  });
});

describe('lapic_timer through a VP', () => {
  it('every step agrees: registers by exits, the scan by the VP loop, its VmTime timeout and the vector it offers', () => {
    const written: Readonly<Record<string, number>> = { svr: ApicRegister.Svr, lvt: ApicRegister.LvtTimer, dcr: ApicRegister.TimerDivide, icr: ApicRegister.TimerInitialCount };
    for (const [index, row] of rowsOf('lapic_timer').entries()) {
      // The waiter as the guest timer, earlier in the round, has left it.
      let preset: U64 | null = null;
      const guestTimer: HardwareIsolatedGuestTimer<VmTimeBackingVp> = {
        isHardwareVirtualized: () => false,
        updateDeadline() {},
        clearDeadline() {
          if (preset !== null) running.backing.context.vmTime.setTimeout(preset);
        },
        beginLowerVtlRun() {},
        endLowerVtlRun() {},
      };
      const running: RunningVp = new RunningVp({ guestTimer: guestTimer as HardwareIsolatedGuestTimer, softwareEnabled: false });
      const { vmTime } = running.backing.context;

      const answerTo = (op: string, step: Row): Row => {
        switch (op) {
          case 'ccr':
            return { v: running.rdmsr(X2APIC_MSR_BASE + ApicRegister.TimerCurrentCount) };
          case 'rd':
            return { v: running.rdmsr(integer(step, 'msr')) };
          case 'eoi':
            running.wrmsr(X2APIC_MSR_BASE + ApicRegister.Eoi, 0);
            return {};
          case 'ack': {
            const vector = running.apic.deliverable();
            if (vector >= 0) running.apic.acknowledge(vector);
            return { v: vector < 0 ? null : vector };
          }
          case 'scan': {
            preset = step['pre_vt'] === null ? null : quantity(step, 'pre_vt');
            running.machine.takeLog();
            expect(running.vp.prepare()).toBe(true);
            const offer = running.machine.takeLog().findLast((line) => line.startsWith('offer 0 '));
            return { int: offer === undefined ? null : Number(offer.slice(8)), vt: vmTime.hasTimeout ? decimal(vmTime.timeout) : null };
          }
          default:
            running.wrmsr(X2APIC_MSR_BASE + written[op]!, integer(step, 'v'));
            return {};
        }
      };

      for (const [number, step] of stepsOf(row).entries()) {
        const op = text(step, 'op');
        // Recordings jump further than an OS clock of 64-bit nanoseconds reaches: VmTime is set, as when a partition resumes.
        vmTime.resume(quantity(step, 'now'), osTimeZero);
        expect(difference(`row ${index}, step ${number} (${op})`, { ...answerTo(op, step), out: apicState(running.apic) }, step)).toBeNull();
      }
    }
  });
});

describe('vmtime through a VP', () => {
  it('guest_timer: the timeout the loop sets for a SynIC timer, wherever reference time and VmTime are', () => {
    let compared = 0;
    const rows = rowsOf('vmtime').filter((row) => row['kind'] === 'guest_timer');
    for (const row of rows) {
      const now = quantity(row, 'now');
      const next = quantity(row, 'next');
      // A timer that is due fires instead; a count of 0 is none.
      if (!now.isBefore(next) || next.isZero()) continue;
      const timer = new VmTimeGuestTimer();
      // A scripted VP does not show its VmTime, as a backing's own would.
      let holder: VmTimeHolder = { vmTime: new VmTimeAccess({ osTimeNs: (out) => out.setParts(0, 0) }) };
      const guestTimer: HardwareIsolatedGuestTimer = {
        isHardwareVirtualized: () => false,
        updateDeadline: (_vp, from, to) => timer.updateDeadline(holder, from, to),
        clearDeadline: () => timer.clearDeadline(holder),
        beginLowerVtlRun() {},
        endLowerVtlRun() {},
      };
      const running = new RunningVp({ guestTimer });
      holder = running.backing.context;
      const { vmTime } = holder;
      vmTime.resume(quantity(row, 'vmtime'), osTimeZero);
      running.machine.vp.tsc = now.toBigInt();
      running.machine.vp.osTime = 0n;
      running.wrmsr(HvMsr.Stimer0Config, 1 | (1 << 12) | (0x50 << 4));
      running.wrmsr(HvMsr.Stimer0Count, next);
      running.round();
      expect(vmTime.hasTimeout && decimal(vmTime.timeout)).toBe(text(row, 'timeout'));
      compared++;
    }
    expect(compared).toBeGreaterThan(rows.length / 3);
  });
});
