import { ExitDestination, ExitReason, RunFlag, RunStatus, U64, viewRunPage } from '@paravisor/hcl-protocol';
import { Access, ExitKind, stateLayout } from '@paravisor/x86-cpu';
import { describe, expect, it } from 'vitest';
import { machineCode, machineWith } from '../test/plain-machine.js';
import { defaultCosts } from './cost.js';
import type { Machine, MachineOptions } from './machine.js';

const { ticks: cost } = defaultCosts;
/** Ticks an instruction takes by default. */
const STEP = 100;
const QUANTA = [0, 777, 100_000, 10_000_000];

/** The time stamp counter must not be below what any VP had read and left at 0x8000 before: else an exit. Then a number of turns of a loop by the VP's number. */
const READ_TIME_IN_TURNS = machineCode(
  '488b3425 00800000', // top: mov rsi, [0x8000]
  '0f31 48c1e220 4809d0', // rdtsc; shl rdx, 32; or rax, rdx
  '4839f0 721d', // cmp rax, rsi; jb bad
  '48890425 00800000', // mov [0x8000], rax
  '48ff04dd 00900000', // inc qword ptr [0x9000 + rbx * 8]
  '8d0cdd 03000000 ffc9 75fc', // lea ecx, [rbx * 8 + 3]; dec ecx; jnz
  'ebcd', // jmp top
  'e680', // bad: out 0x80, al
);

/** Runs until the machine stands still, as a user mode that takes note of what calls it; the VPs whose `run` returned, in order, with their clocks. */
function runAll(machine: Machine): { vp: number; at: number }[] {
  const returned: { vp: number; at: number }[] = [];
  for (let vp = machine.nextVp(); vp >= 0; vp = machine.nextVp()) {
    const page = viewRunPage(machine.vps[vp]!.runPage);
    while (machine.hcl.vps[vp]!.run() !== RunStatus.Pending) {
      returned.push({ vp, at: machine.clocks[vp]!.now });
      page.cancel = 0;
      page.scanProxyIrr = 0;
    }
  }
  return returned;
}

function runFor(machine: Machine, ticks: number) {
  machine.schedule(ticks, () => machine.stop());
  return runAll(machine);
}

const quad = (machine: Machine, gpa: number): number => {
  const cell = new U64();
  machine.hcl.memory.readU64(gpa, cell);
  return cell.toNumber();
};

describe('time between VPs (architecture.md: it never goes backwards)', () => {
  it.each(QUANTA)('no VP reads an earlier time than any VP read before, quantum %i', (quantumTicks) => {
    for (const seed of [0, 5]) {
      const machine = machineWith(READ_TIME_IN_TURNS, { vps: 4, quantumTicks, seed });
      expect(runFor(machine, 600_000)).toEqual([]);
      for (let vp = 0; vp < 4; vp++) expect(quad(machine, 0x9000 + 8 * vp)).toBeGreaterThan(70);
    }
  });

  it.each(QUANTA)('user mode gets the VPs’ exits in the order of their times, quantum %i', (quantumTicks) => {
    // lea ecx, [rbx * 4 + 2]; dec ecx; jnz; out 0x80, al; jmp to the start
    const code = machineCode('8d0c9d 02000000', 'ffc9 75fc', 'e680', 'ebf1');
    const returned = runFor(machineWith(code, { vps: 3, quantumTicks }), 1_000_000);
    expect(new Set(returned.map(({ vp }) => vp)).size).toBe(3);
    const times = returned.map(({ at }) => at);
    expect(times.length).toBeGreaterThan(150);
    expect(times).toEqual([...times].sort((a, b) => a - b));
  });

  it.each(QUANTA)('an event interrupts a guest at its tick, whatever the other VPs do, quantum %i', (quantumTicks) => {
    const machine = machineWith(machineCode('ebfe'), { vps: 3, quantumTicks });
    const due = 500_050;
    machine.schedule(due - 1, () => machine.vps[1]!.host.interruptVtl2(due));
    machine.schedule(1_000_000, () => machine.stop());
    const seen: number[] = [];
    const { host, clock } = machine.vps[1]!;
    const take = host.takeInterrupts.bind(host);
    host.takeInterrupts = () => {
      seen.push(clock.now);
      return take();
    };
    runAll(machine);
    // To the end of the instruction in hand; the interrupt takes its time.
    expect(seen).toEqual([Math.ceil((due - cost.userToKernel) / STEP) * STEP + cost.userToKernel + cost.hostInterrupt]);
  });

  it('runs every quantum to the same times, however they interleave', () => {
    const ends = QUANTA.map((quantumTicks) => {
      const machine = machineWith(machineCode('48ffc0 ebfb'), { vps: 3, quantumTicks });
      runFor(machine, 1_000_000);
      return { retired: machine.retired, clocks: machine.clocks.map(({ now }) => now) };
    });
    for (const end of ends) expect(end).toEqual(ends[0]);
  });
});

describe('memory between VPs', () => {
  it.each(QUANTA)('code that one VP changes is run changed by another, a quantum later at most: %i', (quantumTicks) => {
    const code = machineCode(
      '85db 740c', // test ebx, ebx; jz changer
      'b8 01000000 83f801 74f6', // loop: mov eax, 1; cmp eax, 1; je loop
      'e680', // out 0x80, al
      // changer: count down 1000; mov byte ptr [loop + 1], 2; spin
      'b9 e8030000 ffc9 75fc c60425 05100000 02 ebfe',
    );
    const machine = machineWith(code, { vps: 2, quantumTicks });
    machine.schedule(40_000_000, () => machine.stop());
    const vp1 = machine.clocks[1]!;
    for (let vp = machine.nextVp(); vp >= 0; vp = machine.nextVp()) {
      if (machine.hcl.vps[vp]!.run() !== RunStatus.Finished) continue;
      expect(vp).toBe(1);
      break;
    }
    expect(machine.vps[1]!.processors[0]!.i32[stateLayout.gpr / 4]).toBe(2);
    const changed = 2004 * STEP + cost.userToKernel;
    const seen = vp1.now - cost.vmExit - cost.kernelToUser - cost.vmmEmulation;
    expect(Math.abs(seen - changed)).toBeLessThanOrEqual(quantumTicks + 10 * STEP);
  });

  it('a permission that is taken away holds for every VP at once, translations they have cached included', () => {
    // top: inc qword ptr [0x8000 + rbx * 8]; jmp top
    const machine = machineWith(machineCode('48ff04dd 00800000 ebf6'), { vps: 4 });
    const stored = () => Array.from({ length: 4 }, (_, vp) => quad(machine, 0x8000 + 8 * vp));
    let before: number[] = [];
    machine.schedule(1_000_000, () => {
      machine.memory.setPermissions(0, 8, 1, Access.Read | Access.Execute);
      before = stored();
    });
    machine.pauseAt(1_000_001);
    runAll(machine);
    machine.pauseAt(Infinity);
    for (let vp = machine.nextVp(); vp >= 0 && machine.hcl.vps[vp]!.run() === RunStatus.Pending; vp = machine.nextVp());
    expect(before.every((count) => count > 100)).toBe(true);
    expect(stored()).toEqual(before);
    for (const { processors } of machine.vps.slice(0, 1)) expect(processors[0]!.exit).toMatchObject({ kind: ExitKind.NestedPageFault, access: Access.Write });
  });

  it('sixty-four VPs share it', () => {
    // lock inc qword ptr [0x8000]; inc qword ptr [0x9000 + rbx * 8]; jmp to the start
    const machine = machineWith(machineCode('f048ff0425 00800000 48ff04dd 00900000 ebed'), { vps: 64 });
    runFor(machine, 1_000_000);
    const counts = Array.from({ length: 64 }, (_, vp) => quad(machine, 0x9000 + 8 * vp));
    expect(Math.min(...counts)).toBeGreaterThan(3000);
    expect(Math.abs(quad(machine, 0x8000) - counts.reduce((sum, count) => sum + count))).toBeLessThanOrEqual(64);
  });
});

describe('a wake-up of another VP (mshv_vtl: its poll file becomes ready)', () => {
  const hostExits = (machine: Machine, vp: number, reason: 'other' | 'host_interrupt') => machine.ledger.countOf(ExitDestination.Hypervisor, ExitReason[reason], { vp });

  /** Lets VP 0 out to user mode while VP 1 is where `prepare` puts it. */
  function machineWithVp1(prepare: (machine: Machine) => void): Machine {
    // test ebx, ebx; jnz spin; count down 100; out 0x80, al; spin
    const machine = machineWith(machineCode('85db 750b b9 64000000 ffc9 75fc e680 ebfe'), { vps: 2 });
    prepare(machine);
    for (let vp = machine.nextVp(); machine.hcl.vps[vp]!.run() === RunStatus.Pending; vp = machine.nextVp());
    return machine;
  }

  /** The next return of VP 1's `run`. */
  function returnOfVp1(machine: Machine): RunStatus {
    for (let vp = machine.nextVp(); ; vp = machine.nextVp()) {
      const status = machine.hcl.vps[vp]!.run();
      if (vp === 1 && status !== RunStatus.Pending) return status;
    }
  }

  it.each([
    ['idles', (machine: Machine) => void (viewRunPage(machine.vps[1]!.runPage).flags = RunFlag.Halted)],
    ['runs a lower VTL', () => {}],
  ])('calls it back when it %s: an IPI through the host, no sooner than it was sent', (_where, prepare) => {
    const machine = machineWithVp1(prepare);
    const sentAt = machine.clocks[0]!.now + cost.hostCall;
    machine.hcl.vps[1]!.wake();
    expect(machine.clocks[0]!.now).toBe(sentAt);
    expect(hostExits(machine, 0, 'other')).toBe(1);
    expect(returnOfVp1(machine)).toBe(RunStatus.Cancelled);
    expect(machine.clocks[1]!.now).toBeGreaterThanOrEqual(sentAt + cost.hostInterrupt);
    expect(hostExits(machine, 1, 'host_interrupt')).toBe(1);
    expect(viewRunPage(machine.vps[1]!.runPage).cancel).toBe(1);
  });

  it('a second one sends no second IPI while cancel is set', () => {
    const machine = machineWithVp1(() => {});
    machine.hcl.vps[1]!.wake();
    machine.hcl.vps[1]!.wake();
    expect(hostExits(machine, 0, 'other')).toBe(1);
  });

  it('is never lost, whenever it comes: between the look at cancel and the entry the kernel has its interrupts off, and the entry ends at once', () => {
    // Around the first entry: user mode, the look at cancel, the entry, the guest.
    for (let tick = 0; tick < 1200; tick += 7) {
      const machine = machineWith(machineCode('ebfe'));
      const page = viewRunPage(machine.vps[0]!.runPage);
      machine.schedule(tick, () => {
        page.cancel = 1;
        machine.vps[0]!.host.interruptVtl2(tick);
      });
      expect(machine.hcl.vps[machine.nextVp()]!.run()).toBe(RunStatus.Cancelled);
      expect(machine.now).toBeLessThan(Math.max(tick, cost.userToKernel) + STEP + cost.hostInterrupt + cost.kernelInterrupt + cost.kernelToUser + 1);
    }
  });

  it('of the VP whose thread runs only sets cancel', () => {
    const machine = machineWithVp1(() => {});
    machine.hcl.vps[0]!.wake();
    expect(viewRunPage(machine.vps[0]!.runPage).cancel).toBe(1);
    expect(hostExits(machine, 0, 'other')).toBe(0);
    expect(machine.hcl.vps[0]!.run()).toBe(RunStatus.Cancelled);
  });
});

describe('interrupts that the host proxies through VTL2 (mshv_vtl: proxy_irr)', () => {
  const page = (machine: Machine, vp = 0) => viewRunPage(machine.vps[vp]!.runPage);

  it('are put into the run page when the interrupt comes, all of a tick with one exit, and call user mode', () => {
    const machine = machineWith(machineCode('ebfe'), { vps: 2 });
    machine.host.proxyInterrupt(1, 0x51, 700_000);
    machine.host.proxyInterrupt(1, 0xff, 700_000);
    machine.host.proxyInterrupt(1, 0x20, 900_000);
    machine.schedule(800_000, () => machine.stop());
    const inHand = (cost.userToKernel + 700_000) % STEP;
    expect(runAll(machine)).toEqual([{ vp: 1, at: 700_000 + inHand + cost.hostInterrupt + cost.kernelInterrupt + cost.kernelToUser }]);
    expect([...page(machine, 1).proxyIrr]).toEqual([0, 0, 1 << 17, 0, 0, 0, 0, 0x80000000]);
    expect(machine.ledger.countOf(ExitDestination.Hypervisor, ExitReason.host_interrupt, { vp: 1 })).toBe(1);
    expect(machine.ledger.countOf(ExitDestination.User, ExitReason.cancelled, { vp: 1 })).toBe(1);
    expect([...page(machine).proxyIrr]).toEqual(Array.from({ length: 8 }, () => 0));
  });

  it('that user mode blocks are dropped by the kernel, which asks for a scan all the same', () => {
    const machine = machineWith(machineCode('ebfe'));
    page(machine).proxyIrrBlocked.fill(-1);
    page(machine).proxyIrrBlocked[2] = ~(1 << 17);
    for (const vector of [0x50, 0x51]) machine.host.proxyInterrupt(0, vector, 700_000);
    expect(machine.hcl.vps[machine.nextVp()]!.run()).toBe(RunStatus.Cancelled);
    expect(page(machine).proxyIrr[2]).toBe(1 << 17);
    expect(page(machine).scanProxyIrr).toBe(1);
  });

  it('end an idle', () => {
    const machine = machineWith(machineCode('ebfe'));
    page(machine).flags = RunFlag.Halted;
    machine.host.proxyInterrupt(0, 0x51, 700_000);
    expect(machine.hcl.vps[machine.nextVp()]!.run()).toBe(RunStatus.Cancelled);
    expect(machine.now).toBe(700_000 + cost.hostInterrupt + cost.hostWake + cost.kernelInterrupt + cost.kernelToUser);
  });

  it('no VP or vector there is not', () => {
    const machine = machineWith(machineCode('ebfe'));
    expect(() => machine.host.proxyInterrupt(1, 0x51, 0)).toThrow(RangeError);
    expect(() => machine.host.proxyInterrupt(0, 256, 0)).toThrow(RangeError);
  });
});

describe('a pause, and a state saved in it', () => {
  const options: Partial<MachineOptions> = { vps: 3 };
  /** A guest that leaves by port I/O now and then, and stores in between; timers of VTL2 and proxied interrupts come besides. */
  function start(): Machine {
    // top: lea ecx, [rbx * 8 + 40]; inc qword ptr [0x8000]; lock xadd [0x8000], rax; dec ecx; jnz to the inc; out 0x80, al; jmp top
    // What RAX and the word become depends on the order in which the VPs came to it, each time.
    return machineWith(machineCode('8d0cdd 28000000 48ff0425 00800000 f0480fc10425 00800000 ffc9 75ea e680 ebdf'), options);
  }
  function arm(machine: Machine): void {
    for (let vp = 0; vp < 3; vp++) machine.host.proxyInterrupt(vp, 0x40 + vp, 30_000 * (vp + 1));
    machine.hcl.vps[1]!.armTimer(U64.of(45_000));
    machine.hcl.vps[2]!.armTimer(U64.of(45_000));
  }
  /** But for where code was found last: a processor that stops in the middle of a block looks for what is behind it by itself. */
  const stateOf = (machine: Machine) => {
    const state = machine.save();
    return { ...state, vps: state.vps.map((vp) => ({ ...vp, processors: vp.processors.map((processor) => ({ ...processor, jumps: [] })) })) };
  };
  const END = 300_000;
  const runToEnd = (machine: Machine): void => {
    machine.pauseAt(END);
    runAll(machine);
  };

  it('changes nothing: paused and saved at any tick, and gone on or restored, the machine comes to the same state', () => {
    const whole = start();
    arm(whole);
    runToEnd(whole);
    const expected = stateOf(whole);
    expect(quad(whole, 0x8000)).toBeGreaterThan(500);
    for (let tick = 0; tick < END; tick += 17_321) {
      const paused = start();
      arm(paused);
      paused.pauseAt(tick);
      runAll(paused);
      const saved = JSON.parse(JSON.stringify(paused.save()));
      runToEnd(paused);
      expect(stateOf(paused)).toEqual(expected);

      const restored = start();
      restored.restore(saved);
      expect(restored.save()).toEqual(saved);
      runToEnd(restored);
      expect(stateOf(restored)).toEqual(expected);
      expect(restored.ledger.snapshot()).toEqual(whole.ledger.snapshot());
    }
  });
});
