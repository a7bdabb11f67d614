import { HvMsr, HvVpRegister, RunStatus, StateError, U64 } from '@paravisor/hcl-protocol';
import { describe, expect, it } from 'vitest';
import { ScriptedMachine } from '../../test/scripted-partition.js';
import { VsmGuest } from '../../test/vsm-guest.js';
import { HvCallCode } from '../hypercall/index.js';
import { createParavisor } from './index.js';
import type { ParavisorState } from './index.js';

const VECTOR = 0x50;
const ICR = 0x830;

/** Another partition of the same options, with the same memory, pages and time, that goes on from what JSON makes of the first one's state. */
function restored(from: VsmGuest, vps: number): VsmGuest {
  const guest = new VsmGuest({ vps });
  const text = JSON.stringify(from.paravisor.save());
  guest.machine.memory.bytes.set(from.machine.memory.bytes);
  for (const [index, vp] of guest.machine.vps.entries()) {
    vp.runPage.set(from.machine.vps[index]!.runPage);
    vp.tsc = from.machine.vps[index]!.tsc;
    for (const vtl of [0, 1]) {
      const saved = from.machine.recordings[index]!.registers(vtl);
      Object.assign(guest.machine.recordings[index]!.registers(vtl), { rip: saved.rip, rflags: saved.rflags, efer: saved.efer, cr0: saved.cr0 });
      guest.machine.recordings[index]!.registers(vtl).gpr.set(saved.gpr);
    }
  }
  guest.paravisor.restore(JSON.parse(text) as ParavisorState);
  guest.machine.takeLog();
  from.machine.takeLog();
  expect(JSON.stringify(guest.paravisor.save())).toBe(text);
  return guest;
}

/** What each step of a guest's life does to a partition. */
const steps: readonly ((guest: VsmGuest) => void)[] = [
  (guest) => guest.write(HvMsr.Simp, 0x3001n),
  (guest) => guest.write(HvMsr.Sint0 + 2, BigInt(VECTOR)),
  (guest) => guest.write(HvMsr.Stimer0Count, 9_000n),
  (guest) => guest.write(HvMsr.Stimer0Config, BigInt(3 | (2 << 16))),
  (guest) => guest.write(0x277, 0x0606060606060606n),
  (guest) => guest.round(),
  (guest) => {
    guest.machine.vp.tsc += 9_000n * 200n;
    guest.round();
  },
  (guest) => guest.paravisor.vps[0]!.postMessage(0, 2, Uint8Array.from({ length: 256 }, (_, i) => (i === 0 ? 7 : 0))),
  (guest) => guest.paravisor.vps[0]!.postMessage(0, 2, Uint8Array.from({ length: 256 }, (_, i) => (i === 0 ? 8 : 0))),
  (guest) => guest.paravisor.vps[0]!.prepare(),
  (guest) => guest.write(ICR, (1n << 32n) | 0x4000n | BigInt(VECTOR + 1)),
  (guest) => guest.startVp(1),
  (guest) => guest.paravisor.vps[0]!.requestInterrupt(0, 0, VECTOR + 2, false),
  (guest) => guest.paravisor.vps[0]!.complete(RunStatus.Cancelled),
  (guest) => guest.round(1),
  (guest) => guest.switchVtl(HvCallCode.VtlCall, 0),
  (guest) => guest.setRegister(HvVpRegister.PendingEvent0, 0, BigInt(1 | (6 << 16))),
  (guest) => guest.round(),
  (guest) => guest.machine.recording.context.handlers.halt(1),
  (guest) => guest.round(),
  (guest) => guest.switchVtl(HvCallCode.VtlReturn, 1),
  (guest) => guest.round(),
  (guest) => guest.machine.recording.context.handlers.fatal(0, 'triple fault'),
];

describe('saving and restoring a paravisor', () => {
  it('after any step of a life with timers, messages, VTLs and several VPs, the rest goes on as it would have', () => {
    for (let at = 0; at < steps.length; at++) {
      const guest = new VsmGuest({ vps: 2 }).withVtl1(0xd0);
      for (const step of steps.slice(0, at)) step(guest);
      const copy = restored(guest, 2);
      for (const [index, step] of steps.slice(at).entries()) {
        step(guest);
        step(copy);
        expect(copy.machine.takeLog(), `step ${at + index} after saving before step ${at}`).toEqual(guest.machine.takeLog());
      }
      expect(copy.paravisor.save()).toEqual(guest.paravisor.save());
      expect(copy.machine.memory.bytes.every((byte, i) => byte === guest.machine.memory.bytes[i])).toBe(true);
    }
  });

  it('a context that waits for its VP, and what VTL1 configured, are part of it', () => {
    const guest = new VsmGuest({ vps: 2 }).withVtl1();
    guest.setRegister(HvVpRegister.VsmPartitionConfig, 1, BigInt((1 << 6) | (15 << 1)));
    guest.startVp(1, 0, { vtl: 1 });
    const copy = restored(guest, 2);
    copy.round(1);
    expect(copy.machine.recordings[1]!.registers(0).rip).toBe(0x30_0000n);
    expect(copy.startVp(1, 0, { vtl: 1 })).toBe(guest.startVp(1, 0, { vtl: 1 }));
  });

  it('VmTime goes on where it was, and a timeout of the APIC timer that is set stays set', () => {
    const first = new ScriptedMachine();
    first.vp.tsc = 1_000_000n;
    const paravisor = createParavisor({ ...first.options, vmTimeOrigin: 500n });
    const { handlers } = first.recording.context;
    for (const [msr, value] of [[0x1b, 0xfee00d00n], [0x80f, 0x1ffn], [0x83e, 0xbn], [0x832, 0x50n], [0x838, 200_000n]] as const) handlers.writeMsr(0, msr, U64.of(value));
    paravisor.vps[0]!.prepare();
    expect(first.takeLog().filter((entry) => entry.startsWith('arm'))).toEqual(['arm 1500000']);

    const second = new ScriptedMachine();
    const copy = createParavisor(second.options);
    copy.restore(JSON.parse(JSON.stringify(paravisor.save())) as ParavisorState);
    second.vp.tsc = 1_100_000n;
    copy.vps[0]!.complete(RunStatus.Finished);
    second.takeLog();
    copy.vps[0]!.prepare();
    expect(second.takeLog().filter((entry) => entry.startsWith('arm'))).toEqual(['arm 1500000']);
    expect(copy.save()).toMatchObject({ vps: [{ vmTime: paravisor.save().vps[0]!.vmTime }] });
  });

  it('a state of other options is refused', () => {
    const state = new VsmGuest({ vps: 2 }).paravisor.save();
    expect(() => new VsmGuest({ vps: 3 }).paravisor.restore(state)).toThrow(StateError);
    expect(() => new VsmGuest({ vps: 2, guestVsm: false }).paravisor.restore(state)).toThrow(StateError);
  });
});
