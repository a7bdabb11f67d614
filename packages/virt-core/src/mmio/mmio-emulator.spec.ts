import { describe, expect, it } from 'vitest';
import { RAM_BYTES, ScriptedMachine } from '../../test/scripted-partition.js';
import type { PlainRegisters } from '../../test/scripted-partition.js';
import { EmulationStatus, Segment } from '../contract/index.js';
import { createParavisor } from '../vp/index.js';

const RAX = 0;
const RCX = 1;
const RDX = 2;
const RSI = 6;
const RDI = 7;

/** Page-table entry bits. */
const P = 1n;
const RW = 2n;
const US = 4n;
const ACCESSED = 1n << 5n;
const DIRTY = 1n << 6n;
const NX = 1n << 63n;

const PML4 = 0x1000;
const PDPT = 0x2000;
const PD = 0x3000;
const PT = 0x4000;
/** Code lies here, linear = physical. */
const CODE = 0x8000;
const DEVICE = 0xd000_0000;
/** Linear pages, mapped below. */
const DEVICE_LINEAR = 0x10_0000n;
const APIC_LINEAR = 0x10_1000n;
const UNMAPPED = 0x10_2000n;
const RAM_LINEAR = 0x9000n;

/**
 * A guest in 64-bit mode about to execute `code`: RAM up to 1 MiB mapped one to one, then a device page, the APIC page, and nothing. One page table, so
 * everything is within 2 MiB.
 */
function guest(code: readonly number[], at = CODE) {
  const machine = new ScriptedMachine();
  const entries = new DataView(machine.memory.bytes.buffer);
  const link = (entry: number, target: number): void => entries.setBigUint64(entry, BigInt(target) | P | RW | US, true);
  link(PML4, PDPT);
  link(PDPT, PD);
  link(PD, PT);
  for (let page = 0; page < RAM_BYTES / 4096; page++) link(PT + 8 * page, 4096 * page);
  link(PT + 8 * 0x100, DEVICE);
  link(PT + 8 * 0x101, 0xfee0_0000);

  const paravisor = createParavisor(machine.options);
  const registers = machine.recording.registers(0);
  registers.rip = BigInt(at);
  registers.cr3 = BigInt(PML4);
  machine.memory.write(at, Uint8Array.from(code));
  machine.takeLog();
  return {
    machine,
    paravisor,
    registers,
    chipset: machine.chipset,
    emulate: () => machine.recording.context.handlers.emulateMmio(0, DEVICE),
    entry: (page: number) => entries.getBigUint64(PT + 8 * page, true),
    setEntry: (page: number, value: bigint) => entries.setBigUint64(PT + 8 * page, value, true),
  };
}

/** mov [rdi], eax */
const STORE32 = [0x89, 0x07];
/** mov rax, [rsi] */
const LOAD64 = [0x48, 0x8b, 0x06];

describe('device accesses', () => {
  it('a store reaches the chipset once, with its size, and RIP moves behind it', () => {
    const { registers, chipset, emulate } = guest(STORE32);
    registers.gpr[RDI] = DEVICE_LINEAR + 0x10n;
    registers.gpr[RAX] = 0x1_2345_6789n;
    expect(emulate()).toBe(EmulationStatus.Done);
    expect(chipset.log).toEqual(['write 0xd0000010 4 0x23456789']);
    expect(registers.rip).toBe(BigInt(CODE + STORE32.length));
  });

  it('a load reads the whole operand at once', () => {
    const { registers, chipset, emulate } = guest(LOAD64);
    chipset.values.set(DEVICE + 8, 0x1122334455667788n);
    registers.gpr[RSI] = DEVICE_LINEAR + 8n;
    expect(emulate()).toBe(EmulationStatus.Done);
    expect(chipset.log).toEqual(['read 0xd0000008 8']);
    expect(registers.gpr[RAX]).toBe(0x1122334455667788n);
  });

  it("the VTL's xAPIC page is its local APIC's, not the chipset's", () => {
    const { registers, chipset, emulate } = guest([0x8b, 0x06]); // mov eax, [rsi]
    registers.gpr[RSI] = APIC_LINEAR + 0x30n;
    expect(emulate()).toBe(EmulationStatus.Done);
    expect(registers.gpr[RAX]).toBe(0x50014n);
    expect(chipset.log).toEqual([]);
  });

  it('one instruction may touch RAM and a device: MOVS copies between them', () => {
    const { machine, registers, chipset, emulate } = guest([0xa5]); // movsd
    machine.memory.write(Number(RAM_LINEAR), Uint8Array.of(0x78, 0x56, 0x34, 0x12));
    registers.gpr[RSI] = RAM_LINEAR;
    registers.gpr[RDI] = DEVICE_LINEAR;
    expect(emulate()).toBe(EmulationStatus.Done);
    expect(chipset.log).toEqual(['write 0xd0000000 4 0x12345678']);
    expect([registers.gpr[RSI], registers.gpr[RDI]]).toEqual([RAM_LINEAR + 4n, DEVICE_LINEAR + 4n]);
  });

  it('REP goes one iteration an exit: RIP stays until the last', () => {
    const { registers, chipset, emulate } = guest([0xf3, 0xaa]); // rep stosb
    registers.gpr[RDI] = DEVICE_LINEAR;
    registers.gpr[RCX] = 2n;
    registers.gpr[RAX] = 0x5an;
    expect(emulate()).toBe(EmulationStatus.Done);
    expect([registers.rip, registers.gpr[RCX]]).toEqual([BigInt(CODE), 1n]);
    expect(emulate()).toBe(EmulationStatus.Done);
    expect([registers.rip, registers.gpr[RCX]]).toEqual([BigInt(CODE + 2), 0n]);
    expect(chipset.log).toEqual(['write 0xd0000000 1 0x5a', 'write 0xd0000001 1 0x5a']);
  });

  it('an access across two pages goes byte by byte, each to its own page', () => {
    const { machine, registers, chipset, emulate } = guest(STORE32);
    registers.gpr[RDI] = 0xf_fffen;
    registers.gpr[RAX] = 0x44332211n;
    expect(emulate()).toBe(EmulationStatus.Done);
    expect([...machine.memory.bytes.subarray(0xf_fffe, 0x10_0000)]).toEqual([0x11, 0x22]);
    expect(chipset.log).toEqual(['write 0xd0000000 1 0x33', 'write 0xd0000001 1 0x44']);
  });

  it('an instruction across two pages is fetched through both translations', () => {
    const { machine, registers, chipset, emulate, setEntry } = guest([STORE32[0]!], 0xbfff);
    // The linear page behind is another page of RAM.
    setEntry(0xc, 0x5_0000n | P | RW | US);
    machine.memory.write(0x5_0000, Uint8Array.of(STORE32[1]!));
    registers.gpr[RDI] = DEVICE_LINEAR;
    expect(emulate()).toBe(EmulationStatus.Done);
    expect(chipset.log).toEqual(['write 0xd0000000 4 0x0']);
    expect(registers.rip).toBe(0xc001n);
  });

  it('the page behind is not touched by an instruction that ends before it', () => {
    const { registers, emulate, setEntry } = guest(STORE32, 0xbffe);
    setEntry(0xc, 0n);
    registers.gpr[RDI] = DEVICE_LINEAR;
    expect(emulate()).toBe(EmulationStatus.Done);
  });
});

describe("the guest's own page tables", () => {
  it('accessed bits are set by a load, dirty bits too by a store, as the processor would', () => {
    const load = guest(LOAD64);
    load.registers.gpr[RSI] = DEVICE_LINEAR;
    load.emulate();
    expect(load.entry(0x100) & (ACCESSED | DIRTY)).toBe(ACCESSED);
    expect(load.entry(CODE / 4096) & (ACCESSED | DIRTY)).toBe(ACCESSED);

    const store = guest(STORE32);
    store.registers.gpr[RDI] = DEVICE_LINEAR;
    store.emulate();
    expect(store.entry(0x100) & (ACCESSED | DIRTY)).toBe(ACCESSED | DIRTY);
  });

  it.each([
    ['a page that is not present, written', STORE32, UNMAPPED, 0b00010],
    ['a page that is not present, read', LOAD64, UNMAPPED, 0b00000],
  ])("%s, is the guest's own #PF with CR2, and nothing else happens", (_name, code, linear, errorCode) => {
    const { machine, registers, chipset, emulate } = guest(code);
    registers.gpr[RDI] = linear;
    registers.gpr[RSI] = linear;
    expect(emulate()).toBe(EmulationStatus.Faulted);
    expect(machine.takeLog()).toEqual([`exception 0 14 ${errorCode}`]);
    expect(registers.cr2).toBe(linear);
    expect(registers.rip).toBe(BigInt(CODE));
    expect(chipset.log).toEqual([]);
  });

  it('a write-protected device page faults by CR0.WP and CPL', () => {
    const { machine, registers, emulate, setEntry } = guest(STORE32);
    setEntry(0x100, BigInt(DEVICE) | P | US);
    registers.gpr[RDI] = DEVICE_LINEAR;
    expect(emulate()).toBe(EmulationStatus.Faulted);
    registers.currentCpl = 3;
    registers.cr0 &= ~(1n << 16n);
    expect(emulate()).toBe(EmulationStatus.Faulted);
    expect(machine.takeLog()).toEqual([`exception 0 14 ${0b00011}`, `exception 0 14 ${0b00111}`]);
    registers.currentCpl = 0;
    expect(emulate()).toBe(EmulationStatus.Done);
  });

  it('code in a no-execute page faults as a fetch', () => {
    const { machine, registers, emulate, setEntry } = guest(STORE32);
    setEntry(CODE / 4096, BigInt(CODE) | P | RW | US | NX);
    registers.gpr[RDI] = DEVICE_LINEAR;
    expect(emulate()).toBe(EmulationStatus.Faulted);
    expect(machine.takeLog()).toEqual([`exception 0 14 ${0b10001}`]);
  });

  it('a fault in the middle of a page-crossing store writes nothing, and CR2 is the second page', () => {
    const { machine, registers, chipset, emulate } = guest(STORE32);
    registers.gpr[RDI] = UNMAPPED - 2n;
    expect(emulate()).toBe(EmulationStatus.Faulted);
    expect(registers.cr2).toBe(UNMAPPED);
    expect(chipset.log).toEqual([]);
    expect(machine.takeLog()).toEqual([`exception 0 14 ${0b00010}`]);
  });
});

describe('an instruction that cannot be emulated', () => {
  it.each([
    ['a table load', [0x0f, 0x01, 0x17] /* lgdt [rdi] */, () => {}],
    ['a push outside 64-bit mode', [0xff, 0x37] /* push dword ptr [edi] */, (registers: PlainRegisters) => legacy(registers, 0xc09b)],
  ])('%s is #UD for the guest (openvmm `emulate`)', (_name, code, adjust) => {
    const { machine, registers, chipset, emulate } = guest(code);
    registers.gpr[RDI] = DEVICE_LINEAR;
    adjust(registers);
    expect(emulate()).toBe(EmulationStatus.Faulted);
    expect([registers.rip, chipset.log]).toEqual([BigInt(CODE), []]);
    expect(machine.takeLog()).toEqual(['exception 0 6 -1']);
  });
});

describe('a single step over an emulated instruction', () => {
  it('is a #DB behind it, and ends stepping: the flags that the handler returns to have no TF (openvmm x86emu)', () => {
    const { machine, registers, emulate } = guest(STORE32);
    registers.gpr[RDI] = DEVICE_LINEAR;
    registers.rflags |= 0x100;
    expect(emulate()).toBe(EmulationStatus.Done);
    expect([registers.rip, registers.rflags & 0x100]).toEqual([BigInt(CODE + STORE32.length), 0]);
    expect(machine.takeLog()).toEqual(['exception 0 1 -1']);
  });

  it('comes after the last iteration of a REP (openvmm x86emu)', () => {
    const { machine, registers, emulate } = guest([0xf3, 0xaa]); // rep stosb
    registers.gpr[RDI] = DEVICE_LINEAR;
    registers.gpr[RCX] = 2n;
    registers.rflags |= 0x100;
    emulate();
    expect(machine.takeLog()).toEqual([]);
    emulate();
    expect(machine.takeLog()).toEqual(['exception 0 1 -1']);
  });
});

describe('what ends the VP', () => {
  it('a page table outside RAM is named in the fault', () => {
    const { paravisor, registers, emulate } = guest(STORE32);
    registers.gpr[RDI] = DEVICE_LINEAR;
    registers.cr3 = BigInt(RAM_BYTES);
    expect(emulate()).toBe(EmulationStatus.Fatal);
    expect(paravisor.fault?.reason).toMatch(/page table at guest physical address 0x100000 lies outside RAM/);
  });
});

/** Puts the registers into real or protected mode without paging, with code of these attributes. */
function legacy(registers: PlainRegisters, attributes: number): void {
  registers.cr0 = 0x11n;
  registers.cr4 = 0n;
  registers.efer = 0n;
  registers.segments[Segment.Cs]!.attributes = attributes;
  registers.gpr[RDI] = BigInt(DEVICE);
}

describe('16- and 32-bit code', () => {
  it('reaches devices through the bases of its segments, with and without paging', () => {
    const { registers, chipset, emulate } = guest([0x36, 0x89, 0x07]); // mov ss:[edi], eax
    legacy(registers, 0xc09b);
    registers.segments[Segment.Ss]!.base.setNumber(0x1000);
    registers.gpr[RDI] = 0xffff_ffff_0000_0000n + BigInt(DEVICE) - 0x1000n + 4n;
    registers.gpr[RAX] = 0x9_8765_4321n;
    expect(emulate()).toBe(EmulationStatus.Done);
    expect(chipset.log).toEqual(['write 0xd0000004 4 0x87654321']);
    expect(registers.rip).toBe(BigInt(CODE + 3));
  });

  it('finds instructions through CS, and reads 16-bit operands of 16-bit code', () => {
    const { registers, chipset, emulate } = guest([0x67, 0x8b, 0x07]); // mov ax, [edi]
    legacy(registers, 0x9b);
    registers.segments[Segment.Cs]!.base.setNumber(CODE - 0x10);
    registers.rip = 0x10n;
    chipset.values.set(DEVICE, 0x1234n);
    registers.gpr[RAX] = 0xffff_0000n;
    expect(emulate()).toBe(EmulationStatus.Done);
    expect([chipset.log, registers.gpr[RAX], registers.rip]).toEqual([['read 0xd0000000 2'], 0xffff_1234n, 0x13n]);
  });

  it('walks two-level tables (SDM volume 3, 4.3)', () => {
    const { machine, registers, chipset, emulate } = guest([0xf3, 0xaa]); // rep stosb
    legacy(registers, 0xc09b);
    registers.cr0 = 0x8001_0011n;
    registers.cr4 = 0x10n;
    registers.cr3 = 0x6000n;
    const directory = new DataView(machine.memory.bytes.buffer);
    directory.setUint32(0x6000, 0x83, true);
    directory.setUint32(0x6004, DEVICE | 0x83, true);
    registers.gpr[RDI] = 0x40_0000n;
    registers.gpr[RCX] = 2n;
    expect([emulate(), emulate()]).toEqual([EmulationStatus.Done, EmulationStatus.Done]);
    expect(chipset.log).toEqual(['write 0xd0000000 1 0x0', 'write 0xd0000001 1 0x0']);
    expect(registers.rip).toBe(BigInt(CODE + 2));
  });
});

describe('string port I/O', () => {
  it('OUTS writes RAM to the port, INS the port to RAM', () => {
    const out = guest([0x6e]); // outsb
    out.machine.memory.write(Number(RAM_LINEAR), Uint8Array.of(0x41));
    out.registers.gpr[RSI] = RAM_LINEAR;
    out.registers.gpr[RDX] = 0x3f8n;
    expect(out.machine.recording.context.handlers.emulateStringIo(0)).toBe(EmulationStatus.Done);
    expect(out.chipset.log).toEqual(['out 0x3f8 1 0x41']);

    const input = guest([0x6d]); // insd
    input.registers.gpr[RDI] = RAM_LINEAR;
    input.registers.gpr[RDX] = 0x60n;
    expect(input.machine.recording.context.handlers.emulateStringIo(0)).toBe(EmulationStatus.Done);
    expect([...input.machine.memory.bytes.subarray(Number(RAM_LINEAR), Number(RAM_LINEAR) + 4)]).toEqual([0xff, 0xff, 0xff, 0xff]);
  });
});
