import {
  Errno,
  ExitDestination,
  ExitReason,
  OffloadFlag,
  RunFlag,
  RunStatus,
  TdcallLeaf,
  TdvpsField,
  TdxStatus,
  U64,
  UPDATE_DEADLINE,
  VmcsField,
  VmxExit,
  newTdcallArgument,
} from '@paravisor/hcl-protocol';
import type { HclVp } from '@paravisor/hcl-protocol';
import { beforeEach, describe, expect, it } from 'vitest';
import { l2VmcsFieldHigh } from '../src/abi/index.js';
import { At, smallMachine, startVtl0 } from './small-guest.js';
import type { SmallMachine } from './small-guest.js';

const { Paravisor, User, Hypervisor } = ExitDestination;
const ALL_ONES = 2n ** 64n - 1n;
/** 1 ms at 2 GHz. */
const MILLISECOND = 2_000_000;
/** Rounding of the preemption timer: 2^(rate + 1) − 2 for rate 5. */
const EARLIEST = 62;

let small: SmallMachine;
beforeEach(() => {
  small = smallMachine();
  startVtl0(small, At.spin);
});

const count = (destination: ExitDestination, reason: keyof typeof ExitReason) => small.machine.ledger.countOf(destination, ExitReason[reason]);
const rax = () => ({ reason: small.page.context.exitInfo.rax.lo, status: small.page.context.exitInfo.rax.hi >>> 0 });

/** Asks for a deadline in SDM style with the next entry. */
function ask(deadline: bigint | number): void {
  const { l2TscDeadline } = small.page.context;
  l2TscDeadline.deadline.set(typeof deadline === 'bigint' ? U64.of(deadline) : new U64().setNumber(deadline));
  l2TscDeadline.updateDeadline = UPDATE_DEADLINE;
}

/** Runs until an exit, for `ticks` of virtual time at most. */
function run(ticks = 10 * MILLISECOND): RunStatus {
  const { machine, vp } = small;
  const end = machine.schedule(machine.now + ticks, () => machine.stop());
  machine.nextVp();
  const status = vp.run();
  machine.unschedule(end);
  return status;
}

/** A TDCALL ioctl on a field. */
function field(vp: HclVp, leaf: number, id: { lo: number; hi: number }, value = 0n, mask = ALL_ONES) {
  const argument = newTdcallArgument();
  argument.rax.setParts(leaf, 0);
  argument.rdx.setParts(id.lo, id.hi);
  argument.r8.set(U64.of(value));
  argument.r9.set(U64.of(mask));
  expect(vp.tdcall(argument)).toBe(0);
  return { status: argument.rax.hi >>> 0, r8: new U64().set(argument.r8).toBigInt() };
}
const deadlineOf = (vm: number) => ({ lo: TdvpsField.TscDeadline.lo + vm, hi: TdvpsField.TscDeadline.hi });
const moduleDeadline = () => field(small.vp, TdcallLeaf.VpRd, deadlineOf(1)).r8;

describe('entering a lower VTL with a TSC deadline (mshv_vtl PR 107)', () => {
  it('writes the deadline once and clears the update bit; the run ends by exit 52 with status SUCCESS, early by rounding at most', () => {
    const due = small.machine.now + MILLISECOND;
    ask(due);
    expect(run()).toBe(RunStatus.Finished);
    expect(rax()).toEqual({ reason: VmxExit.TimerExpired, status: TdxStatus.Success });
    expect(small.page.context.l2TscDeadline.updateDeadline & UPDATE_DEADLINE).toBe(0);
    expect(moduleDeadline()).toBe(BigInt(due));
    expect(count(Paravisor, 'timer_expired')).toBe(1);
    expect(count(User, 'timer_expired')).toBe(1);
    const { ticks } = small.machine.costs;
    const atExit = small.machine.now - ticks.vmExit - ticks.kernelToUser - ticks.vmmEmulation - ticks.tdcall - ticks.userToKernel - ticks.kernelToUser;
    // The end of an instruction: at the default 100 ticks each.
    expect(atExit).toBeGreaterThanOrEqual(due - EARLIEST);
    expect(atExit).toBeLessThan(due + 100);
  });

  it('costs no hypervisor exit, neither to arm nor to expire (PR 2483)', () => {
    ask(small.machine.now + MILLISECOND);
    run();
    expect(small.machine.ledger.total(Hypervisor)).toBe(0);
  });

  it('disarms the stale deadline at the next entry that asks for nothing', () => {
    ask(small.machine.now + MILLISECOND);
    run();
    expect(run()).toBe(RunStatus.Pending);
    expect(count(Paravisor, 'timer_expired')).toBe(1);
    expect(moduleDeadline()).toBe(ALL_ONES);
  });

  it.each([1, 12345])('a deadline of %i, in the past, exits before any guest instruction', (deadline) => {
    ask(deadline);
    expect(run()).toBe(RunStatus.Finished);
    expect(rax().reason).toBe(VmxExit.TimerExpired);
    expect(small.machine.retired).toBe(0);
  });

  it('0 is disarmed in user mode’s style, all ones in the module’s', () => {
    ask(0);
    expect(run()).toBe(RunStatus.Pending);
    expect(count(Paravisor, 'timer_expired')).toBe(0);
  });

  it('hazard: all ones becomes all ones − 1, too far ahead for the module: the driver ignores the refusal, and what was armed stays', () => {
    const due = small.machine.now + MILLISECOND;
    ask(due);
    run();
    ask(ALL_ONES);
    expect(run()).toBe(RunStatus.Finished);
    expect(rax().reason).toBe(VmxExit.TimerExpired);
    expect(moduleDeadline()).toBe(BigInt(due));
  });

  it('hazard: the deadline that expired, asked for again, is not written and exits at once again', () => {
    const due = small.machine.now + MILLISECOND;
    ask(due);
    run();
    const { retired } = small.machine;
    ask(due);
    expect(run()).toBe(RunStatus.Finished);
    expect(rax().reason).toBe(VmxExit.TimerExpired);
    expect(small.machine.retired).toBe(retired);
  });

  it('nothing is injected into the L2 VM by an expiry, and the guest goes on where it was', () => {
    const before = new U64().set(small.page.context.gprList.rip).toBigInt();
    ask(small.machine.now + MILLISECOND);
    run();
    expect(new U64().set(small.page.context.gprList.rip).toBigInt()).toBe(before);
    expect(small.page.context.exitInfo.r10.lo).toBe(0);
  });

  it('is cancelled before it begins when `cancel` is set: nothing is entered and the update is still asked for', () => {
    ask(small.machine.now + MILLISECOND);
    small.page.cancel = 1;
    expect(run()).toBe(RunStatus.Cancelled);
    expect(small.machine.ledger.total(Paravisor)).toBe(0);
    expect(small.page.context.l2TscDeadline.updateDeadline).toBe(UPDATE_DEADLINE);
  });

  it('an expiry goes to user mode also with every offload on', () => {
    small.page.offloadFlags = OffloadFlag.IntrInject | OffloadFlag.X2apic;
    ask(small.machine.now + MILLISECOND);
    expect(run()).toBe(RunStatus.Finished);
    expect(rax()).toEqual({ reason: VmxExit.TimerExpired, status: TdxStatus.Success });
    expect([count(User, 'timer_expired'), count(Paravisor, 'timer_expired')]).toEqual([1, 1]);
  });

  it('is ended by an interrupt for VTL2 with status L2_EXIT_PENDING_INTERRUPT and basic reason external interrupt', () => {
    small.vp.armTimer(new U64().setNumber(500_000));
    expect(run()).toBe(RunStatus.Finished);
    expect(rax()).toEqual({ reason: VmxExit.ExternalInterrupt, status: TdxStatus.L2ExitPendingInterrupt });
    expect(count(Paravisor, 'hw_interrupt')).toBe(1);
    expect(small.page.cancel).toBe(1);
  });
});

describe('a halted VP (mshv_vtl PR 107)', () => {
  beforeEach(() => {
    small.page.flags |= RunFlag.Halted;
    small.page.context.exitInfo.rcx.setParts(77, 0);
  });

  it('idles towards the deadline by a kernel timer, and gets a faked exit 52: RAX and nothing else', () => {
    const due = small.machine.now + MILLISECOND;
    ask(due);
    expect(run()).toBe(RunStatus.Finished);
    expect(rax()).toEqual({ reason: VmxExit.TimerExpired, status: 0 });
    expect(small.page.context.exitInfo.rcx.lo).toBe(77);
    expect(small.page.context.l2TscDeadline.updateDeadline & UPDATE_DEADLINE).toBe(0);
    expect(small.machine.now).toBeGreaterThanOrEqual(due);
    expect(small.machine.retired).toBe(0);
  });

  it('costs one arm, one halt and one expiry at the host, counts as a user exit, and not as a paravisor exit', () => {
    ask(small.machine.now + MILLISECOND);
    run();
    for (const reason of ['timer_arm', 'halt', 'timer_expiry'] as const) expect(count(Hypervisor, reason)).toBe(1);
    expect(count(User, 'timer_expired')).toBe(1);
    expect(small.machine.ledger.total(Paravisor)).toBe(0);
  });

  it('never writes the deadline to the module: the faked expiry took the update away', () => {
    ask(small.machine.now + MILLISECOND);
    run();
    expect(moduleDeadline()).toBe(ALL_ONES);
  });

  it('takes the deadline last written when no update is asked for', () => {
    small.page.flags &= ~RunFlag.Halted;
    const due = small.machine.now + MILLISECOND;
    ask(due);
    small.vp.armTimer(new U64().setNumber(500_000));
    run();
    expect(rax().reason).toBe(VmxExit.ExternalInterrupt);
    small.page.cancel = 0;
    small.page.flags |= RunFlag.Halted;
    expect(run()).toBe(RunStatus.Finished);
    expect(rax().reason).toBe(VmxExit.TimerExpired);
    expect(small.machine.now).toBeGreaterThanOrEqual(due);
  });

  it('starts no timer when nothing is armed, and sleeps on', () => {
    expect(run()).toBe(RunStatus.Pending);
    expect(count(Hypervisor, 'timer_arm')).toBe(0);
    expect(count(Hypervisor, 'halt')).toBe(1);
  });

  it('starts no timer for a deadline that has expired', () => {
    small.page.flags &= ~RunFlag.Halted;
    ask(small.machine.now + MILLISECOND);
    run();
    small.page.flags |= RunFlag.Halted;
    expect(run()).toBe(RunStatus.Pending);
    expect(count(Hypervisor, 'timer_arm')).toBe(0);
  });

  it('starts none for 0, which disarms', () => {
    ask(0);
    expect(run()).toBe(RunStatus.Pending);
    expect(count(Hypervisor, 'timer_arm')).toBe(0);
  });

  it('a deadline in the past ends the idle as soon as the timer can interrupt', () => {
    ask(1);
    expect(run()).toBe(RunStatus.Finished);
    expect(rax().reason).toBe(VmxExit.TimerExpired);
    expect(count(Hypervisor, 'timer_arm')).toBe(1);
  });
});

describe('a halted VP that something else wakes before its deadline', () => {
  it('has its kernel timer cancelled: nothing of it is left when the guest runs on', () => {
    small.page.flags |= RunFlag.Halted;
    const due = small.machine.now + MILLISECOND;
    ask(due);
    small.vp.armTimer(new U64().setNumber(500_000));
    expect(run()).toBe(RunStatus.Finished);
    expect(rax()).toEqual({ reason: 0, status: TdxStatus.PendingInterrupt });
    expect(small.machine.now).toBeLessThan(due);
    small.page.flags &= ~RunFlag.Halted;
    small.page.cancel = 0;
    ask(0);
    small.vp.armTimer(new U64().setNumber(1_500_000));
    expect(run()).toBe(RunStatus.Finished);
    expect(small.machine.now).toBeGreaterThanOrEqual(1_500_000 * 2);
  });
});

describe('TDG.VP.ENTER', () => {
  it.each([
    ['VM 0', 0, 0],
    ['VM 3, beyond the L2 VMs of the domain', 0, 3 << 20],
    ['VM 2, whose virtual-APIC page was never set', 0, 2 << 20],
    ['reserved bits of RCX', 4, 1 << 20],
    ['reserved high bits of RCX', 0, (1 << 20) | 1],
  ])('refuses %s with OPERAND_INVALID, which is no paravisor exit', (_, lo, hi) => {
    small.page.context.entryRcx.setParts(lo, hi);
    expect(run()).toBe(RunStatus.Finished);
    expect(rax().status).toBe(TdxStatus.OperandInvalid);
    expect(small.machine.ledger.total(Paravisor)).toBe(0);
    expect(small.machine.retired).toBe(0);
  });

  it('with an invalid guest state exits with reason 33 and the entry-failed bit', () => {
    small.page.context.gprList.rflags.setParts(0, 0);
    expect(run()).toBe(RunStatus.Finished);
    expect(rax()).toEqual({ reason: VmxExit.BadGuestState | (1 << 31), status: 0 });
  });
});

describe('TDG.VP.RD and TDG.VP.WR', () => {
  const cr3 = { lo: VmcsField.Cr3, hi: l2VmcsFieldHigh(1, VmcsField.Cr3) };

  it('give the value before the write, and write the bits of the mask only', () => {
    expect(field(small.vp, TdcallLeaf.VpWr, cr3, 0xffffn, 0xff00n)).toEqual({ status: 0, r8: BigInt(At.pml4) });
    expect(field(small.vp, TdcallLeaf.VpRd, cr3)).toEqual({ status: 0, r8: 0xff00n });
  });

  it.each([
    ['an encoding that is no field', { lo: 0x7ffe, hi: l2VmcsFieldHigh(1, 0x7ffe) }],
    ['a wrong element size', { lo: VmcsField.Cr3, hi: l2VmcsFieldHigh(1, VmcsField.CsLimit) }],
    ['the VMCS of an absent VM', { lo: VmcsField.Cr3, hi: l2VmcsFieldHigh(3, VmcsField.Cr3) }],
    ['TSC_DEADLINE beyond VM 3', deadlineOf(4)],
  ])('know no field for %s', (_, id) => {
    expect(field(small.vp, TdcallLeaf.VpRd, id).status).toBe(TdxStatus.MetadataFieldIdIncorrect);
    expect(field(small.vp, TdcallLeaf.VpWr, id, 1n).status).toBe(TdxStatus.MetadataFieldIdIncorrect);
  });

  it.each([0, 3])('store a TSC_DEADLINE of VM %i, which does nothing', (vm) => {
    expect(field(small.vp, TdcallLeaf.VpWr, deadlineOf(vm), 5n).status).toBe(0);
    expect(field(small.vp, TdcallLeaf.VpRd, deadlineOf(vm)).r8).toBe(5n);
    expect(run()).toBe(RunStatus.Pending);
  });

  it('refuse a TSC_DEADLINE too far ahead with OPERAND_INVALID', () => {
    expect(field(small.vp, TdcallLeaf.VpWr, deadlineOf(1), ALL_ONES - 1n).status).toBe(TdxStatus.OperandInvalid);
    expect(moduleDeadline()).toBe(ALL_ONES);
  });

  it('behind the driver’s back, a deadline in the past exits at every entry', () => {
    field(small.vp, TdcallLeaf.VpWr, deadlineOf(1), 1n);
    for (let entry = 0; entry < 2; entry++) {
      expect(run()).toBe(RunStatus.Finished);
      expect(rax().reason).toBe(VmxExit.TimerExpired);
    }
    // The driver saw an expiry of a deadline it had disarmed: writing "disarmed" again is skipped.
    expect(moduleDeadline()).toBe(1n);
  });

  it.each([TdcallLeaf.VpVmcall, TdcallLeaf.VpEnter])('are leaves of the TDCALL ioctl; leaf %i is not', (leaf) => {
    const argument = newTdcallArgument();
    argument.rax.setParts(leaf, 0);
    expect(small.vp.tdcall(argument)).toBe(Errno.EINVAL);
  });

  it('TDG.VP.INFO tells number and index of the VCPU', () => {
    const argument = newTdcallArgument();
    argument.rax.setParts(TdcallLeaf.VpInfo, 0);
    expect(small.vp.tdcall(argument)).toBe(0);
    expect([argument.rax.hi, argument.r8.lo, argument.r9.lo]).toEqual([0, 1, 0]);
  });
});
