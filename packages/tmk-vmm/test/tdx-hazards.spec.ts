/** What the reference's TDX side does to guests with VTL1, and by what its driver finishes (docs/conformance.md, "Hazards of the reference"). */
import { tdxBacking } from '@paravisor/backing-tdx';
import type { TdxBackingOptions } from '@paravisor/backing-tdx';
import { describe, expect, it } from 'vitest';
import { runTest } from './whole-partition.js';

const run = (name: string, options: TdxBackingOptions = {}, timeoutNs = 3e9) =>
  runTest(name, 'tdx, hardware timer', { backing: tdxBacking(options), timeoutNs });

describe('hazard: a deadline written for one L2 VM is not armed while the other runs', () => {
  it.each(['vsm::preempts_busy', 'vsm::both_timers_busy', 'vsm::vina'])('a timer of a VTL that gave up the processor does not come while the other VTL spins: %s', (name) => {
    const { outcome, partition } = run(name);
    expect(outcome.kind).toBe('failed');
    expect(partition.ledger.snapshot().byReason.paravisor.timer_expired).toBe(0);
  });

  it.each(['vsm::preempts_halt', 'vsm::both_timers_halted'])('and never wakes the VP when the other VTL halts: no halt timer is started: %s', (name) => {
    const { outcome, partition } = run(name);
    expect(outcome.kind).toBe('timeout');
    expect(partition.ledger.snapshot().byReason.hypervisor).toMatchObject({ halt: 1, timer_arm: 0 });
  });

  it.each(['vsm::preempts_busy', 'vsm::preempts_halt', 'vsm::both_timers_busy', 'vsm::both_timers_halted', 'vsm::vina'])('remedyVtlSwitch: the deadline follows the VP: %s', (name) => {
    expect(run(name, { remedyVtlSwitch: 'on' }).outcome.kind).toBe('passed');
  });
});

describe('hazard: what the driver finishes differs from what user mode would have done', () => {
  it.each([
    ['deadlines::guest_idle_reads_zero', 'assertion failed: value == 0'],
    ['apic::low_vectors_not_requested', 'assertion failed: !apic_vector_bit(APIC_IRR, vector)'],
  ])('%s', (name, reason) => {
    expect(run(name).outcome).toMatchObject({ kind: 'failed', reason: expect.stringContaining(reason) });
    expect(run(name, { offload: 'off' }).outcome.kind).toBe('passed');
  });
});
