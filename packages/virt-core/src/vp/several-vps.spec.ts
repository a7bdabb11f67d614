import { HvMsr, HvStatus, HvVpRegister, RunStatus, VsmPartitionConfig } from '@paravisor/hcl-protocol';
import { describe, expect, it } from 'vitest';
import { Input, SELF, VsmGuest } from '../../test/vsm-guest.js';
import { Segment } from '../contract/index.js';
import { HvCallCode } from '../hypercall/index.js';

const VECTOR = 0x50;
/** x2APIC ICR: fixed, NMI, INIT and start-up, all assert, to APIC id `to`. */
const ICR = 0x830;
const icr = (to: number, mode: number, vector: number): bigint => (BigInt(to) << 32n) | BigInt((1 << 14) | (mode << 8) | vector);
const Mode = { Fixed: 0, Nmi: 4, Init: 5, StartUp: 6 } as const;

/** A partition of two VPs whose APICs are on, both inside the run ioctl. */
function start(options: { vps?: number } = {}): VsmGuest {
  const guest = new VsmGuest({ vps: options.vps ?? 2 });
  for (const vp of guest.paravisor.vps) {
    guest.write(0x1b, vp.index === 0 ? 0xfee00d00n : 0xfee00c00n, 0, vp.index);
    guest.write(0x80f, 0x1ffn, 0, vp.index);
    guest.round(vp.index);
    vp.run();
  }
  guest.machine.takeLog();
  return guest;
}

/** What VP 1's own entries in the log say. */
const ofVp1 = (guest: VsmGuest): string[] =>
  guest.machine
    .takeLog()
    .filter((entry) => entry.startsWith('vp1 '))
    .map((entry) => entry.slice(4));

/** The ioctl of a VP that was woken returns. */
function wokenRound(guest: VsmGuest, vp: number): void {
  guest.paravisor.vps[vp]!.complete(RunStatus.Cancelled);
  guest.paravisor.vps[vp]!.run();
}

describe('the start of application processors (SDM volume 3, 9.4; openvmm poll_apic_core)', () => {
  it('the first VP starts with the loader\'s registers, the others with those of reset, waiting', () => {
    const [first, second] = new VsmGuest({ vps: 2 }).machine.recordings;
    expect(first!.initial[0]).toMatchObject({ efer: 0xd01n });
    expect(second!.initial[0]).toMatchObject({ rip: 0xfff0n, rflags: 2n, cr0: 0x60000010n, cr3: 0n, cr4: 0n, efer: 0n, idtr: { base: 0n, limit: 0xffff } });
    expect(second!.initial[0]!.segments[Segment.Cs]).toEqual({ selector: 0xf000, attributes: 0x9b, limit: 0xffff, base: 0xffff0000n });
    expect(second!.initial[0]!.segments[Segment.Tr]!.attributes).toBe(0x8b);
    const waiting = start();
    waiting.round(1);
    expect(ofVp1(waiting)).toContain('before 0 halted');
  });

  it('a start-up IPI sets CS and RIP, and nothing else, and the VP runs', () => {
    const guest = start();
    const registers = guest.machine.recordings[1]!.registers(0);
    registers.gpr[2] = 0x806f8n;
    registers.rip = 0xfff0n;
    guest.write(ICR, icr(1, Mode.StartUp, 0x8));
    expect(guest.machine.vps[1]!.cancelled).toBe(true);
    expect(guest.machine.vps[0]!.cancelled).toBe(false);
    wokenRound(guest, 1);
    expect(ofVp1(guest)).toContain('before 0');
    expect(registers.segments[Segment.Cs]).toMatchObject({ selector: 0x800, attributes: 0x9b, limit: 0xffff });
    expect(registers.segments[Segment.Cs]!.base.toBigInt()).toBe(0x8000n);
    expect([registers.rip, registers.gpr[2]]).toEqual([0n, 0x806f8n]);
  });

  it('a second start-up IPI to a VP that runs does nothing', () => {
    const guest = start();
    guest.write(ICR, icr(1, Mode.StartUp, 0x8));
    wokenRound(guest, 1);
    guest.machine.recordings[1]!.registers(0).rip = 0x1234n;
    guest.write(ICR, icr(1, Mode.StartUp, 0x9));
    wokenRound(guest, 1);
    expect(guest.machine.recordings[1]!.registers(0).rip).toBe(0x1234n);
  });

  it('an interrupt is not offered to a VP that waits for its start-up IPI', () => {
    const guest = start();
    guest.write(ICR, icr(1, Mode.Fixed, VECTOR));
    wokenRound(guest, 1);
    expect(ofVp1(guest)).toEqual(expect.arrayContaining(['before 0 halted']));
    guest.write(ICR, icr(1, Mode.StartUp, 8));
    wokenRound(guest, 1);
    expect(ofVp1(guest)).toContain(`offer 0 ${VECTOR}`);
  });

  it('hazard: an NMI for a VP that waits for its start-up IPI is gone when that comes (openvmm poll_apic_core)', () => {
    const guest = start();
    guest.write(ICR, icr(1, Mode.Nmi, 0));
    wokenRound(guest, 1);
    guest.write(ICR, icr(1, Mode.StartUp, 8));
    wokenRound(guest, 1);
    expect(ofVp1(guest)).not.toContain('nmi 0');
  });

  it('INIT gives a VP its reset state, but for NW and CD, its MSRs and its APIC base, and lets it wait again', () => {
    const guest = start();
    const registers = guest.machine.recordings[1]!.registers(0);
    guest.write(ICR, icr(1, Mode.StartUp, 8));
    wokenRound(guest, 1);
    registers.cr0 = 0xa0000011n;
    registers.msrs.set(0xc0000082, 5n);
    registers.gpr[3] = 3n;
    guest.write(ICR, icr(1, Mode.Init, 0));
    wokenRound(guest, 1);
    expect(ofVp1(guest)).toContain('before 0 halted');
    expect([registers.cr0, registers.cr3, registers.efer, registers.rip, registers.gpr[3]]).toEqual([0x20000010n, 0n, 0n, 0xfff0n, 0n]);
    expect(registers.msrs.get(0xc0000082)).toBe(5n);
    // The APIC keeps its mode, and starts over otherwise: SVR is off.
    expect([guest.read(0x1b, 0, 1), guest.read(0x80f, 0, 1)]).toEqual([0xfee00c00n, 0xffn]);
  });

  it('a start-up IPI that came with the INIT is taken in the same round', () => {
    const guest = start();
    guest.write(ICR, icr(1, Mode.Init, 0));
    guest.write(ICR, icr(1, Mode.StartUp, 8));
    wokenRound(guest, 1);
    expect(ofVp1(guest)).toContain('before 0');
  });

  it('the first VP after INIT goes on from the reset vector as it was, halted or not (openvmm x86_init)', () => {
    const guest = start();
    const [vp] = guest.paravisor.vps;
    vp!.complete(RunStatus.Cancelled);
    guest.write(ICR, icr(0, Mode.Init, 0), 0, 1);
    vp!.run();
    expect(guest.machine.recordings[0]!.registers(0).rip).toBe(0xfff0n);
    expect(guest.machine.takeLog()).toContain('before 0');
    vp!.complete(RunStatus.Finished);
    guest.machine.recordings[0]!.context.handlers.halt(0);
    guest.write(ICR, icr(0, Mode.Init, 0), 0, 1);
    vp!.run();
    expect(guest.machine.takeLog()).toContain('before 0 halted');
  });
});

describe('starting a VP by hypercall (TLFS 7.8; openvmm StartVirtualProcessor)', () => {
  it('leaves the context for the VP, whose own thread takes it', () => {
    const guest = start();
    expect(guest.startVp(1)).toBe(HvStatus.Success);
    const registers = guest.machine.recordings[1]!.registers(0);
    expect(registers.rip).not.toBe(0x30_0000n);
    expect(guest.machine.vps[1]!.cancelled).toBe(true);
    wokenRound(guest, 1);
    expect(ofVp1(guest)).toContain('before 0');
    expect([registers.rip, registers.gpr[4], registers.cr3, registers.efer]).toEqual([0x30_0000n, 0x7000n, 0x5000n, 0xd01n]);
    expect(registers.segments[Segment.Cs]).toMatchObject({ selector: 8, attributes: 0xa09b });
    expect(registers.tables[0]).toMatchObject({ limit: 0x7f });
  });

  it('works once: not for the caller, not for the first VP, not for one that is not there', () => {
    const guest = start();
    expect(guest.startVp(0)).toBe(HvStatus.InvalidVpIndex);
    expect(guest.startVp(2)).toBe(HvStatus.InvalidVpIndex);
    expect(guest.startVp(0, 0, { vp: 1 })).toBe(HvStatus.InvalidVpState);
    expect(guest.startVp(1)).toBe(HvStatus.Success);
    expect(guest.startVp(1)).toBe(HvStatus.InvalidVpState);
  });

  it.each([
    ['another partition', new Input(240).u64(0, 5n).u32(8, 1), HvStatus.InvalidPartitionId],
    ['a VTL above the caller', new Input(240).u64(0, SELF).u32(8, 1).u8(12, 1), HvStatus.AccessDenied],
    ['no VTL', new Input(240).u64(0, SELF).u32(8, 1).u8(12, 3), HvStatus.InvalidParameter],
    ['a reserved byte', new Input(240).u64(0, SELF).u32(8, 1).u8(13, 1), HvStatus.InvalidParameter],
  ])('refuses %s', (_name, input, status) => {
    expect(start().call(HvCallCode.StartVirtualProcessor, input).status).toBe(status);
  });

  it('a VP that has VTL1 starts there, whichever VTL is started, and VTL1 may forbid VTL0 to do it', () => {
    const guest = start({ vps: 3 });
    guest.enablePartitionVtl();
    guest.enableVpVtl(0);
    wokenRound(guest, 0);
    expect(guest.startVp(1, 1, { vtl: 1 })).toBe(HvStatus.InvalidVpState);
    guest.enableVpVtl(1, 0x41_0000n, { vtl: 1 });
    wokenRound(guest, 1);
    expect(ofVp1(guest)).toEqual(expect.arrayContaining(['initialize 1', 'before 0 halted']));
    expect(guest.startVp(1, 0, { vtl: 1 })).toBe(HvStatus.Success);
    wokenRound(guest, 1);
    expect(ofVp1(guest)).toContain('before 1');

    guest.setRegister(HvVpRegister.VsmPartitionConfig, 1, BigInt(VsmPartitionConfig.DenyLowerVtlStartup | (15 << 1)));
    expect(guest.startVp(2)).toBe(HvStatus.AccessDenied);
    guest.write(ICR, icr(2, Mode.StartUp, 8));
    wokenRound(guest, 2);
    expect(guest.machine.takeLog()).toContain('vp2 before 0 halted');
    expect(guest.startVp(2, 0, { vtl: 1 })).toBe(HvStatus.Success);
  });
});

describe('HvCallGetVpIndexFromApicId (TLFS 7.8)', () => {
  const query = (ids: readonly number[], vtl = 0, partition = SELF): Input =>
    ids.reduce((input, id, i) => input.u32(16 + 4 * i, id), new Input(16 + 4 * ids.length).u64(0, partition).u8(8, vtl));
  const call = (guest: VsmGuest, input: Input, reps: number) => guest.call(HvCallCode.GetVpIndexFromApicId, input, { reps });

  it('gives the index of each APIC id, and stops at one nobody has', () => {
    const guest = start({ vps: 4 });
    const found = call(guest, query([3, 0, 2]), 3);
    expect([found.status, found.reps, found.output.getUint32(0, true), found.output.getUint32(4, true), found.output.getUint32(8, true)]).toEqual([0, 3, 3, 0, 2]);
    expect(call(guest, query([1, 9, 2]), 3)).toMatchObject({ status: HvStatus.InvalidParameter, reps: 1 });
  });

  it('is for this partition and no higher VTL', () => {
    const guest = start();
    expect(call(guest, query([0], 0, 3n), 1).status).toBe(HvStatus.InvalidPartitionId);
    expect(call(guest, query([0], 1), 1).status).toBe(HvStatus.AccessDenied);
    expect(call(guest, query([0], 3), 1).status).toBe(HvStatus.InvalidParameter);
  });
});

describe('wake-ups between VPs (openvmm UhVpInner::wake, handle_wake)', () => {
  it('an IPI wakes its target alone, and is offered by the target\'s own thread', () => {
    const guest = start();
    guest.write(ICR, icr(1, Mode.StartUp, 8));
    wokenRound(guest, 1);
    guest.machine.takeLog();
    guest.write(ICR, icr(1, Mode.Fixed, VECTOR));
    expect(guest.machine.takeLog()).toEqual(['vp1 wake']);
    wokenRound(guest, 1);
    expect(ofVp1(guest)).toContain(`offer 0 ${VECTOR}`);
  });

  it('a VP is called out of the ioctl once for one reason, however much is staged before it looks', () => {
    const guest = start();
    guest.write(ICR, icr(1, Mode.StartUp, 8));
    guest.write(ICR, icr(1, Mode.Fixed, VECTOR));
    guest.write(ICR, icr(1, Mode.Fixed, VECTOR + 1));
    guest.paravisor.vps[1]!.postMessage(0, 2, new Uint8Array(256));
    expect(guest.machine.takeLog()).toEqual(['vp1 wake', 'vp1 wake']);
  });

  it('a wake-up before the round costs no call: the round that begins sees it', () => {
    const guest = start();
    const [vp] = guest.paravisor.vps;
    vp!.complete(RunStatus.Finished);
    guest.machine.takeLog();
    vp!.requestInterrupt(0, 0, VECTOR, false);
    vp!.run();
    const log = guest.machine.takeLog();
    expect(log).not.toContain('wake');
    expect(log.filter((entry) => entry === 'clear').length).toBe(1);
    expect(log).toContain(`offer 0 ${VECTOR}`);
  });

  it('a wake-up during the scan repeats the round before the ioctl', () => {
    const guest = start();
    const [vp] = guest.paravisor.vps;
    vp!.complete(RunStatus.Finished);
    guest.machine.takeLog();
    let once = true;
    guest.machine.recording.onPendingEvents = () => {
      if (once) guest.write(ICR, icr(0, Mode.Fixed, VECTOR), 0, 1);
      once = false;
    };
    vp!.run();
    const log = guest.machine.takeLog();
    expect(log.filter((entry) => entry === 'clear').length).toBe(2);
    expect(log.slice(log.lastIndexOf('clear'))).toEqual(['clear', 'pending events 0', `offer 0 ${VECTOR}`, 'cancel timer', 'before 0', 'run']);
  });

  it('a wake-up between the round and the ioctl finds cancel set there: nothing is entered', () => {
    const guest = start();
    const [vp] = guest.paravisor.vps;
    vp!.complete(RunStatus.Finished);
    vp!.prepare();
    guest.write(ICR, icr(0, Mode.Fixed, VECTOR), 0, 1);
    guest.machine.takeLog();
    vp!.run();
    expect(guest.machine.takeLog()).toEqual(['run (cancel set)']);
    wokenRound(guest, 0);
    expect(guest.machine.takeLog()).toContain(`offer 0 ${VECTOR}`);
  });

  it('a wake-up in the ioctl is not lost when the ioctl returns for another reason', () => {
    const guest = start();
    const [vp] = guest.paravisor.vps;
    guest.write(ICR, icr(0, Mode.Fixed, VECTOR), 0, 1);
    vp!.complete(RunStatus.Finished);
    guest.machine.takeLog();
    vp!.run();
    expect(guest.machine.takeLog()).toEqual(expect.arrayContaining([`offer 0 ${VECTOR}`, 'run']));
    expect(guest.machine.vp.cancelled).toBe(false);
  });

  it('cancel without a reason costs a round that changes nothing', () => {
    const guest = start();
    const [vp] = guest.paravisor.vps;
    guest.machine.vp.runPage[0] = 1;
    vp!.complete(RunStatus.Cancelled);
    guest.machine.takeLog();
    vp!.run();
    expect(guest.machine.takeLog()).toEqual(['clear', 'pending events 0', 'cancel timer', 'before 0', 'run']);
  });

  it('each VP has timers of its own', () => {
    const guest = start();
    for (const vp of [0, 1]) {
      guest.write(HvMsr.Stimer0Count, BigInt(9_000 * (vp + 1)), 0, vp);
      guest.write(HvMsr.Stimer0Config, BigInt(1 | (1 << 12) | ((VECTOR + vp) << 4)), 0, vp);
    }
    wokenRound(guest, 0);
    wokenRound(guest, 1);
    expect(guest.machine.takeLog().filter((entry) => entry.startsWith('update'))).toEqual(['update 0 9000', 'update 0 18000']);
  });
});

describe('messages for a SINT (openvmm MessageQueues)', () => {
  it('that is masked when the VP looks are dropped', () => {
    const guest = start();
    guest.write(HvMsr.Simp, 0x3001n);
    guest.paravisor.vps[0]!.postMessage(0, 2, Uint8Array.from({ length: 256 }, (_, i) => (i === 0 ? 1 : 0)));
    wokenRound(guest, 0);
    guest.write(HvMsr.Sint0 + 2, BigInt(VECTOR));
    wokenRound(guest, 0);
    expect(guest.machine.memory.bytes[0x3200]).toBe(0);
  });
});

describe('interrupts the host brings (openvmm proxy_irr)', () => {
  const asked = (guest: VsmGuest, vector: number): void => {
    const page = new DataView(guest.machine.vp.runPage.buffer);
    page.setUint32(1552 + 4 * (vector >>> 5), 1 << (vector & 31), true);
    page.setUint8(12, 1);
  };

  it('are taken from the run page before the scan of the APIC, and offered', () => {
    const guest = start();
    asked(guest, VECTOR);
    wokenRound(guest, 0);
    expect(guest.machine.takeLog()).toContain(`offer 0 ${VECTOR}`);
    expect([...guest.machine.vp.runPage.subarray(1552, 1584), guest.machine.vp.runPage[12]]).toEqual(Array.from({ length: 33 }, () => 0));
  });

  it('are not looked at without the flag, and dropped below vector 16 or while the APIC is off', () => {
    const guest = start();
    asked(guest, VECTOR);
    guest.machine.vp.runPage[12] = 0;
    wokenRound(guest, 0);
    expect(guest.machine.takeLog().filter((entry) => entry.startsWith('offer'))).toEqual([]);
    guest.machine.vp.runPage.fill(0, 1552, 1584);
    asked(guest, 15);
    wokenRound(guest, 0);
    guest.write(0x80f, 0xffn);
    asked(guest, VECTOR);
    wokenRound(guest, 0);
    guest.write(0x80f, 0x1ffn);
    wokenRound(guest, 0);
    expect(guest.machine.takeLog().filter((entry) => entry.startsWith('offer'))).toEqual([]);
  });
});
