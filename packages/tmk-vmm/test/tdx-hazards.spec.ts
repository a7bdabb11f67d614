/** What the reference's TDX side does to guests with VTL1, by what its driver finishes, and by what the offload leaves to it (docs/conformance.md, "Hazards of the reference"). */
import { snpBacking } from '@paravisor/backing-snp';
import { tdxBacking } from '@paravisor/backing-tdx';
import type { TdxBackingOptions } from '@paravisor/backing-tdx';
import type { PartitionOptions } from '@paravisor/partition';
import { describe, expect, it } from 'vitest';
import { SPIN, machineCode, runImage, runTest, smallGuest, wrmsr } from './whole-partition.js';

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

describe('a self-IPI with a vector below 16', () => {
  const complete = '48bb 0000ffff00000000 c703 00102000';
  const guest = smallGuest(machineCode('b9 1b000000 0f32 0d 000c0000 0f30', wrmsr(0x80f, 0x1ff), wrmsr(0x83f, 5), complete, SPIN), Uint8Array.from([2, 0, 0, 0, 1]));
  const outcome = (options: Partial<PartitionOptions>) => runImage(guest, 0, 'tdx, VmTime', { timeoutNs: 10e6, ...options }).outcome;

  it('hazard: ends the VP, since openvmm knows no exit 56', () => {
    const { kind, reason } = outcome({});
    expect(kind).toBe('faulted');
    expect(reason).toContain('VMX exit reason 56 is not handled');
  });

  it('is dropped with remedyIllegalSelfIpi, without the offload, and under SNP', () => {
    for (const backing of [tdxBacking({ remedyIllegalSelfIpi: 'on' }), tdxBacking({ offload: 'off' }), snpBacking()]) expect(outcome({ backing })).toEqual({ kind: 'passed', reason: null });
  });
});
