import { RunStatus, Stimer0Flag, SvmExit, U64, VIntr } from '@paravisor/hcl-protocol';
import type { Plain } from '@paravisor/hcl-protocol';
import { describe, expect, it } from 'vitest';
import { ScriptedSnpVp } from '../../test/scripted-vp.js';
import { GuestPages } from './guest-memory.js';

/** xorshift32 (Marsaglia): the same steps for both VPs of a comparison. */
function random(seed: number): (below: number) => number {
  let state = seed | 0;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}

/** A VP without its machine, of which these tests play the part. */
class SavedVp {
  scripted = new ScriptedSnpVp();
  /** The VTL of the run under way, −1 between runs. */
  running = -1;

  constructor() {
    this.scripted.vp.initialize(1, this.scripted.registers);
  }

  /** One thing that can happen, by three numbers. */
  step(kind: number, a: number, b: number): void {
    const { vp, hcl, apics, synics, vmTime, runPage } = this.scripted;
    if (this.running >= 0) {
      const vtl = this.running;
      const vmsa = vtl === 0 ? this.scripted.vmsa : this.scripted.vtl1;
      if (kind % 3 === 0) vmsa.vIntrCntrl.setParts(vmsa.vIntrCntrl.lo & ~VIntr.Irq, vmsa.vIntrCntrl.hi | VIntr.HighGuestBusy);
      if (kind % 4 === 1) vmsa.exitIntInfo.setParts(0x80000000 | (3 << 8) | (a % 20), b);
      if (kind % 5 === 2 && vtl === 0) {
        runPage.context.stimer0Count.setParts(a, 0);
        runPage.context.stimer0ProgrammedRefTime.setParts(b, 0);
        runPage.context.stimer0Flags |= Stimer0Flag.KernelUpdate;
      }
      vmsa.guestErrorCode.setParts([SvmExit.Intr, SvmExit.Cpuid, SvmExit.Msr, SvmExit.Hlt, SvmExit.Npf][b % 5]!, 0);
      hcl.interceptMessagePresent = a % 2 === 1;
      this.running = -1;
      vp.afterRun(vtl, kind % 7 === 6 ? RunStatus.Cancelled : RunStatus.Finished);
      return;
    }
    const vtl = a & 1;
    switch (kind % 8) {
      case 0:
        return vp.injectException(vtl, b % 20, a);
      case 1:
        return vp.switchVtl(vtl, 1 - vtl);
      case 2: {
        synics[0]!.writeMsr(0x400000b0 + (b & 1), U64.of(b & 1 ? a : 0x1501 | (a & 0xe)));
        synics[0]!.scan(U64.of(a));
        return;
      }
      case 3:
        vmTime.cancelTimeout();
        this.scripted.guestTimer.clearDeadline(vp);
        return;
      case 4:
        this.scripted.guestTimer.updateDeadline(vp, U64.of(a), U64.of(a + (b % 3)));
        return;
      case 5: {
        const apic = apics[vtl]!;
        const deliverable = apic.deliverable();
        if (deliverable >= 0) vp.offerInterrupt(vtl, deliverable);
        return;
      }
      default:
        vp.beforeRun(vtl, b % 4 === 0);
        this.running = vtl;
    }
  }

  /** All that a machine, a SynIC or VmTime would save, and the VP's own state. */
  observe(): unknown {
    const { vp, hcl, synics, vmTime, handlers } = this.scripted;
    const { config, count, due, hasDue } = synics[0]!.timers[0]!;
    const timer = [config, count, ...(hasDue ? [due] : [])].map(String);
    return { state: vp.save(), vmsas: hcl.vmsaPages.map((page) => [...page]), run: [...hcl.runPage], timer, timeout: vmTime.hasTimeout && String(vmTime.timeout), log: [...handlers.log] };
  }

  /** Another VP that goes on from here: pages, SynIC and VmTime are copied, the VP's own state goes by way of JSON. */
  reborn(): SavedVp {
    const other = new SavedVp();
    const { scripted: from } = this;
    const { scripted: to } = other;
    for (const vtl of [0, 1] as const) to.hcl.vmsaPages[vtl].set(from.hcl.vmsaPages[vtl]);
    to.hcl.runPage.set(from.hcl.runPage);
    const [source, target] = [from.synics[0]!.timers[0]!, to.synics[0]!.timers[0]!];
    target.config.set(source.config);
    target.count.set(source.count);
    target.due.set(source.due);
    Object.assign(target, { hasDue: source.hasDue, reevaluate: source.reevaluate });
    if (from.vmTime.hasTimeout) to.vmTime.setTimeout(from.vmTime.timeout);
    to.handlers.log.push(...from.handlers.log);
    other.running = this.running;
    to.vp.restore(JSON.parse(JSON.stringify(from.vp.save() satisfies Plain)) as ReturnType<typeof from.vp.save>);
    return other;
  }
}

describe('the saved state of an SNP VP', () => {
  it('saved after any step, a run under way included, and restored, it goes on with the same bytes', () => {
    for (let seed = 1; seed <= 20; seed++) {
      const next = random(seed);
      const steps = Array.from({ length: 60 }, () => [next(1000), next(2 ** 31), next(2 ** 31)] as const);
      const at = next(steps.length);
      const one = new SavedVp();
      let other = one;
      for (const [index, step] of steps.entries()) {
        if (index === at) {
          other = one.reborn();
          expect(other.observe()).toEqual(one.observe());
        }
        one.step(...step);
        if (other !== one) {
          other.step(...step);
          expect(other.observe()).toEqual(one.observe());
        }
      }
    }
  });

  it('an interrupt that was on offer when the run was saved is acknowledged after it', () => {
    const { vp } = new ScriptedSnpVp();
    vp.offerInterrupt(0, 0x53);
    vp.beforeRun(0, false);
    expect(vp.save().offered).toBe(0x53);
    vp.afterRun(0, RunStatus.Cancelled);
    vp.beforeRun(0, false);
    expect(vp.save().offered).toBe(-1);
  });

  it('that guest RAM is open to VTL1 already is remembered', () => {
    const { hcl } = new ScriptedSnpVp();
    const parts = { vps: [hcl], memory: { ramBytes: 0x1000, read: () => false, write: () => false, readU64: () => false, compareExchange: () => -1 }, checkExtension: () => 0, hvcall: () => 0 };
    const pages = new GuestPages(parts);
    pages.openToVtl1(0);
    const restored = new GuestPages(parts);
    restored.restore(pages.save());
    hcl.adjusted.length = 0;
    restored.openToVtl1(0);
    expect(hcl.adjusted).toEqual([]);
  });
});
