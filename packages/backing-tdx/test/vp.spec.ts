import { InterruptionInfo, RunStatus, TdcallLeaf, TdxStatus, U64, UPDATE_DEADLINE, VmcsField, VmxExit, newTdcallArgument } from '@paravisor/hcl-protocol';
import type { ReadonlyU64 } from '@paravisor/hcl-protocol';
import { EmulationStatus, LocalApic, LocalApicSet, MsrStatus, Synic, VmTimeAccess, VpAssistPage, silentTimerObserver } from '@paravisor/virt-core';
import type { ExitHandlers } from '@paravisor/virt-core';
import { describe, expect, it } from 'vitest';
import { l2VmcsFieldHigh } from '../src/abi/index.js';
import { TdxShared } from '../src/paravisor/index.js';
import { noRemedies } from '../src/paravisor/settings.js';
import { At, TIMER_VECTOR, bytesOf, smallMachine, startAt } from './small-guest.js';

const UNKNOWN_MSR = 0x1234;
/** Sets a window bit of the processor controls. */
const INTERRUPT_WINDOW = 1n << 2n;

/** Handlers that write down what an exit asked for. */
class RecordingHandlers implements ExitHandlers {
  readonly calls: string[] = [];
  cpuid(vtl: number, leaf: number, subleaf: number, out: Int32Array): void {
    this.calls.push(`cpuid ${vtl} ${leaf} ${subleaf}`);
    out.set([1, 2, 3, -1]);
  }
  readMsr(_vtl: number, msr: number, out: U64): MsrStatus {
    this.calls.push(`rdmsr ${msr.toString(16)}`);
    out.setParts(0x70, 7);
    return msr === UNKNOWN_MSR ? MsrStatus.GeneralProtection : MsrStatus.Ok;
  }
  writeMsr(_vtl: number, msr: number, value: ReadonlyU64): MsrStatus {
    this.calls.push(`wrmsr ${msr.toString(16)} ${value.hi}:${value.lo}`);
    return msr === UNKNOWN_MSR ? MsrStatus.GeneralProtection : MsrStatus.Ok;
  }
  readPort(port: number, size: number): number {
    this.calls.push(`in ${port} ${size}`);
    return 0xfedcba98;
  }
  writePort(port: number, size: number, value: number): void {
    this.calls.push(`out ${port} ${size} ${value.toString(16)}`);
  }
  emulateMmio(_vtl: number, gpa: number): EmulationStatus {
    this.calls.push(`mmio ${gpa.toString(16)}`);
    return EmulationStatus.Done;
  }
  emulateStringIo(): EmulationStatus {
    this.calls.push('string io');
    return EmulationStatus.Done;
  }
  hypercall(): boolean {
    this.calls.push('hypercall');
    return true;
  }
  levelEoi(vtl: number, vector: number): boolean {
    this.calls.push(`level eoi ${vtl} ${vector}`);
    return false;
  }
  halt(vtl: number): void {
    this.calls.push(`halt ${vtl}`);
  }
  activityChanged(vtl: number, activity: number): void {
    this.calls.push(`activity ${vtl} ${activity}`);
  }
  fatal(_vtl: number, reason: string): void {
    this.calls.push(`fatal: ${reason}`);
  }
}

/** A VP of the backing on a machine, its loop played by hand. `registers`: RAX RCX RDX RBX. */
function startVp(hex: string, registers: readonly number[] = []) {
  const small = smallMachine();
  const { machine, vp: hcl } = small;
  machine.loadImage(At.snippet, bytesOf(hex));
  const handlers = new RecordingHandlers();
  const vmTime = new VmTimeAccess(hcl);
  const apics = [0, 1].map((vtl) => new LocalApic({ vp: 0, vtl, apicId: 0, set: new LocalApicSet({ wake: () => {} }), vmTime, x2apicCapable: true, observer: silentTimerObserver }));
  const synics = apics.map((apic, vtl) => new Synic({ vp: 0, vtl, memory: machine.hcl.memory, interrupts: apic, observer: silentTimerObserver }));
  const shared = new TdxShared({ hcl: machine.hcl, disableLowerVtlTimerVirt: false, tscFrequency: 2_000_000_000 }, { offload: false, remedyRepeatedEvent: false, remedyIllegalSelfIpi: false, ...noRemedies });
  const backing = shared.createVp({ hcl, vmTime, apics, synics, assistPages: apics.map(() => new VpAssistPage(machine.hcl.memory)), handlers });
  backing.initialize(0, startAt(At.snippet));
  const value = new U64();
  for (const [index, register] of registers.entries()) backing.registers(0).writeGpr(index, value.setNumber(register));
  machine.schedule(machine.now + 20_000_000, () => machine.stop());

  const gpr = (index: number) => {
    backing.registers(0).readGpr(index, value);
    return value.toBigInt();
  };
  return {
    ...small,
    handlers,
    backing,
    apic: apics[0]!,
    gpr,
    /** RIP as an offset into the snippet. */
    get offset() {
      backing.registers(0).readRip(value);
      return value.toNumber() - At.snippet;
    },
    /** One entry and exit, with what the loop would do around them. */
    round(offer: () => void = () => {}): RunStatus {
      backing.deliverPendingEvents(0);
      offer();
      backing.beforeRun(0, false);
      machine.nextVp();
      const status = hcl.run();
      if (status !== RunStatus.Pending) backing.afterRun(0, status);
      return status;
    },
    field(encoding: number): bigint {
      const argument = newTdcallArgument();
      argument.rax.setParts(TdcallLeaf.VpRd, 0);
      argument.rdx.setParts(encoding, l2VmcsFieldHigh(1, encoding));
      hcl.tdcall(argument);
      return value.set(argument.r8).toBigInt();
    },
  };
}

/** What the entry would inject. */
const injected = (vp: ReturnType<typeof startVp>) => Number(vp.field(VmcsField.EntryInterruptInfo));

describe('what the TDX backing makes of an exit', () => {
  it.each<[name: string, hex: string, registers: number[], call: string]>([
    ['HLT', 'f4', [], 'halt 0'],
    ['CPUID', '0fa2', [0x40000003, 5], `cpuid 0 ${0x40000003} 5`],
    ['RDMSR', '0f32', [0, 0x40000020], 'rdmsr 40000020'],
    ['WRMSR', '0f30', [6, 0x40000020, 5], 'wrmsr 40000020 5:6'],
    ['OUT DX, AX', '66ef', [0x12345678, 0, 0x3f8], 'out 1016 2 5678'],
    ['VMCALL', '0f01c1', [], 'hypercall'],
  ])('%s is handed on, and RIP goes over it', (_, hex, registers, call) => {
    const vp = startVp(hex, registers);
    expect(vp.round()).toBe(RunStatus.Finished);
    expect(vp.handlers.calls).toEqual([call]);
    expect(vp.offset).toBe(hex.length / 2);
  });

  it.each<[name: string, hex: string, registers: number[], call: string]>([
    ['an access to memory nobody has', 'a3b000e0fe00000000', [], 'mmio fee000b0'],
    ['string port I/O', 'f36e', [0, 1, 0x80], 'string io'],
  ])('%s is emulated, and the emulator moves RIP', (_, hex, registers, call) => {
    const vp = startVp(hex, registers);
    vp.round();
    expect(vp.handlers.calls).toEqual([call]);
    expect(vp.offset).toBe(0);
  });

  it.each([
    ['RDMSR', '0f32'],
    ['WRMSR', '0f30'],
  ])('%s of an MSR that faults injects #GP(0) and leaves RIP', (_, hex) => {
    const vp = startVp(hex, [0, UNKNOWN_MSR]);
    vp.round();
    expect(vp.offset).toBe(0);
    vp.backing.beforeRun(0, false);
    expect(injected(vp)).toBe((InterruptionInfo.Valid | InterruptionInfo.ErrorCodeValid | 0x30d) >>> 0);
    expect(vp.field(VmcsField.EntryExceptionErrorCode)).toBe(0n);
  });

  it('CPUID zero-extends its four registers, RDMSR its two', () => {
    const cpuid = startVp('0fa2', [0, 0, 0, 0]);
    cpuid.round();
    expect([0, 3, 1, 2].map(cpuid.gpr)).toEqual([1n, 2n, 3n, 0xffffffffn]);
    const rdmsr = startVp('0f32', [2 ** 40, 0x40000020, 2 ** 40]);
    rdmsr.round();
    expect([rdmsr.gpr(0), rdmsr.gpr(2)]).toEqual([0x70n, 7n]);
  });

  it.each([
    ['e471', 0x11223344_55667788n, 0x11223344_55667798n],
    ['66e571', 0x11223344_55667788n, 0x11223344_5566ba98n],
    ['e571', 0x11223344_55667788n, 0xfedcba98n],
  ])('IN %s writes as much of RAX as it is wide', (hex, before, after) => {
    const vp = startVp(hex);
    vp.backing.registers(0).writeGpr(0, U64.of(before));
    vp.round();
    expect(vp.gpr(0)).toBe(after);
  });

  it('a MOV to CR4 that sets MCE is seen by the guest alone', () => {
    const vp = startVp('0f22e1', [0, 0x60]);
    vp.round();
    const cr4 = new U64();
    vp.backing.registers(0).readCr(4, cr4);
    expect(cr4.toNumber()).toBe(0x60);
    expect(vp.offset).toBe(3);
  });

  it('a MOV to CR4 of VMXE is #GP(0)', () => {
    const vp = startVp('0f22e1', [0, 0x2020]);
    vp.round();
    vp.backing.beforeRun(0, false);
    expect(injected(vp) & 0xff).toBe(13);
  });

  it('EFER keeps LMA and refuses to change LME under paging (SDM volume 3, 2.2.1)', () => {
    const kept = startVp('0f30', [0x901, 0xc0000080]);
    kept.round();
    expect(kept.offset).toBe(2);
    expect(kept.field(VmcsField.GuestEfer)).toBe(0xd01n);
    const refused = startVp('0f30', [1, 0xc0000080]);
    refused.round();
    expect(refused.offset).toBe(0);
  });

  it('a triple fault ends the VP, and so does a reason nobody handles, with its number', () => {
    const triple = startVp('0f011c25407000000f0b');
    triple.round();
    expect(triple.handlers.calls).toEqual(['fatal: triple fault']);
    const invd = startVp('0f08');
    invd.round();
    expect(invd.handlers.calls).toEqual(['fatal: VMX exit reason 13 is not handled']);
  });

  it('a status of PENDING_INTERRUPT or above is taken as "never entered": nothing is handled', () => {
    const vp = startVp('f4');
    vp.page.context.exitInfo.rax.setParts(12, TdxStatus.PendingInterrupt);
    vp.backing.beforeRun(0, false);
    vp.backing.afterRun(0, RunStatus.Finished);
    expect(vp.handlers.calls).toEqual([]);
  });
});

describe('how the TDX backing delivers interrupts, without virtual-interrupt delivery', () => {
  /** The APIC has the timer's vector in IRR. */
  function request({ apic }: ReturnType<typeof startVp>): void {
    apic.writeMsr(0x1b, new U64().setParts(0xfee00d00 | 0, 0));
    apic.writeMsr(0x80f, new U64().setParts(0x1ff, 0));
    apic.requestSynicInterrupt(TIMER_VECTOR, false);
  }
  const scan = (vp: ReturnType<typeof startVp>) => vp.apic.scan(new VmTimeAccess(vp.vp), true).interrupt;

  it('an offer while RFLAGS.IF is clear asks for an interrupt window and leaves the APIC alone', () => {
    const vp = startVp('ebfe');
    request(vp);
    vp.backing.deliverPendingEvents(0);
    vp.backing.offerInterrupt(0, scan(vp));
    vp.backing.beforeRun(0, false);
    expect(vp.field(VmcsField.ProcessorControls) & INTERRUPT_WINDOW).toBe(INTERRUPT_WINDOW);
    expect(injected(vp)).toBe(0);
    expect(scan(vp)).toBe(TIMER_VECTOR);
  });

  it('an offer the guest can take is acknowledged and injected, and the window is closed', () => {
    // sti; nop; jmp .: the window exits behind the shadow of STI; the handler's EOI is the exit after it.
    const vp = startVp('fb90ebfe');
    request(vp);
    const offer = () => vp.backing.offerInterrupt(0, scan(vp));
    vp.round(offer);
    expect(vp.offset).toBe(2);
    vp.round(offer);
    expect(vp.handlers.calls).toEqual(['wrmsr 80b 0:0']);
    expect(scan(vp)).toBe(-1);
    expect(vp.field(VmcsField.ProcessorControls) & INTERRUPT_WINDOW).toBe(0n);
  });

  it('the shadow of STI is over once user mode has finished the HLT behind it', () => {
    const vp = startVp('fbf4ebfe');
    request(vp);
    vp.round();
    expect(vp.handlers.calls).toEqual(['halt 0']);
    vp.round(() => vp.backing.offerInterrupt(0, scan(vp)));
    expect(vp.handlers.calls).toEqual(['halt 0', 'wrmsr 80b 0:0']);
  });

  it('an interrupt whose entry ends by a deadline that has passed is delivered by it, and acknowledged once', () => {
    const vp = startVp('ebfe');
    request(vp);
    vp.backing.registers(0).writeRflags(0x202);
    vp.page.context.l2TscDeadline.deadline.setParts(1, 0);
    vp.page.context.l2TscDeadline.updateDeadline = UPDATE_DEADLINE;
    const offer = () => vp.backing.offerInterrupt(0, scan(vp));
    vp.round(offer);
    expect(vp.page.context.exitInfo.rax.lo).toBe(VmxExit.TimerExpired);
    expect(scan(vp)).toBe(-1);
    vp.round();
    expect(vp.handlers.calls).toEqual(['wrmsr 80b 0:0']);
  });

  it('an injection whose run was cancelled is chosen anew for the next, and acknowledged once', () => {
    const vp = startVp('ebfe');
    request(vp);
    vp.backing.registers(0).writeRflags(0x202);
    const offer = () => vp.backing.offerInterrupt(0, scan(vp));
    expect(vp.round(() => {
      offer();
      vp.page.cancel = 1;
    })).toBe(RunStatus.Cancelled);
    expect(injected(vp)).not.toBe(0);
    vp.page.cancel = 0;
    expect(vp.round(offer)).toBe(RunStatus.Finished);
    expect(vp.handlers.calls).toEqual(['wrmsr 80b 0:0']);
    const counter = new U64();
    vp.machine.hcl.memory.readU64(At.counter, counter);
    expect(counter.toNumber()).toBe(1);
  });

  it('an injection that did not get in and is no longer offered is taken out of the VMCS', () => {
    const vp = startVp('ebfe');
    request(vp);
    vp.backing.registers(0).writeRflags(0x202);
    vp.round(() => {
      vp.backing.offerInterrupt(0, scan(vp));
      vp.page.cancel = 1;
    });
    vp.backing.deliverPendingEvents(0);
    vp.backing.beforeRun(0, false);
    expect(injected(vp)).toBe(0);
  });

  it('an NMI goes first, and is kept while the guest cannot take it', () => {
    const vp = startVp('ebfe');
    vp.backing.offerNmi(0);
    vp.backing.injectException(0, 6, -1);
    vp.backing.beforeRun(0, false);
    expect(injected(vp) & 0x7ff).toBe(0x306);
    expect(vp.field(VmcsField.ProcessorControls) & (1n << 22n)).not.toBe(0n);
    const fresh = startVp('ebfe');
    fresh.backing.offerNmi(0);
    fresh.backing.beforeRun(0, false);
    expect(injected(fresh) & 0x7ff).toBe(0x202);
  });
});
