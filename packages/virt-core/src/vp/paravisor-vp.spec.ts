import { DeliveryMode, HvMsr, RunStatus, StimerConfig, U64 } from '@paravisor/hcl-protocol';
import { describe, expect, it } from 'vitest';
import { ScriptedMachine } from '../../test/scripted-partition.js';
import { createParavisor } from './index.js';

const VECTOR = 0x50;
const SVR = 0x80f;
/** 100 ns at the scripted 2 GHz, in ticks. */
const UNIT = 200n;

/** A partition whose first round, which always looks at staged requests, is over, and whose APIC is software-enabled. */
function start(options: ConstructorParameters<typeof ScriptedMachine>[0] = {}) {
  const machine = new ScriptedMachine(options);
  const paravisor = createParavisor(machine.options);
  const [vp] = paravisor.vps;
  const { handlers } = machine.recording.context;
  const write = (msr: number, value: bigint): void => {
    expect(handlers.writeMsr(0, msr, U64.of(value))).toBe(0);
  };
  write(0x1b, 0xfee00d00n);
  write(SVR, 0x1ffn);
  vp!.prepare();
  vp!.complete(RunStatus.Finished);
  machine.takeLog();
  /** A direct-mode one-shot of timer 0, due at `due`. */
  const armStimer = (due: bigint): void => {
    write(HvMsr.Stimer0Count, due);
    write(HvMsr.Stimer0Config, BigInt(StimerConfig.Enabled | StimerConfig.DirectMode | (VECTOR << StimerConfig.ApicVectorShift)));
  };
  return { machine, paravisor, vp: vp!, handlers, write, armStimer };
}

describe('the VP loop (openvmm run_vp, PR 2483)', () => {
  it('clears the deadline, delivers cut-off events, then scans, then readies the entry', () => {
    const { machine, vp } = start();
    vp.prepare();
    expect(machine.takeLog()).toEqual(['clear', 'pending events 0', 'cancel timer', 'before 0']);
  });

  it('asks for the deadline of each scan that yields a due time, at the reference time of that scan', () => {
    const { machine, vp, armStimer } = start();
    armStimer(5_000n);
    machine.vp.tsc = 1_000n * UNIT + 1n;
    vp.prepare();
    expect(machine.takeLog()).toEqual(['clear', 'pending events 0', 'update 1000 5000', 'cancel timer', 'before 0']);
  });

  it('scans again after it has delivered messages, at the reference time of then', () => {
    const { machine, vp, write, armStimer } = start();
    write(HvMsr.Simp, 0x3001n);
    write(HvMsr.Sint0 + 2, BigInt(VECTOR));
    armStimer(5_000n);
    machine.vp.tsc = 1_000n * UNIT;
    machine.vp.rdtscCost = UNIT;
    vp.postMessage(0, 2, new Uint8Array(256).fill(1, 0, 5));
    vp.prepare();
    const times = machine.takeLog().flatMap((entry) => /^update (\d+) 5000$/.exec(entry)?.[1] ?? []).map(Number);
    expect(times.length).toBeGreaterThan(1);
    expect(times).toEqual([...new Set(times)].sort((a, b) => a - b));
  });

  it('a timer that came due wakes the VP: a second round before the ioctl offers the vector, and nothing is cancelled', () => {
    const { machine, vp, armStimer } = start();
    armStimer(5_000n);
    vp.prepare();
    vp.complete(RunStatus.Finished);
    machine.takeLog();
    machine.vp.tsc = 5_000n * UNIT + 1n;

    vp.prepare();
    expect(machine.takeLog()).toEqual(['clear', 'pending events 0', 'clear', 'pending events 0', `offer 0 ${VECTOR}`, 'cancel timer', 'before 0']);
    expect(machine.vp.cancelled).toBe(false);
  });

  it('a timer that wakes the VP in every round does not keep the thread from the ioctl, which is cancelled instead', () => {
    const { machine, vp, write } = start();
    machine.vp.rdtscCost = UNIT;
    write(HvMsr.Stimer0Count, 1n);
    write(HvMsr.Stimer0Config, BigInt(StimerConfig.Enabled | StimerConfig.Periodic | StimerConfig.DirectMode | (VECTOR << StimerConfig.ApicVectorShift)));
    vp.prepare();
    vp.complete(RunStatus.Finished);
    machine.takeLog();
    // From now on each round takes over what the round before has staged, so that each expiry is news and wakes.
    vp.requestInterrupt(0, DeliveryMode.Fixed, VECTOR + 1, false);
    vp.prepare();
    const log = machine.takeLog();
    expect(log.filter((entry) => entry === 'clear').length).toBeLessThan(20);
    expect(log.at(-1)).toBe('before 0');
    expect(machine.vp.cancelled).toBe(true);
  });

  it('a vector that is staged already wakes nobody: one timer alone costs a second round, however often it comes due', () => {
    const { machine, vp, write } = start();
    machine.vp.rdtscCost = UNIT;
    write(HvMsr.Stimer0Count, 1n);
    write(HvMsr.Stimer0Config, BigInt(StimerConfig.Enabled | StimerConfig.Periodic | StimerConfig.DirectMode | (VECTOR << StimerConfig.ApicVectorShift)));
    vp.prepare();
    vp.complete(RunStatus.Finished);
    machine.takeLog();
    vp.prepare();
    expect(machine.takeLog().filter((entry) => entry === 'clear').length).toBe(2);
    expect(machine.vp.cancelled).toBe(false);
  });

  it('offers a vector every round until it is acknowledged', () => {
    const { machine, vp } = start();
    vp.requestInterrupt(0, DeliveryMode.Fixed, VECTOR, false);
    for (let round = 0; round < 2; round++) {
      vp.prepare();
      expect(machine.takeLog()).toContain(`offer 0 ${VECTOR}`);
      vp.complete(RunStatus.Finished);
    }
    vp.apic(0).acknowledge(VECTOR);
    machine.takeLog();
    vp.prepare();
    expect(machine.takeLog()).not.toContain(`offer 0 ${VECTOR}`);
  });

  it('arms the host timer only for a VmTime timeout: the APIC timer has one, a hardware deadline has none', () => {
    const { machine, vp, write } = start();
    write(0x83e, 0xbn); // divide by 1: 5 ns a tick
    write(0x832, BigInt(VECTOR));
    write(0x838, 2_000n);
    vp.prepare();
    expect(machine.takeLog()).toContain('arm 10000');
  });

  it('a timeout that has come is not armed: the thread goes round until the APIC finds it strictly behind (openvmm poll_timer)', () => {
    const { machine, vp, write } = start();
    write(0x83e, 0xbn);
    write(0x832, BigInt(VECTOR));
    write(0x838, 2_000n);
    machine.vp.tsc = 100n * UNIT;
    machine.vp.rdtscCost = UNIT / 4n;
    vp.prepare();
    const log = machine.takeLog();
    expect(log.filter((entry) => entry === 'clear').length).toBe(4);
    expect(log.filter((entry) => entry.startsWith('arm'))).toEqual([]);
    expect(log).toContain(`offer 0 ${VECTOR}`);
    expect(machine.vp.cancelled).toBe(false);
  });

  it('a timeout that never comes to lie behind, because the clock stands, is taken through the ioctl, cancelled and without arming', () => {
    const { machine, vp, write } = start();
    write(0x83e, 0xbn);
    write(0x832, BigInt(VECTOR));
    write(0x838, 2_000n);
    machine.vp.tsc = 100n * UNIT;
    vp.prepare();
    const log = machine.takeLog();
    expect(log.filter((entry) => entry.startsWith('arm') || entry.startsWith('offer'))).toEqual([]);
    expect(log.at(-1)).toBe('before 0');
    expect(machine.vp.cancelled).toBe(true);
  });

  it('goes round until the ioctl stays pending, and takes up there again', () => {
    const { machine, vp } = start();
    const statuses: RunStatus[] = [RunStatus.Finished, RunStatus.Cancelled, RunStatus.Pending, RunStatus.Pending];
    machine.vp.onRun = () => statuses.shift()!;
    expect(vp.run()).toBeNull();
    const round = ['clear', 'pending events 0', 'cancel timer', 'before 0', 'run'];
    expect(machine.takeLog()).toEqual([...round, 'after 0 0', ...round, 'after 0 1', ...round]);
    expect(vp.run()).toBeNull();
    expect(machine.takeLog()).toEqual(['run']);
  });
});

describe('halted VPs', () => {
  it('HLT idles until an interrupt that RFLAGS.IF lets in', () => {
    const { machine, vp, handlers } = start();
    handlers.halt(0);
    vp.prepare();
    expect(machine.takeLog()).toContain('before 0 halted');

    machine.recording.registers(0).rflags = 0x2;
    vp.requestInterrupt(0, DeliveryMode.Fixed, VECTOR, false);
    vp.prepare();
    expect(machine.takeLog()).toContain('before 0 halted');

    machine.recording.registers(0).rflags = 0x202;
    vp.prepare();
    expect(machine.takeLog()).toContain('before 0');
  });

  it('SNP: an offered interrupt ends a HLT even if IF is clear', () => {
    const { machine, vp, handlers } = start({ interruptEndsHaltWithoutIf: true });
    handlers.halt(0);
    machine.recording.registers(0).rflags = 0x2;
    vp.requestInterrupt(0, DeliveryMode.Fixed, VECTOR, false);
    vp.prepare();
    expect(machine.takeLog()).toContain('before 0');
  });

  it('the guest-idle MSR reads 0 and idles until any interrupt, RFLAGS.IF or not (TLFS)', () => {
    const { machine, vp, handlers } = start();
    const value = U64.of(7);
    handlers.readMsr(0, HvMsr.GuestIdle, value);
    expect(value.toBigInt()).toBe(0n);
    vp.prepare();
    expect(machine.takeLog()).toContain('before 0 halted');

    machine.recording.registers(0).rflags = 0x2;
    vp.requestInterrupt(0, DeliveryMode.Fixed, VECTOR, false);
    vp.prepare();
    expect(machine.takeLog()).toContain('before 0');
  });

  it('an NMI ends a HLT', () => {
    const { machine, vp, handlers } = start();
    handlers.halt(0);
    machine.recording.registers(0).rflags = 0x2;
    vp.requestInterrupt(0, DeliveryMode.Nmi, 0, false);
    vp.prepare();
    expect(machine.takeLog()).toEqual(expect.arrayContaining(['nmi 0', 'before 0']));
  });
});

describe('messages from the paravisor', () => {
  it('are posted one a scan while the slot is free, and wait while it is busy', () => {
    const { machine, vp, write } = start();
    const simp = 0x3000;
    write(HvMsr.Scontrol, 1n);
    write(HvMsr.Simp, BigInt(simp | 1));
    write(HvMsr.Sint0 + 2, BigInt(VECTOR));
    const message = (type: number): Uint8Array => {
      const bytes = new Uint8Array(256);
      bytes.set([type, 0, 0, 0, 8]);
      return bytes;
    };
    vp.postMessage(0, 2, message(1));
    vp.postMessage(0, 2, message(2));
    vp.prepare();
    const slot = simp + 2 * 256;
    expect(machine.memory.bytes[slot]).toBe(1);

    vp.complete(RunStatus.Finished);
    vp.prepare();
    expect(machine.memory.bytes[slot]).toBe(1);

    machine.memory.bytes.fill(0, slot, slot + 256);
    write(HvMsr.Eom, 0n);
    vp.complete(RunStatus.Finished);
    vp.prepare();
    expect(machine.memory.bytes[slot]).toBe(2);
  });
});

describe('the bounds of a message', () => {
  it('are checked when it is queued', () => {
    const { vp } = start();
    expect(() => vp.postMessage(0, 16, new Uint8Array(256))).toThrow(RangeError);
    expect(() => vp.postMessage(0, 2, new Uint8Array(255))).toThrow(RangeError);
  });
});

describe('the end of a VP', () => {
  it('a fatal exit is recorded once and stops the loop', () => {
    const { machine, paravisor, vp, handlers } = start();
    machine.vp.onRun = () => RunStatus.Finished;
    machine.recording.onExit = (vtl) => {
      handlers.fatal(vtl, 'triple fault');
      handlers.fatal(vtl, 'a later one');
    };
    expect(vp.run()).toEqual({ vp: 0, vtl: 0, reason: 'triple fault' });
    expect(vp.prepare()).toBe(false);
    expect(paravisor.fault?.reason).toBe('triple fault');
  });

  it('a run ioctl that fails ends the VP with its errno, and no exit is handled', () => {
    const { machine, vp } = start();
    machine.vp.onRun = () => RunStatus.Failed;
    machine.vp.runErrno = 5;
    expect(vp.run()?.reason).toContain('errno 5');
    expect(machine.takeLog()).not.toContain(`after 0 ${RunStatus.Failed}`);
  });
});
