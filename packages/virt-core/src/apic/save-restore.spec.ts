import { ApicRegister, HvMsr, MSR_APIC_BASE, StateError, U64 } from '@paravisor/hcl-protocol';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ManualClock } from '../conformance/manual-clock.js';
import { VmTimeAccess } from '../time/index.js';
import { LocalApicSet } from './ipi.js';
import { LocalApic } from './local-apic.js';
import type { LocalApicState } from './registers.js';

/** Two APICs of a set, their VmTime, and everything that came out of them. */
class Subject {
  readonly log: string[] = [];
  readonly clock = new ManualClock();
  readonly vmTime = new VmTimeAccess(this.clock);
  readonly set = new LocalApicSet({ wake: (vp) => void this.log.push(`wake ${vp}`) });
  readonly apics = [0, 1].map(
    (vp) =>
      new LocalApic({
        vp,
        vtl: 0,
        apicId: vp,
        set: this.set,
        vmTime: this.vmTime,
        x2apicCapable: true,
        observer: {
          armed: (_vp, _vtl, source, due) => void this.log.push(`armed ${source} ${new U64().set(due)}`),
          delivered: (_vp, _vtl, source, due, now) => void this.log.push(`delivered ${source} ${new U64().set(due)} ${new U64().set(now)}`),
        },
      }),
  );

  restored(): Subject {
    const other = new Subject();
    other.clock.time.set(this.clock.time);
    other.vmTime.restore(this.vmTime.save());
    for (const [n, apic] of this.apics.entries()) other.apics[n]!.restore(JSON.parse(JSON.stringify(apic.save())) as LocalApicState);
    return other;
  }

  state(): unknown {
    return [this.apics.map((apic) => apic.save()), this.vmTime.save()];
  }
}

type Operation = (subject: Subject) => void;

const cell = new U64();
const which = fc.nat({ max: 1 });
const word = fc.oneof(fc.nat({ max: 0x1ff }), fc.nat(), fc.constantFrom(0x20040, 0x10041, 0x4080, 0xc4081, 0x4400, 0x4500, 0x4608, 0x48ff));
const register = fc.constantFrom(...Object.values(ApicRegister));

const operation: fc.Arbitrary<Operation> = fc.oneof(
  fc.tuple(which, fc.constantFrom(0xfee00800n, 0xfee00c00n, 0xfee00000n, 0x812345800n)).map(([n, value]): Operation => ({ apics, log }) => void log.push(`base ${apics[n]!.writeMsr(MSR_APIC_BASE, cell.setBigInt(value))}`)),
  fc.tuple(which, fc.constantFrom(0x1ff, 0x1ff, 0xff)).map(([n, value]): Operation => ({ apics }) => {
    apics[n]!.writeMmio(0xfee000f0, 4, cell.setNumber(value));
    apics[n]!.writeMsr(0x80f, cell.setNumber(value));
  }),
  fc.tuple(which, register, word, word).map(([n, index, low, high]): Operation => ({ apics, log }) => void log.push(`wrmsr ${apics[n]!.writeMsr(0x800 + index, cell.setParts(low, high))}`)),
  fc.tuple(which, register, word).map(([n, index, value]): Operation => ({ apics }) => apics[n]!.writeMmio(0xfee00000 + index * 16, 4, cell.setNumber(value))),
  fc.tuple(which, register).map(([n, index]): Operation => ({ apics, log }) => void log.push(`rdmsr ${apics[n]!.readMsr(0x800 + index, cell)} ${cell}`)),
  fc.tuple(which, fc.constantFrom(HvMsr.Eoi, HvMsr.Icr, HvMsr.Tpr), word).map(([n, msr, value]): Operation => ({ apics, log }) => void log.push(`synthetic ${apics[n]!.writeMsr(msr, cell.setParts(value, 0))}`)),
  fc.tuple(which, fc.integer({ min: 16, max: 255 }), fc.boolean()).map(([n, vector, autoEoi]): Operation => ({ apics }) => apics[n]!.requestSynicInterrupt(vector, autoEoi)),
  fc.tuple(which, fc.nat({ max: 7 }), fc.integer({ min: 14, max: 255 }), fc.boolean()).map(([n, mode, vector, level]): Operation => ({ set, apics }) => set.request(apics[n]!, mode, vector, level, false)),
  fc.tuple(which, fc.boolean()).map(([n, scanIrr]): Operation => ({ apics, vmTime, log }) => {
    vmTime.cancelTimeout();
    log.push(`scan ${JSON.stringify(apics[n]!.scan(vmTime, scanIrr))} ${vmTime.hasTimeout && new U64().set(vmTime.timeout)}`);
  }),
  which.map((n): Operation => ({ apics }) => {
    const vector = apics[n]!.deliverable();
    if (vector >= 0) apics[n]!.acknowledge(vector);
  }),
  // Forwards only: the APIC timer takes no time that goes back.
  fc.nat({ max: 100_000 }).map((ns): Operation => ({ clock }) => void clock.time.add(cell.setNumber(ns))),
);

describe('a saved local APIC', () => {
  it('restored, goes on as the one that was not saved: registers, requests, timer and what reaches the other', () => {
    fc.assert(
      fc.property(fc.array(operation, { maxLength: 40 }), fc.array(operation, { maxLength: 40 }), (before, after) => {
        const subject = new Subject();
        // Ready for use, or most of what follows would be dropped.
        for (const apic of subject.apics) apic.writeMmio(0xfee000f0, 4, U64.of(0x1ff));
        for (const step of before) step(subject);
        const other = subject.restored();
        expect(other.state()).toEqual(subject.state());
        subject.log.length = 0;
        for (const step of after) {
          step(subject);
          step(other);
          expect(other.log).toEqual(subject.log);
        }
        expect(other.state()).toEqual(subject.state());
      }),
      { numRuns: 400 },
    );
  });

  it('with another number of banks or entries is refused', () => {
    const apic = new Subject().apics[0]!;
    const state = apic.save();
    expect(() => apic.restore({ ...state, localVectorTable: [] })).toThrow(StateError);
    expect(() => apic.restore({ ...state, requests: { ...state.requests, irr: [1] } })).toThrow(StateError);
  });
});
