/** Saving and restoring both halves: what goes on from a saved state says the same as what was never saved. */
import { RunFlag, RunStatus, U64, UPDATE_DEADLINE, VmcsField, VmxExit } from '@paravisor/hcl-protocol';
import type { Plain } from '@paravisor/hcl-protocol';
import { createParavisor } from '@paravisor/virt-core';
import type { Chipset } from '@paravisor/virt-core';
import { createMachine } from '@paravisor/virt-machine';
import { describe, expect, it } from 'vitest';
import { tdxBacking } from '../src/index.js';
import type { TdxVp } from '../src/paravisor/vp.js';
import { ScriptedTdxVp } from './scripted-vp.js';
import { At, loadSmallGuest, smallMachine, startAt, startVtl0 } from './small-guest.js';

/** xorshift32 (Marsaglia). */
function random(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}
const throughJson = <T extends Plain>(state: T): T => JSON.parse(JSON.stringify(state)) as T;

/** Driver and module under a user mode that asks for deadlines, halts, cancels and lets its own timer interrupt. */
class DrivenMachine {
  readonly small = smallMachine();
  /** The run ioctl is pending. */
  inside = false;

  constructor() {
    startVtl0(this.small, At.spin);
  }

  step(kind: number, a: number): void {
    const { page, vp, machine } = this.small;
    const { l2TscDeadline } = page.context;
    switch (this.inside ? 9 : kind % 8) {
      case 0:
        l2TscDeadline.deadline.set(new U64().setNumber(machine.now + (a % 3_000_000)));
        l2TscDeadline.updateDeadline = UPDATE_DEADLINE;
        break;
      case 1:
        page.flags ^= RunFlag.Halted;
        break;
      case 2:
        vp.armTimer(new U64().setNumber(Math.floor(machine.now / 2) + (a % 1_000_000)));
        break;
      case 3:
        page.cancel = a & 1;
        break;
    }
    // The ioctl, for so long a time that it is sometimes cut in two.
    machine.pauseAt(machine.now + 1 + (a % 700_000));
    while (machine.nextVp() >= 0) {
      const status = vp.run();
      this.inside = status === RunStatus.Pending;
      if (status === RunStatus.Cancelled) page.cancel = 0;
      if (!this.inside) break;
    }
  }

  observe(): unknown {
    const { machine, page } = this.small;
    return { state: machine.save(), rax: String(new U64().set(page.context.exitInfo.rax)), exits: machine.ledger.snapshot(), inside: this.inside };
  }

  reborn(): DrivenMachine {
    const other = new DrivenMachine();
    other.small.machine.restore(throughJson(this.small.machine.save()));
    other.inside = this.inside;
    return other;
  }
}

describe('the saved state of driver and TDX module', () => {
  it('saved after any step, a pending entry and a started halt timer included, and restored, it goes on with the same exits at the same ticks', () => {
    let pendingEntries = 0;
    for (let seed = 1; seed <= 8; seed++) {
      const next = random(seed);
      const steps = Array.from({ length: 24 }, () => [next(1000), next(2 ** 30)] as const);
      const at = next(steps.length);
      const one = new DrivenMachine();
      let other = one;
      for (const [index, step] of steps.entries()) {
        if (index === at) {
          other = one.reborn();
          if (one.inside) pendingEntries++;
        }
        one.step(...step);
        if (other === one) continue;
        other.step(...step);
        expect(other.observe()).toEqual(one.observe());
      }
    }
    expect(pendingEntries).toBeGreaterThan(0);
  });
});

/** The paravisor half under a script; its pages and APICs are copied, the VP's own state goes by way of JSON. */
class ScriptedLife {
  readonly scripted: ScriptedTdxVp;

  constructor(offload: boolean) {
    this.scripted = new ScriptedTdxVp({ ...ScriptedTdxVp.settings, offload });
  }

  step(kind: number, a: number): void {
    const { scripted } = this;
    const { vp, apics } = scripted;
    switch (kind % 8) {
      case 0:
        apics[0]!.requestSynicInterrupt(16 + (a % 240), a % 16 === 0);
        break;
      case 1:
        vp.offerNmi(0);
        break;
      case 2:
        vp.injectException(0, a % 32, (a & 32) === 0 ? -1 : a % 64);
        break;
      case 3:
        vp.registers(0).writeRflags((a & 1) === 0 ? 2 : 0x202);
        break;
      case 4:
        vp.flushTlb(0);
        break;
      case 5:
        scripted.hcl.setVmcs(VmcsField.Interruptibility, BigInt(a & 0xb));
        break;
    }
    vp.deliverPendingEvents(0);
    const work = apics[0]!.scan(scripted.vmTime, true);
    vp.offloadApic(0);
    if (work.interrupt >= 0) vp.offerInterrupt(0, work.interrupt);
    if ((a & 7) === 0) scripted.round(() => {}, RunStatus.Cancelled);
    else scripted.exit((a & 1) === 0 ? VmxExit.Hlt : VmxExit.ExternalInterrupt, (a & 0x30) === 0 ? { idtVectoring: [(0x80000000 | 0x300 | 14) | 0, 0] } : {});
  }

  observe(): unknown {
    const { vp, hcl, handlers, apics } = this.scripted;
    return { state: vp.save(), apic: apics[0]!.save(), run: [...hcl.runPage], page: [...hcl.apicPage], fields: [...hcl.fields], log: [...handlers.log] };
  }

  reborn(offload: boolean): ScriptedLife {
    const other = new ScriptedLife(offload);
    const [{ scripted: from }, { scripted: to }] = [this, other];
    to.hcl.runPage.set(from.hcl.runPage);
    to.hcl.apicPage.set(from.hcl.apicPage);
    to.hcl.fields.clear();
    for (const [key, value] of from.hcl.fields) to.hcl.fields.set(key, value);
    to.handlers.log.splice(0, Infinity, ...from.handlers.log);
    to.apics[0]!.restore(throughJson(from.apics[0]!.save()));
    (to.vp as TdxVp).restore(throughJson(from.vp.save() satisfies Plain));
    return other;
  }
}

describe.each([true, false])('the saved state of a TDX VP in user mode, APIC offloaded: %s', (offload) => {
  it('saved after any step and restored, it goes on with the same bytes and the same TDCALLs', () => {
    for (let seed = 1; seed <= 20; seed++) {
      const next = random(seed);
      const steps = Array.from({ length: 40 }, () => [next(1000), next(2 ** 30)] as const);
      const at = next(steps.length);
      const one = new ScriptedLife(offload);
      let other = one;
      for (const [index, step] of steps.entries()) {
        if (index === at) {
          other = one.reborn(offload);
          expect(other.observe()).toEqual(one.observe());
        }
        one.step(...step);
        if (other === one) continue;
        other.step(...step);
        expect(other.observe()).toEqual(one.observe());
      }
    }
  });
});

describe.each([['busy', At.busy], ['idle', At.idle]] as const)('the saved state of a whole TDX partition, its guest %s', (_, rip) => {
  const start = (offload: 'on' | 'off') => {
    const backing = tdxBacking({ offload });
    const machine = createMachine({ backing: backing.machine, ramBytes: 4 << 20 });
    loadSmallGuest(machine);
    const chipset: Chipset = { readMmio: (_gpa, _size, out) => void out.setParts(-1, -1), writeMmio() {}, readPort: () => 0xffffffff, writePort: () => machine.stop() };
    const paravisor = createParavisor({ backing, hcl: machine.hcl, chipset, disableLowerVtlTimerVirt: false, initialRegisters: startAt(rip) });
    return {
      machine,
      paravisor,
      /** Runs to a tick, or to the end. */
      run(tick: number): void {
        machine.pauseAt(tick);
        while (machine.nextVp() >= 0) if (paravisor.vps[0]!.run() !== null) break;
      },
    };
  };
  const END = 60_000_000;

  it.each(['on', 'off'] as const)('saved at any tick, armed deadlines and halts included, and restored, it ends with the same exits at the same tick (offload %s)', (offload) => {
    const whole = start(offload);
    whole.run(END);
    expect(whole.machine.stopped).toBe(true);
    const next = random(7);
    for (let trial = 0; trial < 4; trial++) {
      const tick = 1_000_000 + next(38_000_000);
      const first = start(offload);
      first.run(tick);
      const second = start(offload);
      second.machine.restore(throughJson(first.machine.save()));
      second.paravisor.restore(throughJson(first.paravisor.save()));
      for (const partition of [first, second]) {
        partition.run(END);
        expect([partition.machine.now, partition.machine.ledger.snapshot()], `${tick}`).toEqual([whole.machine.now, whole.machine.ledger.snapshot()]);
      }
    }
  });
});
