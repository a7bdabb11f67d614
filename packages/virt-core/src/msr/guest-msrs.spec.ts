import { HvMsr, U64, hvReferenceTscPageLayout, viewOf } from '@paravisor/hcl-protocol';
import { describe, expect, it } from 'vitest';
import { RAM_BYTES, ScriptedMachine, TSC_HZ } from '../../test/scripted-partition.js';
import { MsrStatus } from '../contract/index.js';
import { createParavisor } from '../vp/index.js';

const { Ok, GeneralProtection } = MsrStatus;
const AMD = [0x10, 0x68747541, 0x444d4163, 0x69746e65] as const;

function guest(machine = new ScriptedMachine()) {
  createParavisor(machine.options);
  const { handlers } = machine.recording.context;
  return {
    machine,
    write: (msr: number, value: bigint, vtl = 0) => handlers.writeMsr(vtl, msr, U64.of(value)),
    status: (msr: number) => handlers.readMsr(0, msr, new U64()),
    read: (msr: number, vtl = 0): bigint => {
      const out = new U64();
      expect(handlers.readMsr(vtl, msr, out)).toBe(Ok);
      return out.toBigInt();
    },
  };
}

describe('#GP rules (openvmm, TLFS)', () => {
  it.each([
    ['SVERSION', HvMsr.Sversion],
    ['VP index', HvMsr.VpIndex],
    ['the reference counter', HvMsr.TimeRefCount],
    ['the TSC frequency', HvMsr.TscFrequency],
    ['the APIC frequency', HvMsr.ApicFrequency],
  ])('%s cannot be written', (_name, msr) => {
    const { write, status } = guest();
    expect(write(msr, 0n)).toBe(GeneralProtection);
    expect(status(msr)).toBe(Ok);
  });

  it('EOI cannot be read, and TPR takes nothing above 0xff', () => {
    const { write, status } = guest();
    expect(status(HvMsr.Eoi)).toBe(GeneralProtection);
    expect(write(HvMsr.Tpr, 0xffn)).toBe(Ok);
    expect(write(HvMsr.Tpr, 0x100n)).toBe(GeneralProtection);
  });

  it('an MSR nobody knows reads 0 and ignores writes', () => {
    const { write, read } = guest();
    for (const msr of [0x2ff, 0x179, 0x40000105, 0xc0010015]) {
      expect(write(msr, 0x1234n)).toBe(Ok);
      expect(read(msr)).toBe(0n);
    }
  });

  it('a PAT with a reserved memory type is refused (SDM volume 3, 13.12.4)', () => {
    const { write, read } = guest();
    expect(read(0x277)).toBe(0x0007040600070406n);
    expect(write(0x277, 0x0007040600070402n)).toBe(GeneralProtection);
    expect(write(0x277, 0x0007050600070406n)).toBe(Ok);
    expect(read(0x277)).toBe(0x0007050600070406n);
  });
});

describe('time registers', () => {
  it('the reference counter is virtual TSC in 100 ns, and the frequencies are those of TSC and APIC timer', () => {
    const { machine, read } = guest();
    machine.vp.tsc = 12_345n * 200n + 1n;
    expect(read(HvMsr.TimeRefCount)).toBe(12_345n);
    expect(read(HvMsr.TscFrequency)).toBe(BigInt(TSC_HZ));
    expect(read(HvMsr.ApicFrequency)).toBe(200_000_000n);
  });

  it('the reference TSC page has the truncated scale, offset 0 and a sequence from 1; the MSR reads back as written', () => {
    const { machine, write, read } = guest();
    const gpa = 0x5000;
    const page = () => viewOf(hvReferenceTscPageLayout, machine.memory.bytes, gpa);
    expect(write(HvMsr.ReferenceTsc, BigInt(gpa | 1))).toBe(Ok);
    expect(page().sequence).toBe(1);
    expect(new U64().set(page().scale).toBigInt()).toBe((10_000_000n << 64n) / BigInt(TSC_HZ));
    expect(new U64().set(page().offset).isZero()).toBe(true);
    expect(read(HvMsr.ReferenceTsc)).toBe(BigInt(gpa | 1));

    write(HvMsr.ReferenceTsc, BigInt(gpa | 1));
    expect(page().sequence).toBe(2);
  });

  it('a reference TSC page outside RAM is #GP, and nothing changes', () => {
    const { write, read } = guest();
    expect(write(HvMsr.ReferenceTsc, BigInt(RAM_BYTES | 1))).toBe(GeneralProtection);
    expect(read(HvMsr.ReferenceTsc)).toBe(0n);
  });
});

describe('the hypercall page (TLFS "Establishing the Hypercall Interface")', () => {
  const gpa = 0x6000;

  it.each([
    ['VMCALL on Intel', undefined, [0x0f, 0x01, 0xc1, 0xc3, 0xcc]],
    ['VMMCALL on AMD', AMD, [0x0f, 0x01, 0xd9, 0xc3, 0xcc]],
  ] as const)('holds %s, a RET, and INT3 behind', (_name, leaf0, code) => {
    const machine = new ScriptedMachine();
    if (leaf0 !== undefined) machine.vp.cpuidLeaves.set(0, leaf0);
    const { write } = guest(machine);
    write(HvMsr.GuestOsId, 1n);
    expect(write(HvMsr.Hypercall, BigInt(gpa | 1))).toBe(Ok);
    expect([...machine.memory.bytes.subarray(gpa, gpa + 5)]).toEqual(code);
    expect(machine.memory.bytes[gpa + 4095]).toBe(0xcc);
  });

  it('cannot be enabled without a guest OS identity, and goes with it', () => {
    const { machine, write, read } = guest();
    write(HvMsr.Hypercall, BigInt(gpa | 1));
    expect(read(HvMsr.Hypercall)).toBe(BigInt(gpa));
    expect(machine.memory.bytes[gpa]).toBe(0);

    write(HvMsr.GuestOsId, 1n);
    write(HvMsr.Hypercall, BigInt(gpa | 1));
    write(HvMsr.GuestOsId, 0n);
    expect(read(HvMsr.Hypercall)).toBe(BigInt(gpa));
  });

  it('stays once locked, and is #GP outside RAM', () => {
    const { write, read } = guest();
    write(HvMsr.GuestOsId, 1n);
    expect(write(HvMsr.Hypercall, BigInt(RAM_BYTES | 1))).toBe(GeneralProtection);
    write(HvMsr.Hypercall, BigInt(gpa | 3));
    expect(write(HvMsr.Hypercall, 0x7001n)).toBe(Ok);
    expect(read(HvMsr.Hypercall)).toBe(BigInt(gpa | 3));
  });
});

describe('whose registers', () => {
  it('VTL0 and VTL1 have registers of their own', () => {
    const { write, read } = guest();
    write(HvMsr.GuestOsId, 0x11n, 0);
    write(HvMsr.GuestOsId, 0x22n, 1);
    write(HvMsr.Sint0 + 3, 0x33n, 1);
    expect(read(HvMsr.GuestOsId, 0)).toBe(0x11n);
    expect(read(HvMsr.GuestOsId, 1)).toBe(0x22n);
    expect(read(HvMsr.Sint0 + 3, 0)).toBe(0x10000n);
    expect(read(HvMsr.Sint0 + 3, 1)).toBe(0x33n);
  });

  it("APIC_BASE and x2APIC registers are the local APIC's", () => {
    const { write, read } = guest();
    expect(read(0x1b)).toBe(0xfee00900n);
    expect(write(0x1b, 0xfee00d00n)).toBe(Ok);
    expect(read(0x803)).toBe(0x50014n);
  });

  it('the VP assist page register is plain storage', () => {
    const { write, read } = guest();
    write(HvMsr.VpAssistPage, 0x8001n);
    expect(read(HvMsr.VpAssistPage)).toBe(0x8001n);
  });
});
