/** What the reference's TDX side loses, delays or repeats (docs/conformance.md, "Hazards of the reference"), and the remedies, off by default. */
import { ExitDestination, ExitReason, U64, UPDATE_DEADLINE, viewTdxRunPage } from '@paravisor/hcl-protocol';
import { createParavisor } from '@paravisor/virt-core';
import type { Chipset } from '@paravisor/virt-core';
import { createMachine } from '@paravisor/virt-machine';
import { describe, expect, it } from 'vitest';
import { tdxBacking } from '../src/index.js';
import type { TdxBackingOptions } from '../src/index.js';
import { At, GUEST_TICKS, bytesOf, loadSmallGuest, startAt } from './small-guest.js';

const MILLISECOND = 2_000_000;
const GP_HANDLER = 0x1600;
/** x2APIC on, software-enabled. */
const ENABLE = 'b91b0000000f320d000c00000f30b90f080000b8ff01000031d20f30';

/** A partition of the small guest, at `rip` or at `code`, that stands before its first round. */
function start({ code, rip = At.snippet, ips = 20_000_000, ...options }: TdxBackingOptions & { readonly code?: string; readonly rip?: number; readonly ips?: number }) {
  const backing = tdxBacking(options);
  const machine = createMachine({ backing: backing.machine, ramBytes: 4 << 20, ips });
  loadSmallGuest(machine);
  if (code !== undefined) machine.loadImage(At.snippet, bytesOf(code));
  // #GP: inc qword [0x8000]; add rsp, 8; add qword [rsp], 2; iretq.
  machine.loadImage(GP_HANDLER, bytesOf('48ff0425008000004883c408488304240248cf'));
  machine.loadImage(At.idt + 16 * 13, new Uint8Array(new BigUint64Array([BigInt(GP_HANDLER) | (8n << 16n) | (0x8en << 40n), 0n]).buffer));
  const chipset: Chipset = { readMmio: (_gpa, _size, out) => void out.setParts(-1, -1), writeMmio() {}, readPort: () => 0xffffffff, writePort: () => machine.stop() };
  const paravisor = createParavisor({ backing, hcl: machine.hcl, chipset, disableLowerVtlTimerVirt: false, initialRegisters: startAt(rip) });
  const hclVp = machine.hcl.vps[0]!;
  return {
    machine,
    paravisor,
    hclVp,
    page: viewTdxRunPage(hclVp.runPage),
    count: (destination: ExitDestination, reason: keyof typeof ExitReason) => machine.ledger.countOf(destination, ExitReason[reason]),
    /** Runs for so many virtual milliseconds at most; how often the guest's handler ran. */
    run(milliseconds: number): number {
      machine.schedule(machine.now + milliseconds * MILLISECOND, () => machine.stop());
      while (machine.nextVp() >= 0) if (paravisor.vps[0]!.run() !== null) break;
      expect(paravisor.fault).toBeNull();
      const counter = new U64();
      machine.hcl.memory.readU64(At.counter, counter);
      return counter.toNumber();
    },
  };
}

describe('hazard: a deadline whose run is cancelled before the driver takes it is never armed', () => {
  /** Another thread of VTL2 wakes the VP just when its first deadline is in the run page. */
  function ticksOfCancelled(options: TdxBackingOptions): number {
    const { hclVp, page, run } = start({ rip: At.busy, ...options });
    const ioctl = hclVp.run.bind(hclVp);
    let cancelled = false;
    hclVp.run = () => {
      if (!cancelled && page.context.l2TscDeadline.updateDeadline === UPDATE_DEADLINE) {
        cancelled = true;
        page.cancel = 1;
      }
      return ioctl();
    };
    const ticks = run(100);
    expect(cancelled).toBe(true);
    return ticks;
  }

  it('the next round takes it for armed, and a guest that spins has no tick any more', () => {
    expect(ticksOfCancelled({})).toBe(0);
  });

  it('remedyCancelledRun: what the driver left in the run page is not armed', () => {
    expect(ticksOfCancelled({ remedyCancelledRun: 'on' })).toBe(GUEST_TICKS);
  });
});

describe('hazard: an event goes in twice when the driver finishes the exit that followed, and the run is then cancelled', () => {
  /**
   * The guest reads an MSR that faults (HV_X64_MSR_EOI), counts the #GP and goes on behind the instruction, where it spins; the VP is woken twice, a
   * millisecond apart. Each #GP that it gets while it spins skips one of the spin's copies.
   */
  function deliveries(options: TdxBackingOptions): number {
    const { machine, hclVp, run } = start({ code: `${ENABLE}b9700000400f32ebfeebfeebfeebfeebfe`, ...options });
    for (const after of [1, 2]) machine.schedule(after * MILLISECOND, () => hclVp.wake());
    return run(5);
  }

  it('user mode sees no exit, so it injects the #GP with the next run again, and again', () => {
    expect(deliveries({})).toBe(3);
  });

  it('does not happen without the offload: the exit for VTL2’s interrupt goes to user mode', () => {
    expect(deliveries({ offload: 'off' })).toBe(1);
  });

  it('remedyRepeatedEvent: an event whose valid bit the entry cleared is delivered', () => {
    expect(deliveries({ remedyRepeatedEvent: 'on' })).toBe(1);
  });
});

describe('hazard: an expiry that comes early is taken for the deadline that is armed', () => {
  /** A one-shot 100 s ahead: beyond what the preemption timer can count, 2^37 ticks. enable; STIMER0_CONFIG 0x1501; STIMER0_COUNT 10^9; spin. */
  const code = `${ENABLE}b9b0000040b80115000031d20f30b9b1000040b800ca9a3b31d20f30fbebfe`;

  it('the timer is lost: the driver disarms, and no update is asked for', () => {
    const far = start({ code, ips: 100_000 });
    expect(far.run(110_000)).toBe(0);
    expect(far.count(ExitDestination.Paravisor, 'timer_expired')).toBe(1);
  });

  it('remedyEarlyExpiry: what expired is not armed', () => {
    const far = start({ code, ips: 100_000, remedyEarlyExpiry: 'on' });
    expect(far.run(110_000)).toBe(1);
    expect(far.count(ExitDestination.Paravisor, 'timer_expired')).toBe(2);
  });
});

describe('hazards of the APIC offload', () => {
  it.each([
    ['on', 1],
    ['off', 0],
  ] as const)('a vector that waits while the guest software-disables its APIC is delivered all the same: RVI keeps it (offload %s)', (offload, delivered) => {
    // enable; self-IPI 0x50 with interrupts off; SVR 0xff; sti; spin.
    expect(start({ code: `${ENABLE}b93f080000b85000000031d20f30b90f080000b8ff00000031d20f30fbebfe`, offload }).run(5)).toBe(delivered);
  });

  it.each([
    ['on', 100],
    ['off', 1],
  ] as const)('an IPI with a vector below 16, which is no interrupt, keeps HLT from halting for ever (offload %s)', (offload, halts) => {
    // enable; ICR: self, fixed, vector 5; 1: sti; hlt; jmp 1b.
    const guest = start({ code: `${ENABLE}b930080000b80500040031d20f30fbf4ebfc`, offload });
    guest.run(10);
    const exits = guest.count(ExitDestination.Paravisor, 'hlt');
    if (offload === 'on') expect(exits).toBeGreaterThan(halts);
    else expect(exits).toBe(halts);
  });

  it('a read of the guest-idle MSR that the driver finishes leaves RAX and RDX as they were; user mode makes them 0', () => {
    for (const [offload, rax] of [['on', 0x1234], ['off', 0]] as const) {
      // enable; mov ecx, 0x400000f0; mov eax, 0x1234; rdmsr; then out 0x80, al, with a self-IPI staged to come back from the idle at once.
      const guest = start({ code: `${ENABLE}b93f080000b85000000031d20f30b9f0000040b8341200000f32e680`, offload });
      guest.run(5);
      expect(guest.page.context.gprList.gpr[0]!.lo).toBe(rax);
    }
  });
});
