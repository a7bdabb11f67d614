import { describe, expect, it } from 'vitest';
import { ScriptedMachine } from '../../test/scripted-partition.js';
import { createParavisor } from '../vp/index.js';
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
    expect(cpuid(0)[0]).toBe(0xb);
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

  it('a leaf without a rule passes through', () => {
    const machine = new ScriptedMachine();
    machine.vp.cpuidLeaves.set(0x80000008, [0x3028, 1, 2, 3]);
    expect(guest(machine)(0x80000008)).toEqual([0x3028, 1, 2, 3]);
  });
});
