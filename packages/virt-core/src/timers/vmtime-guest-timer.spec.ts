import { U64, u64ToBigInt } from '@paravisor/hcl-protocol';
import { describe, expect, it } from 'vitest';
import { ManualClock } from '../conformance/manual-clock.js';
import { VmTimeAccess } from '../time/index.js';
import { VmTimeGuestTimer } from './vmtime-guest-timer.js';

function vpAt(vmTime: number): { vmTime: VmTimeAccess } {
  return { vmTime: new VmTimeAccess(new ManualClock(), U64.of(vmTime)) };
}

const timer = new VmTimeGuestTimer();
const update = (vp: { vmTime: VmTimeAccess }, now: number, next: number): void => timer.updateDeadline(vp, U64.of(now), U64.of(next));

describe('VmTime guest timer (openvmm PR 2483)', () => {
  it('is no hardware', () => {
    expect(timer.isHardwareVirtualized()).toBe(false);
  });

  it('puts the distance in reference time ahead of VmTime now', () => {
    const vp = vpAt(1_000);
    update(vp, 500, 800);
    expect(u64ToBigInt(vp.vmTime.timeout)).toBe(1_300n);
  });

  it('takes a deadline in the past as now, comparing unsigned', () => {
    const vp = vpAt(1_000);
    timer.updateDeadline(vp, U64.of(2n ** 64n - 1n), U64.of(5));
    expect(u64ToBigInt(vp.vmTime.timeout)).toBe(1_000n);
  });

  it('keeps the earliest of several scans of a round', () => {
    const vp = vpAt(0);
    for (const next of [300, 200, 250]) update(vp, 0, next);
    expect(u64ToBigInt(vp.vmTime.timeout)).toBe(200n);
  });

  it('clearing cancels the VmTime timeout, also one the APIC had set', () => {
    const vp = vpAt(0);
    vp.vmTime.setTimeout(U64.of(70));
    timer.clearDeadline(vp);
    expect(vp.vmTime.hasTimeout).toBe(false);
  });

  it('does nothing around a run', () => {
    const vp = vpAt(0);
    update(vp, 0, 300);
    timer.beginLowerVtlRun();
    timer.endLowerVtlRun();
    expect(u64ToBigInt(vp.vmTime.timeout)).toBe(300n);
  });
});
