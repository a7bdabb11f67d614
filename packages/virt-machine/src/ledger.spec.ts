import { ExitDestination, ExitReason, exitReasonNames } from '@paravisor/hcl-protocol';
import { describe, expect, it } from 'vitest';
import { silentMachineObserver } from './observer.js';
import { Ledger } from './ledger.js';

const { Paravisor, User, Hypervisor } = ExitDestination;

describe('the exit ledger', () => {
  it('keeps the three kinds of exit apart (facts: count them apart, always)', () => {
    const ledger = new Ledger(1, silentMachineObserver, []);
    // An idle TDX tick: the lower VTL left by HLT, user mode was told timer_expired.
    ledger.count(0, 0, Paravisor, ExitReason.hlt, 1);
    ledger.count(0, 0, User, ExitReason.timer_expired, 2);
    ledger.count(0, 2, Hypervisor, ExitReason.halt, 3);
    expect(ledger.snapshot()).toEqual({
      paravisor: 1,
      user: 1,
      hypervisor: 1,
      byReason: {
        paravisor: { hlt: 1 },
        user: { timer_expired: 1 },
        hypervisor: { timer_arm: 0, timer_expiry: 0, halt: 1, vmpl_switch: 0, tdvmcall: 0, vmgexit: 0, host_interrupt: 0, other: 0 },
      },
    });
  });

  it('lists the reasons of the backing even at zero', () => {
    const ledger = new Ledger(1, silentMachineObserver, ['timer_expired']);
    expect(ledger.snapshot().byReason.paravisor).toEqual({ timer_expired: 0 });
  });

  it('tells VPs and VTLs apart', () => {
    const ledger = new Ledger(2, silentMachineObserver, []);
    for (let pair = 0; pair < 6; pair++) {
      for (let n = 0; n <= pair; n++) ledger.count(Math.floor(pair / 3), pair % 3, Paravisor, ExitReason.hlt, 0);
    }
    expect(ledger.total(Paravisor)).toBe(21);
    expect(ledger.total(Paravisor, { vp: 1 })).toBe(15);
    expect(ledger.countOf(Paravisor, ExitReason.hlt, { vtl: 2 })).toBe(9);
    expect(ledger.snapshot({ vp: 0, vtl: 1 }).paravisor).toBe(2);
    expect(ledger.total(User)).toBe(0);
  });

  it('shows each exit to an observer, as counted', () => {
    const seen: unknown[] = [];
    const ledger = new Ledger(1, { ...silentMachineObserver, exit: (...exit) => void seen.push(exit) }, []);
    const last = exitReasonNames.length - 1;
    ledger.count(0, 1, Hypervisor, last, 77);
    expect(seen).toEqual([[0, 1, Hypervisor, last, 77]]);
    expect(ledger.countOf(Hypervisor, last)).toBe(1);
  });
});
