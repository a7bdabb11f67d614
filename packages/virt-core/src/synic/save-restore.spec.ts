import { HvMsr, SINT_COUNT, STIMER_COUNT, StateError, U64, saveBytes } from '@paravisor/hcl-protocol';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FlatMemory } from '../conformance/flat-memory.js';
import { Synic } from './synic.js';
import type { SynicState } from './synic.js';

const RAM_BYTES = 0x5000;
const PAGE = 0x1000;

/** A SynIC, its guest RAM, and everything that came out of it. */
class Subject {
  readonly memory = new FlatMemory(RAM_BYTES);
  readonly log: string[] = [];
  readonly synic = new Synic({
    vp: 0,
    vtl: 0,
    memory: this.memory,
    interrupts: { requestSynicInterrupt: (vector, autoEoi) => void this.log.push(`vector ${vector}${autoEoi ? ' auto-EOI' : ''}`) },
    observer: {
      armed: (_vp, _vtl, source, due) => void this.log.push(`armed ${source} ${new U64().set(due)}`),
      delivered: (_vp, _vtl, source, due, now) => void this.log.push(`delivered ${source} ${new U64().set(due)} ${new U64().set(now)}`),
    },
  });

  /** A new one with the saved state and the same RAM. */
  restored(): Subject {
    const other = new Subject();
    other.memory.bytes.set(this.memory.bytes);
    other.synic.restore(JSON.parse(JSON.stringify(this.synic.save())) as SynicState);
    return other;
  }

  /** All that a guest and the VP loop can see. */
  look(): unknown {
    const { synic } = this;
    const registers: string[] = [];
    const value = new U64();
    for (let msr = HvMsr.Scontrol; msr <= HvMsr.Stimer0Count + 6; msr++) {
      if (!Synic.owns(msr)) continue;
      synic.readMsr(msr, value);
      registers.push(value.toString());
    }
    return { registers, state: synic.save(), memory: saveBytes(this.memory.bytes) };
  }
}

type Operation = (subject: Subject) => void;

const cell = new U64();
const writeMsr =
  (msr: number, value: bigint): Operation =>
  ({ synic, log }) =>
    void log.push(`wrmsr ${synic.writeMsr(msr, cell.setBigInt(value))}`);

const sint = fc.nat({ max: SINT_COUNT - 1 });
const timer = fc.nat({ max: STIMER_COUNT - 1 });
/** Few SINTs and times near each other, so that things meet. */
const fewSints = fc.nat({ max: 2 });
const time = fc.oneof(fc.bigInt({ min: 0n, max: 50n }), fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }));
const config = fc.record({ low: fc.nat({ max: 15 }), vector: fc.nat({ max: 255 }), direct: fc.boolean(), sint: fewSints });

const operation: fc.Arbitrary<Operation> = fc.oneof(
  fc.tuple(fewSints, fc.constantFrom(0x50n, 0x20051n, 0x40052n, 0x10053n, 0x100054n)).map(([n, value]) => writeMsr(HvMsr.Sint0 + n, value)),
  fc.tuple(timer, config).map(([n, c]) => writeMsr(HvMsr.Stimer0Config + 2 * n, BigInt(c.low | (c.vector << 4) | (c.direct ? 1 << 12 : 0) | (c.sint << 16)))),
  fc.tuple(timer, time).map(([n, value]) => writeMsr(HvMsr.Stimer0Count + 2 * n, value)),
  fc.tuple(fc.constantFrom(HvMsr.Simp, HvMsr.Siefp), fc.nat({ max: 5 }), fc.nat({ max: 1 })).map(([msr, page, on]) => writeMsr(msr, BigInt(page * PAGE + on))),
  fc.nat({ max: 1 }).map((on) => writeMsr(HvMsr.Scontrol, BigInt(on))),
  time.map((now): Operation => ({ synic, log }) => void log.push(`scan ${synic.scan(cell.setBigInt(now))} ${synic.readySints} ${synic.hasNextDue && new U64().set(synic.nextDue)}`)),
  fc.tuple(timer, time, time).map(([n, count, at]): Operation => ({ synic }) => synic.writeCountAt(n, U64.of(count), U64.of(at))),
  fc.nat({ max: 7 }).map((sints): Operation => ({ synic }) => synic.requestSintReadiness(sints)),
  fewSints.map((n): Operation => ({ synic, log }) => void log.push(`post ${synic.postMessage(n, new Uint8Array(256).fill(7))}`)),
  fc.tuple(sint, fc.nat({ max: 2047 })).map(([n, flag]): Operation => ({ synic, log }) => void log.push(`event ${synic.signalEvent(n, flag)}`)),
  // The guest takes its message, or writes where it likes.
  fc.tuple(fc.nat({ max: RAM_BYTES - 1 }), fc.nat({ max: 255 })).map(([at, byte]): Operation => ({ memory }) => void (memory.bytes[at] = byte)),
  fc.tuple(fc.nat({ max: 4 }), fewSints).map(([page, n]): Operation => ({ memory }) => void memory.bytes.fill(0, page * PAGE + n * 256, page * PAGE + n * 256 + 6)),
);

describe('a saved SynIC', () => {
  it('restored, goes on as the one that was not saved: whatever was written, scanned and posted before and after', () => {
    fc.assert(
      fc.property(fc.array(operation, { maxLength: 30 }), fc.array(operation, { maxLength: 30 }), (before, after) => {
        const subject = new Subject();
        for (const step of before) step(subject);
        const other = subject.restored();
        expect(other.look()).toEqual(subject.look());
        subject.log.length = 0;
        for (const step of after) {
          step(subject);
          step(other);
          expect(other.log).toEqual(subject.log);
        }
        expect(other.look()).toEqual(subject.look());
      }),
      { numRuns: 400 },
    );
  });

  it('of another number of SINTs or timers is refused', () => {
    const { synic } = new Subject();
    const state = synic.save();
    expect(() => synic.restore({ ...state, timers: [] })).toThrow(StateError);
    expect(() => synic.restore({ ...state, sints: { ...state.sints, registers: [] } })).toThrow(StateError);
    expect(() => synic.restore({ ...state, scontrol: 'on' })).toThrow(StateError);
  });
});
