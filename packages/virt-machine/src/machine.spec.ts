import { ExitDestination, ExitReason, RunFlag, RunStatus, U64, viewRunPage } from '@paravisor/hcl-protocol';
import { ExitKind, stateLayout } from '@paravisor/x86-cpu';
import type { Processor } from '@paravisor/x86-cpu';
import { describe, expect, it } from 'vitest';
import { GuestStop, PathOutcome } from './contract.js';
import type { IsolationVp, MachineBacking, VpMachine } from './contract.js';
import { defaultCosts } from './cost.js';
import { createMachine } from './machine.js';
import type { Machine, MachineOptions } from './machine.js';

const CODE = 0x1000;
const PML4 = 0x2000;
const PDPT = 0x3000;

/** The thinnest isolation there is: a lower VTL runs until port I/O or an interrupt for VTL2. */
class PlainVp implements IsolationVp {
  readonly interceptMessagePresent = false;
  readonly #vp: VpMachine;

  constructor(vp: VpMachine) {
    this.#vp = vp;
    startIn64BitMode(vp.processors[0]!);
  }

  enter(): PathOutcome {
    const processor = this.#vp.processors[0]!;
    switch (this.#vp.runGuest(processor, Infinity)) {
      case GuestStop.Intercept: {
        if (processor.exit.kind !== ExitKind.Io) throw new Error(`the guest left by ${processor.exit.kind}, not by port I/O`);
        processor.i32[stateLayout.rip / 4]! += processor.exit.instructionLength;
        this.#vp.clock.charge(this.#vp.costs.ticks.vmExit);
        return PathOutcome.Exit;
      }
      case GuestStop.Horizon:
        return PathOutcome.Pending;
      default:
        return PathOutcome.Again;
    }
  }
  beforeIdle(): void {}
  afterIdle(): PathOutcome {
    return PathOutcome.Again;
  }
  beforeReturn(): void {}
  userExitReason(): number {
    return ExitReason.io;
  }
  tdcall(): number {
    return 0;
  }
  pvalidate(): number {
    return 0;
  }
  rmpadjust(): number {
    return 0;
  }
  vmsa(): Uint8Array | null {
    return null;
  }
}

/** 64-bit mode at `CODE`, the first gigabyte mapped one to one. */
function startIn64BitMode(processor: Processor): void {
  const { bytes, i32, intercepts } = processor;
  const set = (offset: number, lo: number) => (i32[offset / 4] = lo);
  set(stateLayout.rip, CODE);
  set(stateLayout.cr0, 0x80000011 | 0);
  set(stateLayout.cr3, PML4);
  set(stateLayout.cr4, 0x20);
  set(stateLayout.efer, 0x500);
  const view = new DataView(bytes.buffer, bytes.byteOffset + stateLayout.segments, 6 * stateLayout.segmentSize);
  for (let segment = 0; segment < 6; segment++) {
    view.setUint16(segment * stateLayout.segmentSize, segment === 1 ? 8 : 0x10, true);
    view.setUint16(segment * stateLayout.segmentSize + 2, segment === 1 ? 0xa09b : 0xc093, true);
    view.setUint32(segment * stateLayout.segmentSize + 4, 0xffffffff, true);
  }
  processor.writeRflags(2);
  processor.stateChanged();
  intercepts.io = true;
  processor.interceptsChanged();
}

const plainBacking: MachineBacking = {
  processorVendor: 'intel',
  create: () => ({ checkExtension: () => undefined, cpuid: () => false, createVp: (vp) => new PlainVp(vp) }),
};

function machineWith(code: number[], options: Partial<MachineOptions> = {}): Machine {
  const machine = createMachine({ backing: plainBacking, ramBytes: 1 << 20, ...options });
  machine.loadImage(CODE, new Uint8Array(code));
  // PML4[0] → PDPT, PDPT[0] → 1 GiB page, both present and writable.
  machine.loadImage(PML4, new Uint8Array([0x03, PDPT >> 8, 0, 0, 0, 0, 0, 0]));
  machine.loadImage(PDPT, new Uint8Array([0x83, 0, 0, 0, 0, 0, 0, 0]));
  return machine;
}

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
    expect(() => createMachine({ ...options, ramBytes: 5000 })).toThrow(RangeError);
    expect(() => createMachine(options).loadImage((1 << 20) - 1, new Uint8Array(2))).toThrow(RangeError);
  });
});
