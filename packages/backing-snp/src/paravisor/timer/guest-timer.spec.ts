import { U64 } from '@paravisor/hcl-protocol';
import { VmTimeAccess } from '@paravisor/virt-core';
import { describe, expect, it } from 'vitest';
import { RearmScan, createSnpGuestTimer } from './index.js';

/** A VP's VmTime and scan, and the OS clock under it. */
function start() {
  const os = new U64();
  const vp = { vmTime: new VmTimeAccess({ osTimeNs: (out) => void out.set(os) }), rearmScan: new RearmScan() };
  /** Reference time stands at VmTime, plus the 100 ns that reading one after the other may cost. */
  const at = (time100ns: number): U64 => {
    os.setNumber(time100ns * 100);
    return U64.of(time100ns);
  };
  const timeout = (): number | null => (vp.vmTime.hasTimeout ? vp.vmTime.timeout.lo : null);
  return { vp: vp as typeof vp & Parameters<ReturnType<typeof createSnpGuestTimer>['clearDeadline']>[0], at, timeout };
}

describe('the SNP guest timer (openvmm PR 3935)', () => {
  it('keeps the timeout of a deadline that has not changed, though the clocks were read at other moments', () => {
    const { vp, at, timeout } = start();
    const timer = createSnpGuestTimer({ rearm: true, kernelStimer0: false });
    timer.clearDeadline(vp);
    timer.updateDeadline(vp, at(1000), U64.of(5000));
    expect(timeout()).toBe(5000);
    // The loop cancels first each round; VmTime has gone on by one more than reference time.
    vp.vmTime.cancelTimeout();
    timer.clearDeadline(vp);
    at(2001);
    timer.updateDeadline(vp, U64.of(2000), U64.of(5000));
    expect(timeout()).toBe(5000);
  });

  it('without re-arming only when needed, the same round makes another timeout', () => {
    const { vp, at, timeout } = start();
    const timer = createSnpGuestTimer({ rearm: false, kernelStimer0: false });
    timer.clearDeadline(vp);
    timer.updateDeadline(vp, at(1000), U64.of(5000));
    timer.clearDeadline(vp);
    at(2001);
    timer.updateDeadline(vp, U64.of(2000), U64.of(5000));
    expect(timeout()).toBe(5001);
  });

  it('only the earliest deadline of a scan counts', () => {
    const { vp, at, timeout } = start();
    const timer = createSnpGuestTimer({ rearm: true, kernelStimer0: false });
    timer.clearDeadline(vp);
    const now = at(1000);
    timer.updateDeadline(vp, now, U64.of(5000));
    timer.updateDeadline(vp, now, U64.of(6000));
    expect(timeout()).toBe(5000);
    timer.updateDeadline(vp, now, U64.of(4000));
    expect(timeout()).toBe(4000);
    timer.updateDeadline(vp, now, U64.of(7000));
    // Nor is a later one remembered as armed: the next scan puts back the timeout of the earliest, though VmTime is one ahead.
    vp.vmTime.cancelTimeout();
    timer.clearDeadline(vp);
    at(2001);
    timer.updateDeadline(vp, U64.of(2000), U64.of(4000));
    expect(timeout()).toBe(4000);
  });

  it('a deadline numerically in the past is due now', () => {
    const { vp, at, timeout } = start();
    const timer = createSnpGuestTimer({ rearm: true, kernelStimer0: false });
    timer.clearDeadline(vp);
    timer.updateDeadline(vp, at(1000), U64.of(10));
    expect(timeout()).toBe(1000);
  });

  it('a scan that saw no deadline forgets what was armed, so the next one makes a new timeout', () => {
    const { vp, at, timeout } = start();
    const timer = createSnpGuestTimer({ rearm: true, kernelStimer0: false });
    timer.clearDeadline(vp);
    timer.updateDeadline(vp, at(1000), U64.of(5000));
    timer.clearDeadline(vp);
    expect(timeout()).toBe(5000);
    timer.clearDeadline(vp);
    expect(timeout()).toBeNull();
    at(2001);
    timer.updateDeadline(vp, U64.of(2000), U64.of(5000));
    expect(timeout()).toBe(5001);
  });

  it('an earlier timeout of the local APIC stays when the SynIC deadline is put back', () => {
    const { vp, at, timeout } = start();
    const timer = createSnpGuestTimer({ rearm: true, kernelStimer0: false });
    timer.clearDeadline(vp);
    timer.updateDeadline(vp, at(1000), U64.of(5000));
    vp.vmTime.cancelTimeout();
    timer.clearDeadline(vp);
    vp.vmTime.setTimeoutIfBefore(U64.of(3000));
    timer.updateDeadline(vp, at(1500), U64.of(5000));
    expect(timeout()).toBe(3000);
  });

  it('hazard: a timeout that is kept does not follow clocks that drift apart: it comes early, and again at once, until the deadline is due', () => {
    const timeouts = [true, false].map((rearm) => {
      const { vp, at, timeout } = start();
      const timer = createSnpGuestTimer({ rearm, kernelStimer0: false });
      timer.clearDeadline(vp);
      timer.updateDeadline(vp, at(1000), U64.of(5000));
      // When VmTime has reached the timeout, reference time lags behind it by 30.
      vp.vmTime.cancelTimeout();
      timer.clearDeadline(vp);
      at(5001);
      timer.updateDeadline(vp, U64.of(4971), U64.of(5000));
      return timeout();
    });
    expect(timeouts).toEqual([5000, 5030]);
  });

  it('neither form is hardware virtualized (facts of PR 2483: SNP stays on VmTime)', () => {
    expect([true, false].map((rearm) => createSnpGuestTimer({ rearm, kernelStimer0: false }).isHardwareVirtualized())).toEqual([false, false]);
  });
});
