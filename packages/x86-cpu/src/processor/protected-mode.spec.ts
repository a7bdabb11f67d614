import { describe, expect, it } from 'vitest';
import { code, CODE, DATA, Guest, HANDLERS, IDT, Reg, RSP0, Selector, STACK, TSS } from '../../test/guest.js';
import { stateLayout, Stop } from '../index.js';

/** A descriptor for the guest's GDT behind its own. */
const EXTRA = 0x50;

/** A 32-bit guest at privilege 0, whose exceptions go to HLTs of their own, on the stack that the TSS names. */
function protectedGuest(bytes: Uint8Array): Guest {
  const guest = new Guest().protect().load(bytes);
  for (let vector = 0; vector < 32; vector++) guest.gate32(vector, HANDLERS + 16 * vector);
  guest.memory.writeRam32(TSS + 4, RSP0);
  guest.memory.writeRam32(TSS + 8, Selector.kernelData);
  return guest;
}

/** The same in ring 3. */
function userGuest(bytes: Uint8Array): Guest {
  const guest = protectedGuest(bytes);
  guest.segment(1, Selector.userCode32 | 3, 0xc0fb);
  for (const data of [0, 2, 3, 4, 5]) guest.segment(data, Selector.userData | 3, 0xc0f3);
  guest.processor.stateChanged();
  return guest;
}

function words(guest: Guest, gpa: number, count: number): number[] {
  return Array.from({ length: count }, (_, i) => guest.memory.readRam32(gpa + 4 * i));
}

function selector(guest: Guest, segment: number): number {
  return guest.view.getUint16(stateLayout.segments + segment * stateLayout.segmentSize, true);
}

/** Descriptor halves: limit in bytes or pages, access byte, and G, D in bits 3 and 2 of the flags. */
function descriptor(base: number, limit: number, access: number, flags: number): [number, number] {
  return [(limit & 0xffff) | ((base & 0xffff) << 16), ((base >>> 16) & 0xff) | (access << 8) | (limit & 0xf0000) | (flags << 20) | (base & 0xff000000)];
}

describe('segments of protected mode (SDM volume 3, 5.3 and 5.5)', () => {
  it.each([
    ['the last byte inside', 0x0ffc, -1],
    ['a byte across the limit', 0x0ffd, 13],
    ['the end of the address space', 0xfffffffd, 13],
  ])('an access at %s of a segment with a base and a limit', (_name, offset, vector) => {
    const guest = protectedGuest(code('b8 50 00 00 00 8e d8 8b 03 8b 15 00 00 00 00 f4' /* mov eax, 0x50; mov ds, eax; mov eax, [ebx]; mov edx, ds:[0]; hlt */));
    guest.describe(EXTRA, ...descriptor(DATA, 0xfff, 0x93, 4));
    guest.memory.writeRam32(DATA + 0xffc, 0x12345678);
    guest.memory.writeRam32(DATA, 7);
    guest.setReg(Reg.rbx, BigInt(offset));
    guest.finish();
    expect(guest.handled).toBe(vector);
    if (vector < 0) expect([guest.reg(Reg.rax), guest.reg(Reg.rdx)]).toEqual([0x12345678n, 7n]);
    else expect(words(guest, STACK - 16, 2)).toEqual([0, CODE + 7]);
  });

  it.each([
    ['read-only data may not be written', 0x91, code('b8 50 00 00 00 8e d8 8b 03 89 03' /* mov eax, 0x50; mov ds, eax; mov eax, [ebx]; mov [ebx], eax */), 13],
    ['execute-only code may not be read', 0x99, code('b8 50 00 00 00 8e d8' /* mov eax, 0x50; mov ds, eax */), 13],
    ['readable code may be read and not written', 0x9b, code('b8 50 00 00 00 8e d8 8b 03 ff 03' /* mov eax, 0x50; mov ds, eax; mov eax, [ebx]; inc dword ptr [ebx] */), 13],
    ['a segment that is not present is #NP', 0x13, code('b8 50 00 00 00 8e d8' /* mov eax, 0x50; mov ds, eax */), 11],
    ['a stack segment that is not present is #SS', 0x13, code('b8 50 00 00 00 8e d0' /* mov eax, 0x50; mov ss, eax */), 12],
    ['a stack segment must be writable', 0x91, code('b8 50 00 00 00 8e d0' /* mov eax, 0x50; mov ss, eax */), 13],
    ['a stack segment must have the current privilege', 0xf3, code('b8 50 00 00 00 8e d0' /* mov eax, 0x50; mov ss, eax */), 13],
    ['a TSS is no data', 0x89, code('b8 50 00 00 00 8e c0' /* mov eax, 0x50; mov es, eax */), 13],
  ])('%s', (_name, access, bytes, vector) => {
    const guest = protectedGuest(bytes);
    guest.describe(EXTRA, ...descriptor(DATA, 0xfff, access, 4));
    guest.finish();
    expect(guest.handled).toBe(vector);
    const loading = bytes.length === 7;
    expect(guest.memory.readRam32(STACK - 16)).toBe(loading ? EXTRA : 0);
  });

  it.each([
    ['above the limit', 0x1000, -1],
    ['at the limit', 0xfff, 13],
    ['at the end of 64 KiB', 0xffff, -1],
    ['beyond 64 KiB', 0x10000, 13],
  ])('an expand-down segment of 64 KiB: %s', (_name, offset, vector) => {
    const guest = protectedGuest(code('b8 50 00 00 00 8e d8 c6 03 01 f4' /* mov eax, 0x50; mov ds, eax; mov byte ptr [ebx], 1; hlt */));
    guest.describe(EXTRA, ...descriptor(0, 0xfff, 0x97, 0));
    guest.setReg(Reg.rbx, BigInt(offset));
    guest.finish();
    expect(guest.handled).toBe(vector);
  });

  it('a null data segment can be loaded and not used', () => {
    const guest = protectedGuest(code('31 c0 8e e0 64 8b 03' /* xor eax, eax; mov fs, eax; mov eax, fs:[ebx] */));
    guest.finish();
    expect(guest.handled).toBe(13);
  });

  it('sets the accessed bit of what it loads', () => {
    const guest = protectedGuest(code('b8 50 00 00 00 8e e8 f4' /* mov eax, 0x50; mov gs, eax; hlt */));
    guest.describe(EXTRA, ...descriptor(0, 0xfff, 0x92, 4));
    guest.finish();
    expect((guest.memory.readRam32(0x3000 + EXTRA + 4) >> 8) & 0xff).toBe(0x93);
  });

  it.each([
    ['JMP', code('e9 fb ff 01 00' /* jmp $ + 0x20000 */), 0],
    ['JMP through a register', code('b8 00 00 02 00 ff e0' /* mov eax, 0x20000; jmp eax */), 5],
    ['Jcc', code('39 c0 0f 84 fa ff 01 00' /* cmp eax, eax; je $ + 0x20000 */), 2],
    ['RET', code('68 00 00 02 00 c3' /* push 0x20000; ret */), 5],
    ['CALL', code('e8 fb ff 01 00' /* call $ + 0x20000 */), 0],
  ])('%s beyond the limit of CS is #GP at the instruction itself, which did nothing', (name, bytes, at) => {
    const guest = protectedGuest(bytes);
    guest.segment(1, Selector.code32, 0x409b, 0n, 0x1ffff);
    guest.processor.stateChanged();
    guest.finish();
    expect(guest.handled).toBe(13);
    expect(words(guest, Number(guest.reg(Reg.rsp)), 2)).toEqual([0, CODE + at]);
    expect(guest.reg(Reg.rsp)).toBe(BigInt(STACK - 16 - (name === 'RET' ? 4 : 0)));
  });

  it('code in 16 bits runs with 32-bit data, and switches by far jumps', () => {
    const guest = protectedGuest(code('ea 10 00 01 00 40 00 00 00 00 00 00 00 00 00 00 b8 34 12 66 c7 06 00 40 55 55 55 55 66 ea 00 01 01 00 38 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 89 c3 f4' /* .byte 0xea; .long 0x10010; .word 0x40; .org 0x10; .code16; mov ax, 0x1234; mov dword ptr [0x4000], 0x55555555; .byte 0x66, 0xea; .long 0x10100; .word 0x38; .org 0x100; .code32; mov ebx, eax; hlt */));
    // 16-bit code with a limit of 64 KiB needs a base to reach this far.
    guest.describe(Selector.code16, ...descriptor(0x10000, 0xffff, 0x9b, 0));
    guest.memory.writeRam(CODE, code('ea 10 00 00 00 40 00'));
    guest.setReg(Reg.rax, 0xabcd0000n);
    guest.finish();
    expect(guest.reg(Reg.rbx)).toBe(0xabcd1234n);
    expect(guest.memory.readRam32(0x4000)).toBe(0x55555555);
  });
});

describe('gates of protected mode (SDM volume 3, 5.8 and 6.12)', () => {
  it('an interrupt from ring 3 pushes the outer stack onto the one of the TSS, and IRET goes back', () => {
    const guest = userGuest(code('cd 30 b9 05 00 00 00 f4' /* int 0x30; mov ecx, 5; hlt */));
    guest.gate32(0x30, HANDLERS + 0x300, { dpl: 3 });
    guest.load(code('8b 04 24 8b 5c 24 0c 8c ca cf' /* mov eax, [esp]; mov ebx, [esp + 12]; mov edx, cs; iretd */), HANDLERS + 0x300);
    guest.finish();
    // HLT in ring 3 is #GP: its handler runs on the inner stack again.
    expect(guest.handled).toBe(13);
    expect([guest.reg(Reg.rax), guest.reg(Reg.rbx), guest.reg(Reg.rcx), guest.reg(Reg.rdx)]).toEqual([BigInt(CODE + 2), BigInt(STACK), 5n, BigInt(Selector.code32)]);
    expect(words(guest, RSP0 - 24, 6)).toEqual([0, CODE + 7, Selector.userCode32 | 3, 0x10002, STACK, Selector.userData | 3]);
    expect(selector(guest, 2)).toBe(Selector.kernelData);
  });

  it('a 16-bit gate pushes words', () => {
    const guest = protectedGuest(code('cd 31' /* int 0x31 */));
    guest.gate32(0x31, HANDLERS + 0x310, { type: 6 });
    guest.finish();
    expect(guest.handled).toBe(0x31);
    expect(guest.reg(Reg.rsp)).toBe(BigInt(STACK - 6));
    expect(words(guest, STACK - 6, 1)).toEqual([2 | (Selector.code32 << 16)]);
  });

  it.each([
    ['a gate of a lower privilege', { dpl: 0 }, 13, 0x32 * 8 + 2],
    ['a gate that is not present', { dpl: 3, present: false }, 11, 0x32 * 8 + 2],
    ['a gate to a null selector', { dpl: 3, selector: 0 }, 13, 0],
    ['a gate to data', { dpl: 3, selector: Selector.kernelData }, 13, Selector.kernelData],
    ['a task gate, since task switches are not modelled', { dpl: 3, type: 5 }, 13, 0x32 * 8 + 2],
  ])('INT through %s', (_name, options, vector, error) => {
    const guest = userGuest(code('cd 32' /* int 0x32 */));
    guest.gate32(0x32, HANDLERS, options);
    guest.finish();
    expect(guest.handled).toBe(vector);
    expect(words(guest, RSP0 - 24, 2)).toEqual([error, CODE]);
  });

  it.each([
    ['beyond the TSS', (guest: Guest) => guest.segment(7, Selector.tss, 0x8b, BigInt(TSS), 8)],
    ['null', (guest: Guest) => guest.memory.writeRam32(TSS + 8, 0)],
  ])('a stack in the TSS that is %s is #TS, which cannot be delivered either: #DF, and that neither', (_name, spoil) => {
    const guest = userGuest(code('0f 0b' /* ud2 */));
    spoil(guest);
    guest.processor.stateChanged();
    expect(guest.finish()).toBe(Stop.Shutdown);
  });

  it('a call gate to ring 0 copies its parameters, and RETF releases both stacks', () => {
    const guest = userGuest(code('6a 11 6a 22 9a 00 00 00 00 53 00 89 e6 f4' /* push 0x11; push 0x22; .byte 0x9a; .long 0; .word 0x53; mov esi, esp; hlt */));
    const handler = HANDLERS + 0x400;
    guest.describe(EXTRA, (handler & 0xffff) | (Selector.code32 << 16), 0xec02);
    guest.load(code('8b 44 24 08 8b 5c 24 0c 89 e7 ca 08 00' /* mov eax, [esp + 8]; mov ebx, [esp + 12]; mov edi, esp; retf 8 */), handler);
    guest.finish();
    expect(guest.handled).toBe(13);
    expect([guest.reg(Reg.rax), guest.reg(Reg.rbx)]).toEqual([0x22n, 0x11n]);
    expect(guest.reg(Reg.rdi)).toBe(BigInt(RSP0 - 24));
    expect(guest.reg(Reg.rsi)).toBe(BigInt(STACK));
  });

  it('conforming code is entered at the privilege of its caller', () => {
    const guest = userGuest(code('9a 00 10 01 00 50 00 f4' /* .byte 0x9a; .long 0x11000; .word 0x50; hlt */));
    guest.describe(EXTRA, ...descriptor(0, 0xfffff, 0x9f, 0xc));
    guest.load(code('8c c8 cb' /* mov eax, cs; retf */), 0x11000);
    guest.finish();
    expect([guest.handled, guest.reg(Reg.rax)]).toEqual([13, BigInt(EXTRA | 3)]);
  });

  it.each([
    ['JMP to code of another privilege', code('ea 00 00 00 00 38 00' /* .byte 0xea; .long 0; .word 0x38 */), Selector.code32],
    ['JMP to a null selector', code('ea 00 00 00 00 03 00' /* .byte 0xea; .long 0; .word 3 */), 0],
    ['JMP to data', code('ea 00 00 00 00 1b 00' /* .byte 0xea; .long 0; .word 0x1b */), Selector.userData],
    ['JMP beyond the GDT', code('ea 00 00 00 00 f8 0f' /* .byte 0xea; .long 0; .word 0xff8 */), 0xff8],
    ['RETF to an inner privilege', code('6a 38 6a 00 cb' /* push 0x38; push 0; retf */), Selector.code32],
    ['IRETD with NT set, since task switches are not modelled', code('9c 81 0c 24 00 40 00 00 9d cf' /* pushf; or dword ptr [esp], 0x4000; popf; iretd */), 0],
  ])('%s is #GP', (_name, bytes, error) => {
    const guest = userGuest(bytes);
    guest.finish();
    expect(guest.handled).toBe(13);
    expect(guest.memory.readRam32(RSP0 - 24)).toBe(error);
  });

  it('IRETD to virtual-8086 mode is #GP, since that is not modelled', () => {
    const guest = protectedGuest(code('68 02 00 02 00 6a 38 68 00 00 01 00 cf' /* push 0x20002; push 0x38; push 0x10000; iretd */));
    guest.finish();
    expect(guest.handled).toBe(13);
  });

  it('data segments of an inner level do not survive a return to an outer one', () => {
    const guest = protectedGuest(code('b8 18 00 00 00 8e c0 6a 1b 68 00 00 08 00 6a 02 6a 4b 68 00 01 01 00 cf' /* mov eax, 0x18; mov es, eax; push 0x1b; push 0x80000; push 2; push 0x4b; push 0x10100; iretd */));
    guest.load(code('8c d8 8c c3 0f 0b' /* mov eax, ds; mov ebx, es; ud2 */), 0x10100);
    guest.finish();
    expect([guest.handled, guest.reg(Reg.rax), guest.reg(Reg.rbx)]).toEqual([6, 0n, BigInt(Selector.userData)]);
  });
});

describe('instructions that look at descriptors (SDM volume 2, LAR, LSL, VERR, ARPL)', () => {
  it('LAR takes call gates and 16-bit types in protected mode', () => {
    const guest = protectedGuest(code('b8 50 00 00 00 0f 02 d8 0f 94 c1 0f 03 d0 0f 94 c5 f4' /* mov eax, 0x50; lar ebx, eax; setz cl; lsl edx, eax; setz ch; hlt */));
    guest.describe(EXTRA, 0, 0x8400);
    guest.finish();
    expect([guest.reg(Reg.rbx), guest.reg(Reg.rcx)]).toEqual([0x8400n, 1n]);
  });

  it('ARPL raises the privilege number of a selector', () => {
    const guest = protectedGuest(code('b8 10 00 00 00 bb 03 00 00 00 63 d8 0f 94 c1 63 d8 0f 94 c5 f4' /* mov eax, 0x10; mov ebx, 3; arpl ax, bx; setz cl; arpl ax, bx; setz ch; hlt */));
    guest.finish();
    expect([guest.reg(Reg.rax), guest.reg(Reg.rcx)]).toEqual([0x13n, 1n]);
  });

  it.each([
    ['SGDT', code('0f 01 05 00 00 04 00' /* sgdt [0x40000] */)],
    ['SIDT', code('0f 01 0d 00 00 04 00' /* sidt [0x40000] */)],
    ['SLDT', code('0f 00 c0' /* sldt eax */)],
    ['STR', code('0f 00 c8' /* str eax */)],
    ['SMSW', code('0f 01 e0' /* smsw eax */)],
  ])('CR4.UMIP makes %s #GP outside ring 0', (_name, bytes) => {
    for (const [umip, vector] of [[0x800n, 13], [0n, 6]] as const) {
      const guest = userGuest(bytes);
      guest.load(code('0f 0b'), CODE + bytes.length);
      guest.set(stateLayout.cr4, umip);
      guest.processor.stateChanged();
      guest.finish();
      expect(guest.handled).toBe(vector);
    }
  });

  it('SGDT and LGDT have 6-byte operands, and 24 bits of base with a 16-bit operand size', () => {
    const guest = protectedGuest(code('c7 05 08 00 04 00 ff ff ff ff 0f 01 05 02 00 04 00 66 0f 01 15 10 00 04 00 0f 01 05 20 00 04 00 f4' /* mov dword ptr [0x40008], -1; sgdt [0x40002]; data16 lgdt [0x40010]; sgdt [0x40020]; hlt */));
    guest.memory.writeRam32(DATA + 0x10, 0x3000_004f);
    guest.memory.writeRam32(DATA + 0x14, 0xff00);
    guest.finish();
    expect(words(guest, DATA, 3).map((word) => word >>> 0)).toEqual([0x004f_0000, 0x3000, 0xffff_ffff]);
    expect(guest.memory.readRam32(DATA + 0x24) & 0xffff).toBe(0);
  });
});

describe('fast calls in 32-bit code', () => {
  it('SYSENTER and SYSEXIT go to flat 32-bit segments (SDM volume 2, SYSENTER)', () => {
    const guest = userGuest(code('89 e1 ba 10 00 01 00 0f 34 00 00 00 00 00 00 00 8c c8 0f 0b' /* mov ecx, esp; mov edx, 0x10010; sysenter; .org 0x10; mov eax, cs; ud2 */));
    guest.set(stateLayout.sysenterCs, BigInt(Selector.code32));
    guest.set(stateLayout.sysenterEsp, BigInt(RSP0 - 0x100));
    guest.set(stateLayout.sysenterEip, 0x11000n);
    guest.load(code('8c cb 8c d6 89 e7 0f 35' /* mov ebx, cs; mov esi, ss; mov edi, esp; sysexit */), 0x11000);
    guest.finish();
    expect(guest.handled).toBe(6);
    expect([guest.reg(Reg.rbx), guest.reg(Reg.rsi), guest.reg(Reg.rdi), guest.reg(Reg.rax)]).toEqual([0x38n, 0x40n, BigInt(RSP0 - 0x100), 0x4bn]);
  });

  it.each(['intel', 'amd'] as const)('SYSCALL exists in protected mode on AMD\'s processors only (APM volume 3): %s', (vendor) => {
    const guest = new Guest({ vendor }).protect().load(code('0f 05' /* syscall */));
    for (let vector = 0; vector < 32; vector++) guest.gate32(vector, HANDLERS + 16 * vector);
    guest.set(stateLayout.efer, 1n);
    guest.set(stateLayout.star, (BigInt(Selector.code32) << 32n) | BigInt(HANDLERS + 16 * 20));
    guest.processor.stateChanged();
    guest.finish();
    expect(guest.handled).toBe(vendor === 'amd' ? 20 : 6);
    if (vendor === 'amd') expect(guest.reg(Reg.rcx)).toBe(BigInt(CODE + 2));
  });
});

describe('compatibility mode', () => {
  /** A guest in 32-bit code under EFER.LMA, with the 64-bit IDT. */
  function compatible(bytes: Uint8Array, vendor: 'intel' | 'amd' = 'intel'): Guest {
    const guest = new Guest({ vendor }).allSelectors().load(bytes);
    guest.segment(1, Selector.code32, 0xc09b);
    guest.processor.stateChanged();
    return guest;
  }

  it('64-bit and 32-bit code call each other by far pointers', () => {
    const guest = new Guest().allSelectors().load(code('bb ff ff ff ff ff 1d 04 00 00 00 48 89 d9 f4 00 10 01 00 38 00' /* mov ebx, -1; call fword ptr [rip + 1f]; mov rcx, rbx; hlt; 1: .long 0x11000; .word 0x38 */));
    guest.load(code('43 48 8c ca cb' /* inc ebx; dec eax; mov edx, cs; retf */), 0x11000);
    guest.setReg(Reg.rax, 0x1_0000_0000n);
    guest.finish();
    // 48 is DEC EAX there, not a prefix; 32-bit results clear upper halves.
    expect([guest.reg(Reg.rcx), guest.reg(Reg.rax), guest.reg(Reg.rdx)]).toEqual([0n, 0xffff_ffffn, BigInt(Selector.code32)]);
  });

  it('an exception goes to 64-bit code with the 64-bit frame, and IRETQ comes back', () => {
    const guest = compatible(code('cd 40 ba 07 00 00 00 f4' /* int 0x40; mov edx, 7; hlt */));
    guest.load(code('48 8b 44 24 08 48 8b 5c 24 18 48 cf' /* mov rax, [rsp + 8]; mov rbx, [rsp + 24]; iretq */), HANDLERS + 0x400);
    guest.finish();
    expect([guest.reg(Reg.rax), guest.reg(Reg.rbx), guest.reg(Reg.rdx)]).toEqual([BigInt(Selector.code32), BigInt(STACK), 7n]);
    expect(guest.rip).toBe(CODE + 8);
  });

  it('addresses wrap at 4 GiB, and pointers have 32 bits whatever the upper halves hold', () => {
    const guest = compatible(code('8b 04 0b 50 f4' /* mov eax, [ebx + ecx]; push eax; hlt */));
    guest.memory.writeRam32(DATA, 0x7777);
    guest.setReg(Reg.rbx, 0xffff_ffff_ffff_fff0n);
    guest.setReg(Reg.rcx, BigInt(DATA + 0x10));
    guest.setReg(Reg.rsp, 0x1_0000_0000n + BigInt(STACK));
    guest.finish();
    expect(guest.memory.readRam32(STACK - 4)).toBe(0x7777);
    expect(guest.reg(Reg.rsp)).toBe(BigInt(STACK - 4));
  });

  it.each(['intel', 'amd'] as const)('SYSCALL goes to CSTAR on AMD\'s processors and is #UD on Intel\'s: %s', (vendor) => {
    const guest = compatible(code('0f 05' /* syscall */), vendor);
    guest.set(stateLayout.star, BigInt(Selector.kernelCode) << 32n);
    guest.set(stateLayout.cstar, BigInt(HANDLERS + 16 * 20));
    guest.finish();
    expect(guest.handled).toBe(vendor === 'amd' ? 20 : 6);
  });

  it('SYSRET without REX.W returns to 32-bit code', () => {
    const guest = new Guest().allSelectors().load(code('b9 00 10 01 00 41 bb 02 00 00 00 0f 07' /* mov ecx, 0x11000; mov r11d, 2; .byte 0x0f, 0x07 */));
    guest.load(code('8c c8 49 0f 0b' /* mov eax, cs; dec ecx; ud2 */), 0x11000);
    for (const at of [0x11000]) guest.map(at, at | 7);
    guest.set(stateLayout.star, BigInt(Selector.userCode32) << 48n);
    guest.finish();
    expect([guest.handled, guest.reg(Reg.rax), guest.reg(Reg.rcx)]).toEqual([6, BigInt(Selector.userCode32 | 3), 0x10fffn]);
  });

  it('a 64-bit call gate leads from there to 64-bit code', () => {
    const guest = compatible(code('9a 00 00 00 00 50 00 f4' /* .byte 0x9a; .long 0; .word 0x50; hlt */));
    guest.describe(EXTRA, (0x1000) | (Selector.kernelCode << 16), 0x0001_8c00).describe(EXTRA + 8, 0, 0);
    guest.load(code('48 8b 04 24 48 8b 5c 24 08 48 cb' /* mov rax, [rsp]; mov rbx, [rsp + 8]; retfq */), 0x11000);
    guest.finish();
    expect([guest.reg(Reg.rax), guest.reg(Reg.rbx), guest.rip]).toEqual([BigInt(CODE + 7), BigInt(Selector.code32), CODE + 8]);
  });

  it('switching paging off leaves IA-32e mode, which 64-bit code cannot do (SDM volume 2, MOV CR)', () => {
    const program = (): Guest => compatible(code('0f 20 c0 25 ff ff ff 7f 0f 22 c0 b9 80 00 00 c0 0f 32 f4' /* mov eax, cr0; and eax, 0x7fffffff; mov cr0, eax; mov ecx, 0xc0000080; rdmsr; hlt */));
    const guest = program();
    guest.finish();
    expect(guest.reg(Reg.rax) & 0x500n).toBe(0x100n);
    const long = new Guest().load(code('0f 20 c0 25 ff ff ff 7f 0f 22 c0' /* mov rax, cr0; and eax, 0x7fffffff; mov cr0, rax */));
    long.finish();
    expect(long.handled).toBe(13);
  });

  it('a code segment with both L and D is #GP', () => {
    const guest = compatible(code('ea 00 00 00 00 50 00' /* .byte 0xea; .long 0; .word 0x50 */));
    guest.describe(EXTRA, 0xffff, 0x00ef9b00);
    guest.finish();
    expect([guest.handled, guest.memory.readRam32(STACK - 48)]).toEqual([13, EXTRA]);
  });
});

it('the interrupt descriptor table of 32-bit code has 8 bytes a vector', () => {
  const guest = protectedGuest(code('cc' /* int3 */));
  guest.view.setUint32(stateLayout.idtrLimit, 8 * 3 + 7, true);
  guest.memory.writeRam32(IDT + 8 * 3 + 4, 0xee00 | (HANDLERS & 0xffff0000));
  guest.processor.stateChanged();
  expect(guest.finish()).toBe(Stop.Halted);
  expect(guest.handled).toBe(3);
});
