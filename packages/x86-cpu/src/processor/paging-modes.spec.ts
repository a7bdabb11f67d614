import { describe, expect, it } from 'vitest';
import { code, CODE, DATA, Guest, HANDLERS, Reg, STACK } from '../../test/guest.js';
import { stateLayout, Stop } from '../index.js';

const DIRECTORY = 0x20000;
const TABLE = 0x21000;
const POINTERS = 0x22000;

/** A 32-bit guest at privilege 0 whose exceptions halt. */
function guest32(bytes: Uint8Array): Guest {
  const guest = new Guest().protect().load(bytes);
  for (let vector = 0; vector < 32; vector++) guest.gate32(vector, HANDLERS + 16 * vector);
  return guest;
}

/** Two levels: the first 4 MiB by 4 KiB pages, mapped to themselves; then a 4 MiB page, and one that is not present. */
function twoLevel(bytes: Uint8Array, cr4 = 0x10n): Guest {
  const guest = guest32(bytes);
  guest.memory.writeRam32(DIRECTORY, TABLE | 7);
  for (let page = 0; page < 1024; page++) guest.memory.writeRam32(TABLE + 4 * page, (page << 12) | 3);
  guest.memory.writeRam32(DIRECTORY + 4, 0x83);
  guest.set(stateLayout.cr3, BigInt(DIRECTORY));
  guest.set(stateLayout.cr4, cr4);
  guest.set(stateLayout.cr0, 0x8001_0031n);
  guest.processor.stateChanged();
  return guest;
}

/** PAE: the first 2 MiB by 4 KiB pages, then a 2 MiB page of the same. */
function pae(bytes: Uint8Array): Guest {
  const guest = guest32(bytes);
  guest.quad(POINTERS, BigInt(DIRECTORY) | 1n);
  for (let i = 1; i < 4; i++) guest.quad(POINTERS + 8 * i, 0n);
  guest.quad(DIRECTORY, BigInt(TABLE) | 7n);
  guest.quad(DIRECTORY + 8, 0x83n);
  for (let page = 0; page < 512; page++) guest.quad(TABLE + 8 * page, BigInt(page << 12) | 3n);
  guest.set(stateLayout.cr3, BigInt(POINTERS));
  guest.set(stateLayout.cr4, 0x20n);
  guest.set(stateLayout.cr0, 0x8001_0031n);
  guest.processor.stateChanged();
  return guest;
}

describe('paging of 32-bit code (SDM volume 3, 4.3 and 4.4)', () => {
  it.each([['two levels', twoLevel, 0x400000], ['PAE', pae, 0x200000]] as const)('%s map small and large pages, and set accessed and dirty bits', (_name, make, large) => {
    const guest = make(code('c7 03 34 12 00 00 a1 00 00 04 00 f4' /* mov dword ptr [ebx], 0x1234; mov eax, [0x40000]; hlt */));
    guest.setReg(Reg.rbx, BigInt(large + DATA));
    expect(guest.finish()).toBe(Stop.Halted);
    expect(guest.reg(Reg.rax)).toBe(0x1234n);
    const entry = make === twoLevel ? DIRECTORY + 4 : DIRECTORY + 8;
    expect(guest.memory.readRam32(entry) & 0xff).toBe(0xe3);
  });

  it.each([['two levels', twoLevel, 0x800000], ['PAE', pae, 0x40000000]] as const)('%s fault with the address in CR2 and the error code on the stack', (_name, make, absent) => {
    const guest = make(code('89 03' /* mov [ebx], eax */));
    guest.setReg(Reg.rbx, BigInt(absent + 0x123));
    guest.finish();
    expect([guest.handled, guest.get(stateLayout.cr2), guest.memory.readRam32(STACK - 16)]).toEqual([14, BigInt(absent + 0x123), 2]);
  });

  it('a large page needs CR4.PSE, and bit 21 clear', () => {
    const plain = twoLevel(code('a1 00 00 44 00' /* mov eax, [0x440000] */), 0n);
    plain.finish();
    // Without PSE the entry names a table, at 0.
    expect(plain.memory.readRam32(STACK - 16)).toBe(0);
    const reserved = twoLevel(code('a1 00 00 44 00' /* mov eax, [0x440000] */));
    reserved.memory.writeRam32(DIRECTORY + 4, 0x200083);
    reserved.finish();
    expect(reserved.memory.readRam32(STACK - 16)).toBe(9);
  });

  it('an access across the end of the address space goes on at its start', () => {
    const guest = twoLevel(code('a1 fe ff ff ff f4' /* mov eax, [0xfffffffe]; hlt */));
    guest.memory.writeRam32(DIRECTORY + 4 * 1023, TABLE | 3);
    guest.memory.writeRam32(TABLE + 4 * 1023, DATA | 3);
    guest.memory.writeRam32(DATA + 0xffc, 0x22110000);
    guest.memory.writeRam32(0, 0x4433);
    guest.finish();
    expect(guest.reg(Reg.rax)).toBe(0x44332211n);
  });

  it('PAE paging holds its first level in registers until CR3 is written (SDM volume 3, 4.4.1)', () => {
    const guest = pae(code('c7 03 00 00 00 00 0f 01 3d 00 00 04 00 a1 00 00 04 00 0f 20 d9 0f 22 d9 f4' /* mov dword ptr [ebx], 0; invlpg [0x40000]; mov eax, [0x40000]; mov ecx, cr3; mov cr3, ecx; hlt */));
    guest.setReg(Reg.rbx, BigInt(POINTERS));
    guest.memory.writeRam32(DATA, 77);
    // The next instruction after MOV CR3 cannot be fetched: a triple fault.
    expect(guest.finish()).toBe(Stop.Shutdown);
    expect(guest.reg(Reg.rax)).toBe(77n);
  });

  it.each([
    ['a reserved bit', 0x3n, 13],
    ['an address above MAXPHYADDR', (1n << 50n) | 1n, 13],
    ['nothing wrong, and not present', 0x2n, -1],
  ])('MOV CR3 to a table with %s', (_name, entry, vector) => {
    const guest = pae(code('0f 20 d9 0f 22 d9 f4' /* mov ecx, cr3; mov cr3, ecx; hlt */));
    guest.quad(POINTERS + 16, entry);
    guest.finish();
    expect(guest.handled).toBe(vector);
  });

  it('code maps and unmaps pages under itself with INVLPG', () => {
    // Page 0x40 is pointed at 0x41, read, and taken away.
    const guest = twoLevel(code('a1 00 00 04 00 c7 05 00 11 02 00 03 10 04 00 0f 01 3d 00 00 04 00 8b 1d 00 00 04 00 c7 05 00 11 02 00 00 00 00 00 0f 01 3d 00 00 04 00 8b 0d 00 00 04 00' /* mov eax, [0x40000]; mov dword ptr [0x21100], 0x41003; invlpg [0x40000]; mov ebx, [0x40000]; mov dword ptr [0x21100], 0; invlpg [0x40000]; mov ecx, [0x40000] */));
    guest.memory.writeRam32(DATA, 1);
    guest.memory.writeRam32(DATA + 0x1000, 2);
    guest.finish();
    expect([guest.handled, guest.reg(Reg.rax), guest.reg(Reg.rbx)]).toEqual([14, 1n, 2n]);
  });

  it('code on a page that is mapped elsewhere is the new page\'s code after INVLPG', () => {
    const guest = twoLevel(code('e8 fb 0f 00 00 c7 05 44 10 02 00 03 20 01 00 0f 01 3d 00 10 01 00 e8 e5 0f 00 00 f4' /* call 0x11000; mov dword ptr [0x21044], 0x12003; invlpg [0x11000]; call 0x11000; hlt */));
    guest.load(code('b8 01 00 00 00 c3' /* mov eax, 1; ret */), 0x11000).load(code('bb 02 00 00 00 c3' /* mov ebx, 2; ret */), 0x12000);
    guest.finish();
    expect([guest.reg(Reg.rax), guest.reg(Reg.rbx)]).toEqual([1n, 2n]);
  });
});

describe('rules between control registers (SDM volume 2, MOV CR; volume 3, 2.5 and 4.1)', () => {
  it.each([
    ['CR0.PG without PE', code('b8 10 00 00 80 0f 22 c0' /* mov eax, 0x80000010; mov cr0, eax */), 13],
    ['CR0.NW without CD', code('0f 20 c0 0d 00 00 00 20 0f 22 c0' /* mov eax, cr0; or eax, 0x20000000; mov cr0, eax */), 13],
    ['CR4.PCIDE outside IA-32e mode', code('b8 00 00 02 00 0f 22 e0' /* mov eax, 0x20000; mov cr4, eax */), 13],
    ['CR4.LA57, which is not there', code('b8 00 10 00 00 0f 22 e0' /* mov eax, 0x1000; mov cr4, eax */), 13],
    ['paging under EFER.LME without PAE', code('b9 80 00 00 c0 b8 00 01 00 00 31 d2 0f 30 0f 20 c0 0d 00 00 00 80 0f 22 c0' /* mov ecx, 0xc0000080; mov eax, 0x100; xor edx, edx; wrmsr; mov eax, cr0; or eax, 0x80000000; mov cr0, eax */), 13],
    ['a bit of EFER that is not there', code('b9 80 00 00 c0 b8 00 02 00 00 31 d2 0f 30' /* mov ecx, 0xc0000080; mov eax, 0x200; xor edx, edx; wrmsr */), 13],
  ])('%s is #GP', (_name, bytes, vector) => {
    const guest = guest32(bytes);
    guest.finish();
    expect(guest.handled).toBe(vector);
  });

  it.each([
    ['CR4 without PAE in IA-32e mode', code('31 c0 0f 22 e0' /* xor eax, eax; mov cr4, rax */), 13],
    ['CR0 with upper bits', code('0f 20 c0 48 0f ba e8 28 0f 22 c0' /* mov rax, cr0; bts rax, 40; mov cr0, rax */), 13],
    ['CR3 above MAXPHYADDR', code('0f 20 d8 48 0f ba e8 32 0f 22 d8' /* mov rax, cr3; bts rax, 50; mov cr3, rax */), 13],
    ['CR3 bit 63 without CR4.PCIDE', code('0f 20 d8 48 0f ba e8 3f 0f 22 d8' /* mov rax, cr3; bts rax, 63; mov cr3, rax */), 13],
    ['CR8 above 15', code('b8 10 00 00 00 44 0f 22 c0' /* mov eax, 16; mov cr8, rax */), 13],
    ['EFER.LME changed under paging', code('b9 80 00 00 c0 0f 32 0f ba f0 08 0f 30' /* mov ecx, 0xc0000080; rdmsr; btr eax, 8; wrmsr */), 13],
    ['CR4.PCIDE while CR3 has low bits', code('0f 20 d8 83 c8 08 0f 22 d8 0f 20 e0 48 0f ba e8 11 0f 22 e0' /* mov rax, cr3; or eax, 8; mov cr3, rax; mov rax, cr4; bts rax, 17; mov cr4, rax */), 13],
    ['CR4.PCIDE with a clean CR3', code('0f 20 e0 48 0f ba e8 11 0f 22 e0 f4' /* mov rax, cr4; bts rax, 17; mov cr4, rax; hlt */), -1],
  ])('in 64-bit mode: %s', (_name, bytes, vector) => {
    const guest = new Guest().load(bytes);
    guest.finish();
    expect(guest.handled).toBe(vector);
  });
});

describe('process-context identifiers (SDM volume 3, 4.10.1, and volume 2, INVPCID)', () => {
  it('CR3 takes one, and bit 63, which does not stay', () => {
    const guest = new Guest().load(code('0f 20 e0 48 0f ba e8 11 0f 22 e0 0f 20 d8 0d 23 01 00 00 48 0f ba e8 3f 0f 22 d8 0f 20 db f4' /* mov rax, cr4; bts rax, 17; mov cr4, rax; mov rax, cr3; or eax, 0x123; bts rax, 63; mov cr3, rax; mov rbx, cr3; hlt */));
    guest.finish();
    expect(guest.reg(Reg.rbx)).toBe(0x4123n);
  });

  it.each([
    ['a type above 3', 4n, 0n, 0n, 13],
    ['reserved bits of the descriptor', 0n, 0x1000n, 0n, 13],
    ['an address that is not canonical', 0n, 0n, 1n << 47n, 13],
    ['an address that is not canonical, which type 1 ignores', 1n, 0n, 1n << 47n, -1],
    ['a PCID without CR4.PCIDE', 1n, 5n, 0n, 13],
    ['every context', 3n, 5n, 0n, -1],
  ])('INVPCID with %s', (_name, type, pcid, linear, vector) => {
    const guest = new Guest().load(code('66 0f 38 82 1f f4' /* invpcid rbx, [rdi]; hlt */));
    guest.setReg(Reg.rbx, type);
    guest.setReg(Reg.rdi, BigInt(DATA));
    guest.quad(DATA, pcid);
    guest.quad(DATA + 8, linear);
    guest.finish();
    expect(guest.handled).toBe(vector);
  });

  it.each([0, 1, 2, 3])('INVPCID of type %i makes a changed entry seen', (type) => {
    const guest = new Guest().load(code('48 8b 06 48 c7 02 03 10 04 00 66 0f 38 82 1f 48 8b 0e f4' /* mov rax, [rsi]; mov qword ptr [rdx], 0x41003; invpcid rbx, [rdi]; mov rcx, [rsi]; hlt */));
    guest.setReg(Reg.rbx, BigInt(type));
    guest.setReg(Reg.rdi, 0x50000n);
    guest.setReg(Reg.rsi, BigInt(DATA));
    guest.setReg(Reg.rdx, BigInt(guest.entryOf(DATA)));
    guest.quad(0x50008, BigInt(DATA));
    guest.quad(DATA + 0x1000, 9n);
    guest.finish();
    expect([guest.reg(Reg.rax), guest.reg(Reg.rcx)]).toEqual([0n, 9n]);
  });

  it('INVPCID outside ring 0 is #GP', () => {
    const guest = new Guest().load(code('66 0f 38 82 1f'));
    guest.map(CODE, CODE | 7);
    guest.enterUser();
    guest.finish();
    expect(guest.handled).toBe(13);
  });
});
