/** Host arms a tick under SNP, side by side: every round anew, only when needed (PR 3935), and with the kernel's part in STIMER0 (PR 4224). */
import { describe, expect, it } from 'vitest';
import { runTest, snpWays } from './whole-partition.js';

type Way = keyof typeof snpWays;
const ways = Object.keys(snpWays) as Way[];

/** What a tick costs, in exits. */
interface CostOfTick {
  readonly arms: number;
  readonly expiries: number;
  /** Writes of MSRs that reached the paravisor's user mode. */
  readonly msrWrites: number;
}

/** The cost of a tick of a guest, by way. Every way delivers every tick. */
function costs(name: string, ticks: number): Record<Way, CostOfTick> {
  const entries = ways.map((way) => {
    const { outcome, partition } = runTest(name, 'snp, VmTime', { backing: snpWays[way] });
    expect(outcome, way).toEqual({ kind: 'passed', reason: null });
    expect(partition.timers.expired).toBe(ticks);
    const { user, hypervisor } = partition.ledger.snapshot().byReason;
    return [way, { arms: hypervisor.timer_arm! / ticks, expiries: hypervisor.timer_expiry! / ticks, msrWrites: user.msr_write! / ticks }];
  });
  return Object.fromEntries(entries) as Record<Way, CostOfTick>;
}

/** To a digit behind the point: the set-up and the end are a few exits for all ticks. */
const about = (value: number) => expect.closeTo(value, 1);

describe('a periodic timer at 1000 Hz', () => {
  it('busy: the end-of-interrupt write makes a round of its own, which arms anew for nothing in half of the ticks (PR 3935)', () => {
    const { naive, rearm, handOff } = costs('timers::stimer_periodic_busy', 1000);
    expect(naive).toEqual({ arms: about(1.5), expiries: about(1), msrWrites: about(1) });
    expect(rearm).toEqual({ arms: about(1), expiries: about(1), msrWrites: about(1) });
    // The count is written once: there is nothing to hand off.
    expect(handOff).toEqual({ arms: about(1), expiries: about(1), msrWrites: about(1) });
  });

  it('idle and mixed: one arm and one expiry a tick where the timeout is kept, and the phases spent busy cost more where it is not (PR 3935)', () => {
    const idle = costs('timers::stimer_periodic_idle', 1000);
    const mixed = costs('timers::stimer_periodic_mixed', 1000);
    for (const { rearm, handOff } of [idle, mixed]) {
      expect(rearm.arms).toBeCloseTo(1, 2);
      expect(handOff.arms).toBeCloseTo(1, 2);
    }
    expect(mixed.naive.arms).toBeGreaterThan(1.2);
    expect(mixed.naive.arms).toBeLessThan(1.5);
  });
});

describe('a one-shot started in each tick', () => {
  const TICKS = 200;

  it.each(['deadlines::ticks_busy', 'deadlines::ticks_halted'])('takes an exit to user mode less with the hand-off, which arms twice: in the kernel, and by user mode at the next exit (PR 4224): %s', (name) => {
    const { naive, rearm, handOff } = costs(name, TICKS);
    expect(rearm).toEqual({ arms: 1, expiries: 1, msrWrites: about(2) });
    expect(handOff).toEqual({ arms: about(2), expiries: 1, msrWrites: about(1) });
    expect(naive.arms).toBeGreaterThan(rearm.arms * 1.2);
  });

  it('among ten other exits a tick: five arms a tick for nothing where every round makes its timeout anew, one where it is kept (PR 3935)', () => {
    const { naive, rearm, handOff } = costs('deadlines::ticks_among_exits', TICKS);
    expect(naive.arms).toBeGreaterThan(4);
    expect(rearm.arms).toBe(1);
    expect(handOff.arms).toBeCloseTo(2, 1);
    for (const { expiries } of [naive, rearm, handOff]) expect(expiries).toBe(1);
  });
});
