import { U64, UPDATE_DEADLINE, tdxL2TscDeadlineLayout, viewOf } from '@paravisor/hcl-protocol';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { TscDeadlineService, TscDeadlineState } from './tsc-deadline-service.js';
import type { TscDeadlineVp } from './tsc-deadline-service.js';

const HZ = 2_100_000_123;
const TWO_64 = 2n ** 64n;

/** A VP with a TSC set by hand. */
class ManualVp implements TscDeadlineVp {
  readonly tscDeadline = new TscDeadlineState();
  readonly deadlinePage = viewOf(tdxL2TscDeadlineLayout, new Uint8Array(tdxL2TscDeadlineLayout.size));
  readonly tsc = new U64();
  rdtsc(out: U64): void {
    out.set(this.tsc);
  }
  get armed(): { deadline: bigint; update: number } {
    const { deadline, updateDeadline } = this.deadlinePage;
    return { deadline: new U64().set(deadline).toBigInt(), update: updateDeadline };
  }
}

function start(hz = HZ) {
  const service = new TscDeadlineService(hz);
  const vp = new ManualVp();
  const update = (now: bigint, next: bigint) => service.updateDeadline(vp, U64.of(now), U64.of(next));
  return { service, vp, update };
}

describe('the TSC deadline service (openvmm PR 2483)', () => {
  it('is hardware virtualized', () => {
    expect(start().service.isHardwareVirtualized()).toBe(true);
  });

  it('asks for rdtsc + (next − now) in ticks, wrapping, by the truncated scale', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: TWO_64 - 1n }), fc.bigInt({ min: 0n, max: 2n ** 40n }), fc.bigInt({ min: 0n, max: TWO_64 - 1n }), (now, ahead, tsc) => {
        const { vp, update } = start();
        vp.tsc.setBigInt(tsc);
        const next = BigInt.asUintN(64, now + ahead);
        update(now, next);
        // An unsigned `next` below `now` has wrapped: it counts as the present.
        const ticks = next < now ? 0n : (ahead * ((BigInt(HZ) << 64n) / 10_000_000n)) >> 64n;
        expect(vp.armed).toEqual({ deadline: BigInt.asUintN(64, tsc + ticks), update: UPDATE_DEADLINE });
      }),
    );
  });

  it('one second at 2,100,000,123 Hz is 2,100,000,122 ticks', () => {
    const { vp, update } = start();
    update(0n, 10_000_000n);
    expect(vp.armed.deadline).toBe(2_100_000_122n);
  });

  it('keeps the earliest of a round on a line that wraps', () => {
    const { vp, update } = start();
    for (const next of [5000n, 3000n, 4000n, TWO_64 - 100n, 2n]) update(TWO_64 - 500n, next);
    expect(vp.tscDeadline.deadline.toBigInt()).toBe(TWO_64 - 100n);
  });

  it('does not ask again for what the last run is taken to have armed', () => {
    const { service, vp, update } = start();
    update(0n, 1000n);
    service.endLowerVtlRun(vp);
    service.clearDeadline(vp);
    vp.tsc.setBigInt(777n);
    const before = vp.armed.deadline;
    update(10n, 1000n);
    expect(vp.armed).toEqual({ deadline: before, update: 0 });
  });

  it('clearing forgets neither the last deadline nor the page’s: with nothing wanted the hardware keeps the old one', () => {
    const { service, vp, update } = start();
    update(0n, 1000n);
    service.endLowerVtlRun(vp);
    const { deadline } = vp.armed;
    service.clearDeadline(vp);
    expect(vp.armed).toEqual({ deadline, update: 0 });
    expect(vp.tscDeadline).toMatchObject({ hasDeadline: false, hasLastDeadline: true });
  });

  it('after a run with nothing wanted, the same deadline is asked for anew', () => {
    const { service, vp, update } = start();
    update(0n, 1000n);
    service.endLowerVtlRun(vp);
    service.clearDeadline(vp);
    service.endLowerVtlRun(vp);
    update(10n, 1000n);
    expect(vp.armed.update).toBe(UPDATE_DEADLINE);
  });

  it('hazard: an expiry that comes early is not armed again for the same deadline, and the driver then disarms it', () => {
    const { service, vp, update } = start();
    update(0n, 2_000_000_000n);
    service.endLowerVtlRun(vp);
    // Exit 52 by the clamp of the preemption timer, long before the deadline: the next round wants the same.
    service.clearDeadline(vp);
    update(687_000_000n, 2_000_000_000n);
    expect(vp.armed.update).toBe(0);
  });

  it('hazard: a run that was cancelled counts as having armed what was wanted, so the next round does not ask for it', () => {
    const { service, vp, update } = start();
    update(0n, 1000n);
    // EINTR: the driver wrote nothing, and the update is still set in the page; clearing takes it away.
    service.endLowerVtlRun(vp);
    expect(vp.armed.update).toBe(UPDATE_DEADLINE);
    service.clearDeadline(vp);
    update(5n, 1000n);
    expect(vp.armed.update).toBe(0);
  });

  it('only the earliest deadline of a round survives: a later one of the other VTL is dropped', () => {
    const { vp, update } = start();
    update(0n, 1000n);
    update(0n, 2000n);
    expect(vp.tscDeadline.deadline.toBigInt()).toBe(1000n);
  });

  it('VTL0’s deadline that the last run armed takes back the request for VTL1’s later one', () => {
    const { service, vp, update } = start();
    update(0n, 1000n);
    service.endLowerVtlRun(vp);
    service.clearDeadline(vp);
    update(10n, 1500n);
    expect(vp.armed.update).toBe(UPDATE_DEADLINE);
    update(10n, 1000n);
    expect(vp.armed.update).toBe(0);
    expect(vp.tscDeadline.deadline.toBigInt()).toBe(1000n);
  });
});
