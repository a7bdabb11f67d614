import { describe, expect, it } from 'vitest';
import { code, Guest, Reg } from '../../test/guest.js';
import { stateLayout, Stop } from '../index.js';

const START = 0x8000;
const GDT_16 = 0x500;

/** A guest in real mode with code at 0800:0000 and its stack below 0000:7000. */
function realGuest(bytes: Uint8Array): Guest {
  const guest = new Guest().startUp(START >> 12).load(bytes, START);
  guest.setReg(Reg.rsp, 0x7000n);
  return guest;
}

/** Points vector `n` of the interrupt vector table at a HLT of its own. */
function vectors(guest: Guest): void {
  for (let vector = 0; vector < 32; vector++) {
    guest.memory.writeRam32(4 * vector, 0x0600_0000 | vector);
    guest.memory.writeRam8(0x6000 + vector, 0xf4);
  }
}

function word(guest: Guest, gpa: number): number {
  return guest.memory.readRam32(gpa) & 0xffff;
}

function selector(guest: Guest, segment: number): number {
  return guest.view.getUint16(stateLayout.segments + segment * stateLayout.segmentSize, true);
}

describe('an application processor', () => {
  it.each([0x00, 0x08, 0x9f])('gets from a start-up IPI for page %i through real, protected and compatibility mode to 64-bit code (SDM volume 3, 8.4.4 and 9.8.5)', (vector) => {
    // Relocatable, as trampolines at any vector are: the far pointers and the GDT's address are patched by whoever copies it.
    const bytes = code('fa 8c c8 8e d8 66 0f 01 16 98 00 0f 20 c0 0c 01 0f 22 c0 66 ea 1b 00 00 00 08 00 b8 10 00 00 00 8e d8 8e c0 8e d0 0f 20 e0 83 c8 20 0f 22 e0 b8 00 00 10 00 0f 22 d8 b9 80 00 00 c0 0f 32 0d 00 01 00 00 0f 30 0f 20 c0 0d 00 00 00 80 0f 22 c0 ea 57 00 00 00 18 00 b8 10 00 00 00 8e d0 48 c7 c4 00 00 08 00 48 b8 88 77 66 55 44 33 22 11 50 48 8d 1d 89 ff ff ff f4 00 00 00 00 00 00 00 00 ff ff 00 00 00 9a cf 00 ff ff 00 00 00 92 cf 00 ff ff 00 00 00 9a af 00 1f 00 78 00 00 00' /* start: cli; mov ax, cs; mov ds, ax; lgdtd [gdtr - start]; mov eax, cr0; or al, 1; mov cr0, eax; .byte 0x66, 0xea; .long prot; .word 8; .code32; prot: mov eax, 16; mov ds, eax; mov es, eax; mov ss, eax; mov eax, cr4; or eax, 0x20; mov cr4, eax; mov eax, 0x100000; mov cr3, eax; mov ecx, 0xc0000080; rdmsr; or eax, 0x100; wrmsr; mov eax, cr0; or eax, 0x80000000; mov cr0, eax; .byte 0xea; .long long; .word 24; .code64; long: mov eax, 16; mov ss, eax; mov rsp, 0x80000; movabs rax, 0x1122334455667788; push rax; lea rbx, [rip + start]; hlt; .balign 8; gdt: .quad 0, 0x00cf9a000000ffff, 0x00cf92000000ffff, 0x00af9a000000ffff; gdtr: .word 31; .long gdt */);
    const base = vector << 12;
    const patch = (offset: number): void => {
      new DataView(bytes.buffer).setUint32(offset, new DataView(bytes.buffer).getUint32(offset, true) + base, true);
    };
    for (const pointer of [0x15, 0x51, bytes.length - 4]) patch(pointer);
    const guest = new Guest().startUp(vector);
    // The guest's own tables, moved out of the way of vector 0 and its page.
    guest.memory.writeRam32(0x100000, 0x101007);
    guest.memory.writeRam32(0x101000, 0x102007);
    guest.memory.writeRam32(0x102000, 0x87);
    guest.load(bytes, base);
    expect(guest.finish()).toBe(Stop.Halted);
    expect(guest.memory.readRam32(0x80000 - 8)).toBe(0x55667788);
    expect(guest.reg(Reg.rbx)).toBe(BigInt(base));
    expect(selector(guest, 1)).toBe(24);
    expect(guest.get(stateLayout.efer) & 0x500n).toBe(0x500n);
    expect(guest.processor.retired).toBe(32);
  });
});

describe('real mode', () => {
  it('adds sixteen times the selector to 16-bit offsets, and wraps those', () => {
    const guest = realGuest(code('b8 34 12 8e d8 bb f0 ff be 20 00 c7 00 78 56 8e c0 26 a0 11 00 f4' /* mov ax, 0x1234; mov ds, ax; mov bx, 0xfff0; mov si, 0x20; mov word ptr [bx + si], 0x5678; mov es, ax; mov al, es:[0x11]; hlt */));
    guest.finish();
    expect(word(guest, 0x12340 + 0x10)).toBe(0x5678);
    expect(guest.reg(Reg.rax) & 0xffn).toBe(0x56n);
  });

  it('keeps the upper halves of registers, and its stack pointer in 16 bits', () => {
    const guest = realGuest(code('31 e4 68 34 12 60 61 59 66 9c 66 9d f4' /* xor sp, sp; push 0x1234; pusha; popa; pop cx; pushfd; popfd; hlt */));
    guest.setReg(Reg.rsp, 0xdead_0000_7000n);
    guest.setReg(Reg.rcx, 0xffff_ffff_ffffn);
    guest.finish();
    expect(guest.reg(Reg.rsp)).toBe(0xdead_0000_0000n);
    expect(guest.reg(Reg.rcx)).toBe(0xffff_ffff_1234n);
    expect(guest.memory.readRam32(0xfffc)).toBe(0x46);
  });

  it('delivers through the vector table with three words and no error code (SDM volume 3, 21.1.4)', () => {
    const guest = realGuest(code('fb 31 c0 8e d8 a3 ff ff 90' /* sti; xor ax, ax; mov ds, ax; mov word ptr [0xffff], ax; nop */));
    vectors(guest);
    expect(guest.finish()).toBe(Stop.Halted);
    expect(guest.rip).toBe(13 + 1);
    expect(guest.reg(Reg.rsp)).toBe(0x7000n - 6n);
    expect([word(guest, 0x6ffa), word(guest, 0x6ffc), word(guest, 0x6ffe) & 0x200]).toEqual([5, 0x800, 0x200]);
    expect(guest.processor.readRflags() & 0x200).toBe(0);
  });

  it.each([
    ['INT 3 by its short form', code('cc' /* int3 */), 3, 1],
    ['INT n', code('cd 1f' /* int 0x1f */), 0x1f, 2],
    ['INTO with OF', code('b0 7f fe c0 ce' /* mov al, 0x7f; inc al; into */), 4, 5],
    ['BOUND outside its bounds', code('31 db 8e db c7 06 00 06 05 00 c7 06 02 06 07 00 bb 08 00 62 1e 00 06' /* xor bx, bx; mov ds, bx; mov word ptr [0x600], 5; mov word ptr [0x602], 7; mov bx, 8; bound bx, [0x600] */), 5, 0x13],
    ['a division by zero', code('31 c9 f7 f1' /* xor cx, cx; div cx */), 0, 2],
    ['AAM with base 0', code('d4 00' /* aam 0 */), 0, 0],
    ['LLDT, which real mode does not have', code('0f 00 d0' /* lldt ax */), 6, 0],
    ['SYSENTER', code('0f 34' /* sysenter */), 13, 0],
    ['an access through BP across the end of the segment', code('bd ff ff 8b 46 00' /* mov bp, 0xffff; mov ax, [bp] */), 12, 3],
    ['an instruction that goes beyond the limit of CS', code('2e c6 06 ff ff 04 e9 f6 ff' /* mov byte ptr cs:[0xffff], 4; .byte 0xe9; .word 0xffff - 9 */), 13, 0xffff],
  ] as const)('%s goes to its vector with the address of the instruction, or behind it for traps', (_name, bytes, vector, saved) => {
    const guest = realGuest(bytes);
    vectors(guest);
    expect(guest.finish()).toBe(Stop.Halted);
    expect(guest.rip).toBe(vector + 1);
    expect(word(guest, 0x6ffa)).toBe(saved);
  });

  it('shuts down when the vector table is too short for the fault and what follows from it', () => {
    const guest = realGuest(code('cd 20' /* int 0x20 */));
    guest.view.setUint32(stateLayout.idtrLimit, 0x1f, true);
    guest.processor.stateChanged();
    expect(guest.finish()).toBe(Stop.Shutdown);
    expect([guest.rip, selector(guest, 1)]).toEqual([0, START >> 4]);
  });

  it('calls, jumps and returns far by selector, direct and through memory', () => {
    const guest = realGuest(code('9a 20 00 05 08 89 c3 2e c7 06 80 00 40 00 2e c7 06 82 00 00 08 2e ff 2e 80 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 f4 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 b8 07 00 cb' /* .byte 0x9a; .word 0x20, 0x0805; mov bx, ax; mov word ptr cs:[0x80], 0x40; mov word ptr cs:[0x82], 0x0800; jmp dword ptr cs:[0x80]; .org 0x40; hlt; .org 0x70; mov ax, 7; retf */));
    guest.finish();
    expect([guest.rip, guest.reg(Reg.rbx), guest.reg(Reg.rsp)]).toEqual([0x41, 7n, 0x7000n]);
    expect(guest.processor.retired).toBe(3 + 5);
  });

  it('IRET takes back the flags, IOPL and NT among them', () => {
    const guest = realGuest(code('68 02 72 68 00 08 6a 20 cf 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 f4' /* push 0x7202; push 0x0800; push 0x20; iret; .org 0x20; hlt */));
    guest.finish();
    expect(guest.rip).toBe(0x21);
    expect(guest.processor.readRflags()).toBe(0x7202);
  });

  it('repeats string instructions one iteration an instruction, wrapping in 16 bits', () => {
    const guest = realGuest(code('b8 00 10 8e d8 b8 00 20 8e c0 be fe ff bf 00 00 b9 04 00 fc f3 a4 b9 0a 00 bf 00 00 b0 03 f2 ae f4' /* mov ax, 0x1000; mov ds, ax; mov ax, 0x2000; mov es, ax; mov si, 0xfffe; mov di, 0; mov cx, 4; cld; rep movsb; mov cx, 10; mov di, 0; mov al, 3; repne scasb; hlt */));
    guest.memory.writeRam32(0x1fffc, 0x0201_0000);
    guest.memory.writeRam32(0x10000, 0x0403);
    guest.finish();
    expect(guest.memory.readRam32(0x20000)).toBe(0x04030201);
    expect([guest.reg(Reg.rsi), guest.reg(Reg.rcx), guest.reg(Reg.rdi)]).toEqual([2n, 7n, 3n]);
    expect(guest.processor.retired).toBe(8 + 4 + 3 + 3 + 1);
  });

  it('keeps the limits of protected mode when it comes back from there: big real mode (APM volume 2, 1.2.3)', () => {
    const guest = realGuest(code('31 c0 8e d8 0f 01 16 00 06 0f 20 c0 0c 01 0f 22 c0 bb 08 00 8e db 24 fe 0f 22 c0 31 db 8e db 66 bb 56 34 12 00 67 66 c7 03 0d f0 0d 60 f4' /* xor ax, ax; mov ds, ax; lgdt [0x600]; mov eax, cr0; or al, 1; mov cr0, eax; mov bx, 8; mov ds, bx; and al, 0xfe; mov cr0, eax; xor bx, bx; mov ds, bx; mov ebx, 0x123456; mov dword ptr [ebx], 0x600df00d; hlt */));
    vectors(guest);
    guest.memory.writeRam32(0x600, 0x0500_000f);
    guest.memory.writeRam32(0x604, 0);
    guest.quad(GDT_16 + 8, 0x008f_9200_0000_ffffn);
    expect(guest.finish()).toBe(Stop.Halted);
    expect(guest.memory.readRam32(0x123456)).toBe(0x600df00d);
  });

  it('code decoded at one selector is not taken for the same bytes at another', () => {
    // The same code in the same page, once at 0800:0000 and once at 07ff:0010: the call pushes different addresses.
    const guest = realGuest(code('e8 00 00 58 83 fa 00 75 08 42 89 c3 ea 10 00 ff 07 f4' /* call next; next: pop ax; cmp dx, 0; jne out; inc dx; mov bx, ax; .byte 0xea; .word 0x10, 0x07ff; out: hlt */));
    guest.finish();
    expect([guest.reg(Reg.rbx), guest.reg(Reg.rax)]).toEqual([3n, 0x13n]);
  });

  it('stops after exactly as many instructions as asked, with the same outcome in slices of any size', () => {
    const program = code('b9 e8 03 51 01 c8 89 e5 33 46 00 59 e2 f5 f4' /* mov cx, 1000; top: push cx; add ax, cx; mov bp, sp; xor ax, [bp]; pop cx; loop top; hlt */);
    const whole = realGuest(program);
    whole.finish();
    const sliced = realGuest(program);
    while (sliced.processor.run(7) === Stop.Budget);
    expect(sliced.snapshot()).toEqual(whole.snapshot());
    expect(sliced.processor.retired).toBe(1 + 6 * 1000 + 1);
  });
});

describe('decimal adjustment (SDM volume 2, DAA to AAD)', () => {
  it.each([
    ['DAA', '27', 0xae, 0x02, 0x14, 0x17],
    ['DAS', '2f', 0x35 - 0x47, 0x93, 0x88, 0x97],
  ] as const)('%s as in the manual\'s example', (_name, opcode, al, flags, result, expected) => {
    const guest = realGuest(code(`${opcode} f4`));
    guest.setReg(Reg.rax, BigInt(al & 0xff));
    guest.processor.writeRflags(flags);
    guest.finish();
    expect(guest.reg(Reg.rax)).toBe(BigInt(result));
    expect(guest.processor.readRflags() & 0xd7).toBe(expected & 0xd7);
  });

  it('AAM and AAD split and join digits of any base', () => {
    const guest = realGuest(code('b0 4f d4 0a 89 c3 d5 0a 89 c1 d4 10 f4' /* mov al, 79; aam; mov bx, ax; aad; mov cx, ax; .byte 0xd4, 16; hlt */));
    guest.finish();
    expect([guest.reg(Reg.rbx), guest.reg(Reg.rcx), guest.reg(Reg.rax)]).toEqual([0x0709n, 79n, 0x040fn]);
  });

  it('AAA and AAS carry into AH', () => {
    const guest = realGuest(code('b8 0b 01 37 89 c3 b8 fc 02 2c 00 3f f4' /* mov ax, 0x010b; aaa; mov bx, ax; mov ax, 0x02fc; sub al, 0; aas; hlt */));
    guest.finish();
    expect([guest.reg(Reg.rbx), guest.reg(Reg.rax)]).toEqual([0x0201n, 0x0106n]);
  });
});
