import { describe, expect, it } from 'vitest';
import { ScriptedMachine } from '../../test/scripted-partition.js';
import { createParavisor } from '../vp/index.js';
import { wholeLeaf } from './index.js';
import type { LeafMasks } from './index.js';
import type { ParavisorOptions } from '../vp/index.js';

const X2APIC = 1 << 21;
const TSC_DEADLINE = 1 << 24;
const XSAVE = 1 << 26;
const OSXSAVE = 1 << 27;
const HYPERVISOR = 1 << 31;

function guest(machine = new ScriptedMachine(), options: Partial<ParavisorOptions> = {}) {
  createParavisor({ ...machine.options, ...options });
  const { handlers } = machine.recording.context;
  /** EAX EBX ECX EDX, unsigned. */
  return (leaf: number, subleaf = 0): number[] => {
    const out = new Int32Array(4);
    handlers.cpuid(0, leaf, subleaf, out);
    return [...new Uint32Array(out.buffer)];
  };
}

/** Three registers as the text they spell. */
const text = (registers: number[]): string => new TextDecoder().decode(new Uint8Array(Uint32Array.from(registers).buffer));

describe('hypervisor leaves (TLFS, values of openvmm)', () => {
  it('0x40000000 and 0x40000001 name the hypervisor and its last leaf', () => {
    const cpuid = guest();
    const [max, ...vendor] = cpuid(0x40000000);
    expect(max).toBe(0x4000000c);
    expect(text(vendor)).toBe('Microsoft Hv');
    expect(text(cpuid(0x40000001).slice(0, 1))).toBe('Hv#1');
  });

  it('0x40000003 to 0x40000005 give features, enlightenments and limits', () => {
    const cpuid = guest(new ScriptedMachine({ enlightenments: 0xe2c }));
    expect(cpuid(0x40000003)).toEqual([0xe7e, 0x6b8000, 0, 0x4018c530]);
    expect(cpuid(0x40000004)).toEqual([0xe2c, 0xffffffff, 0, 0]);
    expect(cpuid(0x40000005)).toEqual([2048, 2048, 0, 0]);
  });

  it('0x4000000C says which isolation, in EBX 3:0, with a paravisor present', () => {
    expect(guest(new ScriptedMachine({ isolationType: 2 }))(0x4000000c)).toEqual([1, 2, 0, 0]);
    expect(guest(new ScriptedMachine({ isolationType: 3 }))(0x4000000c)).toEqual([1, 3, 0, 0]);
  });

  it('end before the isolation leaf when isolation is hidden', () => {
    const cpuid = guest(new ScriptedMachine(), { hideIsolation: true });
    expect(cpuid(0x40000000)[0]).toBe(0x40000005);
    expect(cpuid(0x4000000c)).toEqual([0, 0, 0, 0]);
  });

  it("0x40000002 is the host's own version", () => {
    const machine = new ScriptedMachine();
    machine.vp.cpuidLeaves.set(0x40000002, [0x6585, 0x000a0000, 0, 0]);
    expect(guest(machine)(0x40000002)).toEqual([0x6585, 0x000a0000, 0, 0]);
  });
});

describe('native leaves', () => {
  it('leaf 1 gains x2APIC and hypervisor present, and loses the TSC deadline the emulated APIC timer has not', () => {
    const machine = new ScriptedMachine();
    machine.vp.cpuidLeaves.set(1, [0x806f8, 0x7f30800, TSC_DEADLINE | 1, 0x1234]);
    const [eax, ebx, ecx, edx] = guest(machine)(1);
    expect([eax, edx]).toEqual([0x806f8, 0x1234]);
    expect(ecx).toBe((HYPERVISOR | X2APIC | 1) >>> 0);
    expect(ebx).toBe(0x10800); // one logical processor, APIC ID 0; the cache line size is the processor's
  });

  it("leaf 1 mirrors the guest's CR4.OSXSAVE, not VTL2's", () => {
    const machine = new ScriptedMachine();
    machine.vp.cpuidLeaves.set(1, [0, 0, XSAVE | OSXSAVE, 0]);
    const cpuid = guest(machine);
    expect(cpuid(1)[2]! & OSXSAVE).toBe(0);
    machine.recording.registers(0).cr4 |= 1n << 18n;
    expect(cpuid(1)[2]! & OSXSAVE).toBe(OSXSAVE);
  });

  it('leaf 0xB describes one thread a core, whatever the last leaf of the processor: openvmm requires it of every one', () => {
    const machine = new ScriptedMachine();
    machine.vp.cpuidLeaves.set(0, [7, 0, 0, 0]);
    const cpuid = guest(machine);
    expect(cpuid(0xb, 0)).toEqual([0, 1, 0x100, 0]);
    expect(cpuid(0xb, 1)).toEqual([0, 1, 0x201, 0]);
    expect(cpuid(0xb, 2)).toEqual([0, 0, 2, 0]);
  });

  it('several VPs are cores of one package: their number in leaf 1 and leaf 0xB, their APIC ids their indices', () => {
    const machine = new ScriptedMachine({ vps: 6 });
    createParavisor(machine.options);
    const out = new Int32Array(4);
    const cpuid = (vp: number, leaf: number, subleaf: number): number[] => {
      machine.recordings[vp]!.context.handlers.cpuid(0, leaf, subleaf, out);
      return [...new Uint32Array(out.buffer)];
    };
    const [, ebx, , edx] = cpuid(5, 1, 0);
    expect([(ebx! >>> 16) & 0xff, ebx! >>> 24, (edx! >>> 28) & 1]).toEqual([6, 5, 1]);
    expect(cpuid(5, 0xb, 0)).toEqual([0, 1, 0x100, 5]);
    expect(cpuid(5, 0xb, 1)).toEqual([3, 6, 0x201, 5]);
  });

  it('SVM is not offered to a guest', () => {
    const machine = new ScriptedMachine();
    machine.vp.cpuidLeaves.set(0x80000001, [0, 0, 0b101, 0]);
    machine.vp.cpuidLeaves.set(0x8000000a, [1, 8, 0, 0xff]);
    const cpuid = guest(machine);
    expect(cpuid(0x80000001)[2]).toBe(1);
    expect(cpuid(0x8000000a)).toEqual([0, 0, 0, 0]);
  });

  it.each([
    [1, [0x0fff3fff, 0x10800, 0xfefa3203, 0x078bfbff]],
    [7, [0xffffffff, 0xf1bf27a9, 0x1a405fe6, 0x804110]],
    [0xd, [0xe7, 0xffffffff, 0xffffffff, 0]],
    [0x80000001, [0x0fff3fff, 0xf000ffff, 0x410df3, 0xedd3fbff]],
    [0x80000008, [0xffff, 0, 0, 0]],
    [0x12, [0, 0, 0, 0]],
    [0x80000021, [0, 0, 0, 0]],
  ])('of a processor that has everything, leaf 0x%x shows what is known, and no TSC deadline, MONITOR or TSC_ADJUST (openvmm leaf_mask)', (leaf, expected) => {
    const machine = new ScriptedMachine();
    machine.vp.cpuidLeaves.set(leaf, [-1, -1, -1, -1]);
    const answer = guest(machine)(leaf);
    // OSXSAVE is the guest's, APIC ID and count of processors are the paravisor's.
    if (leaf === 1) expect([answer[0], answer[1]! & 0xff00, answer[2]! & ~OSXSAVE, answer[3]! & ~(1 << 28)]).toEqual([expected[0], 0xff00, expected[2]! & ~OSXSAVE, expected[3]]);
    else expect(answer).toEqual(expected);
  });

  it('the last leaves are those of the backing, and what it adds passes, for its subleaves', () => {
    const additionalLeaves = new Map<number, LeafMasks>([
      [0x80000008, [0, 1, 2, 4]],
      [0x1d, (subleaf) => (subleaf <= 1 ? wholeLeaf : undefined)],
    ]);
    const machine = new ScriptedMachine({ nativeCpuid: { maxBasicLeaf: 0x20, maxExtendedLeaf: 0x80000026 | 0, additionalLeaves } });
    for (const leaf of [0, 0x1d, 0x80000000, 0x80000008]) machine.vp.cpuidLeaves.set(leaf, [-1, -1, -1, -1]);
    const cpuid = guest(machine);
    expect([cpuid(0)[0], cpuid(0x80000000)[0]]).toEqual([0x20, 0x80000026]);
    expect(cpuid(0x80000008)).toEqual([0xffff, 1, 2, 4]);
    expect([cpuid(0x1d, 1)[0], cpuid(0x1d, 2)[0]]).toEqual([0xffffffff, 0]);
  });
});
