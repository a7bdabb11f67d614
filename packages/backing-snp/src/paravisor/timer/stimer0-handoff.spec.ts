import { HvMsr, StimerConfig, Stimer0Flag, U64, u64ToBigInt } from '@paravisor/hcl-protocol';
import { describe, expect, it } from 'vitest';
import { ScriptedSnpVp } from '../../../test/scripted-vp.js';

const VECTOR = 0x50;
const ONE_SHOT = StimerConfig.DirectMode | StimerConfig.AutoEnable | (VECTOR << StimerConfig.ApicVectorShift);
const { ConfigValid, KernelUpdate, Expired } = Stimer0Flag;

/** A VP whose STIMER0 of VTL0 has `config`, as the guest wrote it. */
function start(config = ONE_SHOT) {
  const scripted = new ScriptedSnpVp();
  const { vp, runPage } = scripted;
  const { context } = runPage;
  const [synic] = scripted.synics;
  synic!.writeMsr(HvMsr.Stimer0Config, U64.of(config));
  synic!.scan(new U64());
  /** What the driver does when it takes a count at reference time `at`. */
  const take = (count: bigint, at: bigint, flags: number = KernelUpdate): void => {
    context.stimer0Count.set(U64.of(count));
    context.stimer0ProgrammedRefTime.set(U64.of(at));
    context.stimer0Flags |= flags;
  };
  return { scripted, vp, context, synic: synic!, timer: synic!.timers[0]!, take };
}

describe("user mode's side of the hand-off of STIMER0 (openvmm PR 4224)", () => {
  it('begin of a VTL0 run publishes the config as it is then, and says that it is valid', () => {
    const { vp, context, synic } = start();
    vp.beforeRun(0, false);
    expect(u64ToBigInt(context.stimer0Config)).toBe(BigInt(ONE_SHOT));
    expect(context.stimer0Flags).toBe(ConfigValid);
    synic.writeMsr(HvMsr.Stimer0Config, U64.of(3));
    vp.beforeRun(0, false);
    expect(u64ToBigInt(context.stimer0Config)).toBe(3n);
  });

  it('begin of a VTL1 run clears the flag: VTL1 has a STIMER0 of its own, of which the driver knows nothing', () => {
    const { vp, context } = start();
    vp.beforeRun(0, false);
    vp.beforeRun(1, false);
    expect(context.stimer0Flags).toBe(0);
  });

  it('a count that the driver took is due as of its write, without waiting for the scan; the flag is taken', () => {
    const { scripted, context, timer, take } = start();
    scripted.round(() => take(5_000n, 1_000n));
    expect([timer.hasDue, u64ToBigInt(timer.due), timer.enabled, timer.reevaluate]).toEqual([true, 5_000n, true, false]);
    expect(context.stimer0Flags).toBe(ConfigValid);
  });

  it('a periodic timer counts its first period from the reference time of the write, not from the end of the run', () => {
    const { scripted, timer, take } = start(ONE_SHOT | StimerConfig.Periodic);
    scripted.round(() => take(300n, 1_000n));
    expect(u64ToBigInt(timer.due)).toBe(1_300n);
  });

  it('the normal scan does the one delivery; the expired flag changes nothing', () => {
    for (const flags of [KernelUpdate, KernelUpdate | Expired]) {
      const { scripted, context, synic, timer, take } = start();
      scripted.round(() => take(5_000n, 1_000n, flags));
      expect(timer.hasDue).toBe(true);
      expect(context.stimer0Flags).toBe(ConfigValid);
      synic.scan(U64.of(4_999n));
      expect([timer.hasDue, synic.hasNextDue]).toEqual([true, true]);
      synic.scan(U64.of(5_000n));
      expect([timer.hasDue, timer.enabled, synic.hasNextDue]).toEqual([false, false, false]);
    }
  });

  it('expired without an update is cleared and ignored', () => {
    const { scripted, context, timer, take } = start();
    scripted.round(() => take(5_000n, 1_000n, Expired));
    expect(context.stimer0Flags).toBe(ConfigValid);
    expect([timer.hasDue, timer.count.isZero()]).toEqual([false, true]);
  });

  it('an update is taken once', () => {
    const { scripted, synic, timer, take } = start();
    scripted.round(() => take(5_000n, 1_000n));
    synic.scan(U64.of(6_000n));
    scripted.round(() => {});
    expect(timer.hasDue).toBe(false);
  });

  it('takes it before the exit is handled: what the guest wrote afterwards counts', () => {
    const { scripted, synic, timer, take } = start();
    let counted = 0n;
    scripted.handlers.onWriteMsr = (msr) => {
      if (msr === HvMsr.Stimer0Config) counted = u64ToBigInt(timer.count);
      synic.writeMsr(msr, new U64());
    };
    scripted.round((vmsa) => {
      take(5_000n, 1_000n);
      vmsa.rcx.setParts(HvMsr.Stimer0Config, 0);
      vmsa.guestErrorCode.setParts(0x7c, 0);
      vmsa.exitInfo1.setParts(1, 0);
    });
    expect(counted).toBe(5_000n);
    synic.scan(U64.of(1_500n));
    expect(timer.hasDue).toBe(false);
  });

  it('a run that was cancelled before anything was entered takes nothing, and one that was cancelled later takes what there is', () => {
    const { scripted, timer, take } = start();
    scripted.round(() => {}, 1);
    expect(timer.hasDue).toBe(false);
    scripted.round(() => take(5_000n, 1_000n), 1);
    expect(timer.hasDue).toBe(true);
  });

  it('a driver that takes a write while VTL1 runs ends the VP: openvmm asserts that it does not', () => {
    const { scripted, vp, timer, take } = start();
    vp.initialize(1, scripted.registers);
    vp.beforeRun(1, false);
    take(5_000n, 1_000n);
    vp.afterRun(1, 0);
    expect(scripted.takeLog()).toEqual(['fatal the driver took a write of STIMER0_COUNT while VTL1 ran']);
    expect(timer.hasDue).toBe(false);
  });
});
