import { HvMsr, U64, hvReferenceTscPageLayout, u64ToBigInt, viewOf } from '@paravisor/hcl-protocol';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { RAM_BYTES, ScriptedMachine, TSC_HZ } from '../../test/scripted-partition.js';
import { MsrStatus } from '../contract/index.js';
import { createParavisor } from '../vp/index.js';
import { hypercallCodeOffsets } from './index.js';
import type { FixedMsr } from './index.js';

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
    for (const msr of [0x2ff, 0x179, 0x40000106, 0xc0010015]) {
      expect(write(msr, 0x1234n)).toBe(Ok);
      expect(read(msr)).toBe(0n);
    }
  });

  it('the fixed MSRs of a backing read as they are, whatever is written, and refuse what the backing says', () => {
    const fixedMsrs = new Map<number, FixedMsr>([
      [0xfe, { value: 0x400, refuses: 'none' }],
      [0x8b, { value: -1, refuses: 'all' }],
      [0x17a, { value: 5, refuses: { lo: ~7, hi: -1 } }],
    ]);
    const { write, read } = guest(new ScriptedMachine({ fixedMsrs }));
    expect([write(0xfe, 1n), write(0x8b, 0n), write(0x17a, 7n), write(0x17a, 8n), write(0x17a, 1n << 32n)]).toEqual([Ok, GeneralProtection, Ok, GeneralProtection, GeneralProtection]);
    expect([read(0xfe), read(0x8b), read(0x17a)]).toEqual([0x400n, 0xffffffffn, 5n]);
  });

  it.each([
    ['TSC_ADJUST', 0x3b],
    ['a fixed-range MTRR', 0x250],
    ['a variable-range MTRR', 0x200],
    ['a machine-check bank', 0x400],
  ])('%s has no owner: it reads 0 whatever is written (openvmm)', (_name, msr) => {
    const { write, read } = guest();
    expect(write(msr, 0x123456789an)).toBe(Ok);
    expect(read(msr)).toBe(0n);
  });

  it('a VP’s VTLs share five crash parameters; the control reads what a crash can be told with, whatever is written (openvmm)', () => {
    const { write, read } = guest();
    for (let n = 0; n < 5; n++) expect(write(0x40000100 + n, BigInt(n) << 40n, n & 1)).toBe(Ok);
    expect([0, 1, 2, 3, 4].map((n) => read(0x40000100 + n, 1 - (n & 1)))).toEqual([0n, 1n << 40n, 2n << 40n, 3n << 40n, 4n << 40n]);
    expect([write(0x40000105, 1n << 63n), read(0x40000105)]).toEqual([Ok, 3n << 62n]);
  });

  it('a write of the TSC changes nothing (openvmm)', () => {
    const { machine, write, read } = guest();
    machine.vp.tsc = 1000n;
    expect(write(0x10, 7n)).toBe(Ok);
    expect(read(0x10)).toBe(1000n);
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

  const gpa = 0x5000;
  const pageOf = (machine: ScriptedMachine, at: number) => viewOf(hvReferenceTscPageLayout, machine.memory.bytes, at);

  it('the reference TSC page has the truncated scale, offset 0 and a sequence from 1; the MSR reads back as written', () => {
    const { machine, write, read } = guest();
    expect(write(HvMsr.ReferenceTsc, BigInt(gpa | 1))).toBe(Ok);
    const page = pageOf(machine, gpa);
    expect(page.sequence).toBe(1);
    expect(new U64().set(page.scale).toBigInt()).toBe((10_000_000n << 64n) / BigInt(TSC_HZ));
    expect(new U64().set(page.offset).isZero()).toBe(true);
    expect(read(HvMsr.ReferenceTsc)).toBe(BigInt(gpa | 1));
    write(HvMsr.ReferenceTsc, BigInt((gpa + 0x1000) | 1));
    expect(pageOf(machine, gpa + 0x1000).sequence).toBe(2);
  });

  it('a guest that reads time from the page and from the MSR at the same TSC sees the same, at every TSC', () => {
    const { machine, write, read } = guest();
    write(HvMsr.ReferenceTsc, BigInt(gpa | 1));
    const page = pageOf(machine, gpa);
    const scale = u64ToBigInt(page.scale);
    const offset = u64ToBigInt(page.offset);
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }), (tsc) => {
        machine.vp.tsc = tsc;
        expect(read(HvMsr.TimeRefCount)).toBe(BigInt.asUintN(64, ((tsc * scale) >> 64n) + offset));
      }),
    );
  });

  it('the page is written only where its frame number changes: enabling what was written disabled publishes nothing (openvmm hv.rs)', () => {
    const { machine, write, read } = guest();
    write(HvMsr.ReferenceTsc, BigInt(gpa));
    expect(write(HvMsr.ReferenceTsc, BigInt(gpa | 1))).toBe(Ok);
    expect(read(HvMsr.ReferenceTsc)).toBe(BigInt(gpa | 1));
    expect(pageOf(machine, gpa).sequence).toBe(0);
    write(HvMsr.ReferenceTsc, 1n);
    expect(pageOf(machine, 0).sequence).toBe(1);
  });

  it('hazard: a reference TSC page that is disabled and enabled again in place is not written again: the guest reads time from whatever it put there', () => {
    const { machine, write } = guest();
    write(HvMsr.ReferenceTsc, BigInt(gpa | 1));
    write(HvMsr.ReferenceTsc, BigInt(gpa));
    pageOf(machine, gpa).sequence = 77;
    pageOf(machine, gpa).scale.setParts(0, 0);
    write(HvMsr.ReferenceTsc, BigInt(gpa | 1));
    expect([pageOf(machine, gpa).sequence, u64ToBigInt(pageOf(machine, gpa).scale)]).toEqual([77, 0n]);
  });

  it.each([2n, 0x800n])('reserved bit %i of the reference TSC register is #GP', (bit) => {
    const { write, read } = guest();
    expect(write(HvMsr.ReferenceTsc, BigInt(gpa | 1) | bit)).toBe(GeneralProtection);
    expect(read(HvMsr.ReferenceTsc)).toBe(0n);
  });

  it('a reference TSC page outside RAM is #GP, and nothing changes', () => {
    const { write, read } = guest();
    expect(write(HvMsr.ReferenceTsc, BigInt(RAM_BYTES | 1))).toBe(GeneralProtection);
    expect(read(HvMsr.ReferenceTsc)).toBe(0n);
  });
});

describe('the hypercall page (TLFS "Establishing the Hypercall Interface"; openvmm hv.rs)', () => {
  const gpa = 0x6000;

  it.each([
    ['VMCALL on Intel', undefined, '0f01c1'],
    ['VMMCALL on AMD', AMD, '0f01d9'],
  ] as const)('holds %s and a RET, VTL call and return code behind it, and INT3 to its end', (_name, leaf0, call) => {
    const machine = new ScriptedMachine();
    if (leaf0 !== undefined) machine.vp.cpuidLeaves.set(0, leaf0);
    const { write } = guest(machine);
    expect(write(HvMsr.Hypercall, BigInt(gpa | 1))).toBe(Ok);
    const hex = (from: number, to: number): string => [...machine.memory.bytes.subarray(gpa + from, gpa + to)].map((byte) => byte.toString(16).padStart(2, '0')).join('');
    expect(hex(0, 4)).toBe(`${call}c3`);
    const { bits32, bits64 } = hypercallCodeOffsets;
    expect([bits32.call, bits64.call, bits32.return, bits64.return]).toEqual([0x04, 0x0f, 0x1b, 0x26]);
    // mov ecx, eax; mov eax, code; the call; ret
    expect(hex(bits32.call, bits64.call)).toBe(`89c1b811000000${call}c3`);
    expect(hex(bits32.return, bits64.return)).toBe(`89c1b812000000${call}c3`);
    // mov rax, rcx; mov ecx, code; the call; ret
    expect(hex(bits64.call, bits32.return)).toBe(`4889c8b911000000${call}c3`);
    expect(hex(bits64.return, 50)).toBe(`4889c8b912000000${call}c3`);
    expect(hex(50, 52)).toBe('cccc');
    expect(machine.memory.bytes[gpa + 4095]).toBe(0xcc);
  });

  it('is written when it is enabled and when it moves, and what was there does not come back', () => {
    const { machine, write, read } = guest();
    write(HvMsr.Hypercall, BigInt(gpa));
    expect([read(HvMsr.Hypercall), machine.memory.bytes[gpa]]).toEqual([BigInt(gpa), 0]);
    write(HvMsr.Hypercall, BigInt(gpa | 1));
    machine.memory.bytes[gpa] = 0x90;
    write(HvMsr.Hypercall, BigInt(gpa | 1));
    expect(machine.memory.bytes[gpa]).toBe(0x90);
    write(HvMsr.Hypercall, BigInt((gpa + 0x1000) | 1));
    expect([machine.memory.bytes[gpa], machine.memory.bytes[gpa + 0x1000]]).toEqual([0x90, 0x0f]);
  });

  it('needs no guest OS identity, and does not go with it, where TLFS ties the two together (openvmm)', () => {
    const { write, read } = guest();
    write(HvMsr.Hypercall, BigInt(gpa | 1));
    write(HvMsr.GuestOsId, 0x8100n);
    expect(read(HvMsr.GuestOsId)).toBe(0x8100n);
    write(HvMsr.GuestOsId, 0n);
    expect(read(HvMsr.Hypercall)).toBe(BigInt(gpa | 1));
  });

  it('is #GP outside RAM, with a reserved bit, and once locked', () => {
    const { write, read } = guest();
    expect(write(HvMsr.Hypercall, BigInt(RAM_BYTES | 1))).toBe(GeneralProtection);
    expect(write(HvMsr.Hypercall, BigInt(gpa | 5))).toBe(GeneralProtection);
    write(HvMsr.Hypercall, BigInt(gpa | 3));
    expect(write(HvMsr.Hypercall, 0x7001n)).toBe(GeneralProtection);
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

  it('the VP index is the VP’s number, the guest OS identity is kept as written', () => {
    const machine = new ScriptedMachine({ vps: 3 });
    createParavisor(machine.options);
    const out = new U64();
    const indices = machine.recordings.map(({ context: { handlers } }) => (handlers.readMsr(0, HvMsr.VpIndex, out), out.toBigInt()));
    expect(indices).toEqual([0n, 1n, 2n]);
    const { handlers } = machine.recordings[2]!.context;
    expect(handlers.writeMsr(0, HvMsr.GuestOsId, U64.of(0x8100_0006_0102_0304n))).toBe(Ok);
    handlers.readMsr(0, HvMsr.GuestOsId, out);
    expect(out.toBigInt()).toBe(0x8100_0006_0102_0304n);
  });

  it("APIC_BASE and x2APIC registers are the local APIC's", () => {
    const { write, read } = guest();
    expect(read(0x1b)).toBe(0xfee00900n);
    expect(write(0x1b, 0xfee00d00n)).toBe(Ok);
    expect(read(0x803)).toBe(0x50014n);
  });

  it('a SINT of VTL0 that the host serves lets its vector through to the driver, while it is not masked (openvmm update_proxy_irr_filter)', () => {
    const { machine, write } = guest();
    const blocked = new Uint32Array(machine.vp.runPage.buffer, 1588, 8);
    blocked.fill(0xffffffff);
    write(HvMsr.Sint0 + 2, 0x100062n);
    write(HvMsr.Sint0 + 3, 0x63n);
    write(HvMsr.Sint0 + 4, 0x100064n, 1);
    expect([...blocked]).toEqual([0xffffffff, 0xffffffff, 0xffffffff, 0xfffffffb, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff]);
    write(HvMsr.Sint0 + 2, 0x110062n);
    expect(blocked[3]).toBe(0xffffffff);
  });

  it('each VTL of a VP has an assist page of its own', () => {
    const { machine, write, read } = guest();
    machine.memory.bytes.fill(0xff, 0x8000, 0x9000);
    expect(write(HvMsr.VpAssistPage, 0x8001n)).toBe(Ok);
    expect([read(HvMsr.VpAssistPage), read(HvMsr.VpAssistPage, 1)]).toEqual([0x8001n, 0n]);
    expect(machine.memory.bytes[0x8fff]).toBe(0);
  });
});
