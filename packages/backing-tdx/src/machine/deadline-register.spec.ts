import { U64 } from '@paravisor/hcl-protocol';
import { describe, expect, it } from 'vitest';
import { DeadlineRegisters, isArmed, moduleDeadline } from './deadline-register.js';

const ALL_ONES = 2n ** 64n - 1n;

/** The registers, and every deadline they wrote to the module. */
function recorded() {
  const writes: [vm: number, deadline: bigint][] = [];
  const registers = new DeadlineRegisters((vm, { lo, hi }) => writes.push([vm, new U64().setParts(lo, hi).toBigInt()]));
  const atStart = writes.splice(0);
  return { registers, writes, atStart };
}

describe("the driver's deadlines (mshv_vtl PR 107)", () => {
  it.each([
    [0n, ALL_ONES],
    [ALL_ONES, ALL_ONES - 1n],
    [ALL_ONES - 1n, ALL_ONES - 1n],
    [1n, 1n],
    [0xffff_ffffn, 0xffff_ffffn],
    [0xffff_ffff_0000_0000n, 0xffff_ffff_0000_0000n],
  ])('map %s in SDM style to %s for the module', (sdm, module) => {
    const out = new U64();
    moduleDeadline(U64.of(sdm), out);
    expect(out.toBigInt()).toBe(module);
    expect(isArmed(out)).toBe(module !== ALL_ONES);
  });

  it('write all ones to all three VMs at start-up', () => {
    expect(recorded().atStart).toEqual([
      [1, ALL_ONES],
      [2, ALL_ONES],
      [3, ALL_ONES],
    ]);
  });

  it('skip a value equal to the one last written for that VM, and only for that VM', () => {
    const { registers, writes } = recorded();
    registers.update(1, U64.of(500n));
    registers.update(1, U64.of(500n));
    registers.update(2, U64.of(500n));
    registers.update(1, U64.of(0n));
    registers.update(1, U64.of(0n));
    expect(writes).toEqual([
      [1, 500n],
      [2, 500n],
      [1, ALL_ONES],
    ]);
  });

  it('disarm a deadline that expired, once, when nothing new is asked for', () => {
    const { registers, writes } = recorded();
    registers.update(1, U64.of(500n));
    registers.markExpired(1);
    registers.disarmExpired(1);
    registers.disarmExpired(1);
    expect(writes).toEqual([
      [1, 500n],
      [1, ALL_ONES],
    ]);
  });

  it('leave a deadline that has not expired alone', () => {
    const { registers, writes } = recorded();
    registers.update(1, U64.of(500n));
    registers.markExpired(2);
    registers.disarmExpired(1);
    expect(writes).toEqual([[1, 500n]]);
  });

  it('forget the expiry with any write, also one that is skipped: the stale deadline then stays armed', () => {
    const { registers, writes } = recorded();
    registers.update(1, U64.of(500n));
    registers.markExpired(1);
    registers.update(1, U64.of(500n));
    expect(registers.hasExpired(1)).toBe(false);
    registers.disarmExpired(1);
    expect(writes).toEqual([[1, 500n]]);
  });
});
