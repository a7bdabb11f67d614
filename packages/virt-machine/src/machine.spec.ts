import { ExitDestination, ExitReason, RunFlag, RunStatus, U64, viewRunPage } from '@paravisor/hcl-protocol';
import { stateLayout } from '@paravisor/x86-cpu';
import { describe, expect, it } from 'vitest';
import { machineWith, plainBacking } from '../test/plain-machine.js';
import { defaultCosts } from './cost.js';
import { createMachine } from './machine.js';

const STEP = 100;
const { ticks: cost } = defaultCosts;
/** inc rax; jmp to it */
const spin = [0x48, 0xff, 0xc0, 0xeb, 0xfb];

describe('a machine with a real guest', () => {
  it('runs it to an exit, and accounts for every tick', () => {
    // mov eax, 5; dec eax; jnz back; out 0x80, al
    const machine = machineWith([0xb8, 5, 0, 0, 0, 0xff, 0xc8, 0x75, 0xfc, 0xe6, 0x80, ...spin]);
    const vp = machine.hcl.vps[machine.nextVp()]!;
    expect(vp.run()).toBe(RunStatus.Finished);
    expect(machine.retired).toBe(11);
    expect(machine.now).toBe(11 * STEP + cost.userToKernel + cost.vmExit + cost.kernelToUser + cost.vmmEmulation);
    expect(machine.ledger.countOf(ExitDestination.User, ExitReason.io)).toBe(1);
  });

  it('interrupts a spinning guest for VTL2 at the first instruction boundary at or past the tick', () => {
    const machine = machineWith(spin, { tscHz: 2_100_000_123, ips: 7_000_003 });
    const vp = machine.hcl.vps[0]!;
    vp.armTimer(U64.of(1_000_000));
    expect(vp.run()).toBe(RunStatus.Cancelled);
    expect(viewRunPage(vp.runPage).cancel).toBe(1);
    const due = machine.osTime.ticksAt(1_000_000);
    const [clock] = machine.clocks;
    const woken = clock!.now - cost.kernelToUser - cost.kernelInterrupt - cost.hostInterrupt;
    expect(woken).toBeGreaterThanOrEqual(due);
    expect(woken).toBeLessThan(due + 301);
  });

  it("lets the guest's RDTSC read the VP's clock, in the middle of a run", () => {
    // nop; rdtsc; mov ecx, eax; nop; rdtsc; out 0x80, al
    const machine = machineWith([0x90, 0x0f, 0x31, 0x89, 0xc1, 0x90, 0x0f, 0x31, 0xe6, 0x80]);
    machine.hcl.vps[0]!.run();
    const { i32 } = machine.vps[0]!.processors[0]!;
    expect(i32[stateLayout.gpr / 4 + 2]).toBe(cost.userToKernel + STEP);
    expect(i32[stateLayout.gpr / 4]).toBe(cost.userToKernel + 4 * STEP + cost.guestRdtsc);
  });

  it('ends a guest that loops for ever by virtual time', () => {
    const machine = machineWith(spin);
    machine.schedule(machine.tscHz, () => machine.stop());
    expect(machine.hcl.vps[machine.nextVp()]!.run()).toBe(RunStatus.Pending);
    expect(machine.stopped).toBe(true);
    expect(machine.now).toBe(machine.tscHz);
    expect(machine.retired).toBe((machine.tscHz - cost.userToKernel) / STEP);
    expect(machine.nextVp()).toBe(-1);
  });

  it('is over when its only VP is halted for ever', () => {
    const machine = machineWith(spin);
    const vp = machine.hcl.vps[machine.nextVp()]!;
    viewRunPage(vp.runPage).flags = RunFlag.Halted;
    expect(vp.run()).toBe(RunStatus.Pending);
    expect(machine.nextVp()).toBe(-1);
    expect(machine.stopped).toBe(false);
  });

  it('serves several VPs by the smallest clock, each with its own time', () => {
    const machine = machineWith(spin, { vps: 2 });
    machine.schedule(100_000, () => machine.stop());
    for (let vp = machine.nextVp(); vp >= 0; vp = machine.nextVp()) machine.hcl.vps[vp]!.run();
    const [first, second] = machine.clocks;
    expect(Math.abs(first!.now - second!.now)).toBeLessThanOrEqual(STEP);
    expect(machine.retired).toBe((first!.now + second!.now - 2 * cost.userToKernel) / STEP);
  });

  it('reaches guest RAM as VTL2: all of it and nothing beyond', () => {
    const { hcl } = machineWith(spin);
    const { memory } = hcl;
    expect(memory.ramBytes).toBe(1 << 20);
    expect(memory.write(memory.ramBytes - 2, new Uint8Array([1, 2]))).toBe(true);
    expect(memory.write(memory.ramBytes - 1, new Uint8Array([1, 2]))).toBe(false);
    expect(memory.read(-1, new Uint8Array(1))).toBe(false);
    const cell = new U64();
    expect(memory.write(0x8000, new Uint8Array([1, 2, 3, 4, 5, 6, 7, 8]))).toBe(true);
    expect(memory.readU64(0x8000, cell)).toBe(true);
    expect(cell.toBigInt()).toBe(0x0807060504030201n);
    expect(memory.readU64(memory.ramBytes, cell)).toBe(false);
  });

  it.each([
    [1, 0x01n],
    [2, 0x0201n],
    [4, 0x04030201n],
    [8, 0x0807060504030201n],
  ])('compares and exchanges %i bytes, and shows what it found', (size, found) => {
    const { memory } = machineWith(spin).hcl;
    memory.write(0x8000, new Uint8Array([1, 2, 3, 4, 5, 6, 7, 8]));
    const expected = U64.of(0x77);
    expect(memory.compareExchange(0x8000, size, expected, U64.of(0))).toBe(0);
    expect(expected.toBigInt()).toBe(found);
    expect(memory.compareExchange(0x8000, size, expected, U64.of(0))).toBe(1);
    const bytes = new Uint8Array(8);
    memory.read(0x8000, bytes);
    expect([...bytes]).toEqual([1, 2, 3, 4, 5, 6, 7, 8].map((byte, at) => (at < size ? 0 : byte)));
    expect(memory.compareExchange(memory.ramBytes, size, expected, expected)).toBe(-1);
  });

  it('refuses what cannot be built or loaded', () => {
    const options = { backing: plainBacking, ramBytes: 1 << 20 };
    expect(() => createMachine({ ...options, ips: 3e9 })).toThrow(RangeError);
    expect(() => createMachine({ ...options, vps: 0 })).toThrow(RangeError);
    expect(() => createMachine({ ...options, vps: 65 })).toThrow(RangeError);
    expect(() => createMachine({ ...options, ramBytes: 5000 })).toThrow(RangeError);
    expect(() => createMachine(options).loadImage((1 << 20) - 1, new Uint8Array(2))).toThrow(RangeError);
  });
});
