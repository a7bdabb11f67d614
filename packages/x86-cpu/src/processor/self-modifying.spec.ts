import { describe, expect, it } from 'vitest';
import { code, CODE, DATA, Guest, PT, Pte, Reg } from '../../test/guest.js';
import { stateLayout, Stop } from '../index.js';

describe('code that changes', () => {
  it('a store into the running block is seen by the next instruction', () => {
    // The store replaces the immediate of the second MOV.
    const guest = new Guest().load(code('c6 05 01 00 00 00 09 b8 01 00 00 00 f4' /* mov byte ptr [rip + 1], 9; mov eax, 1; hlt */));
    expect(guest.finish()).toBe(Stop.Halted);
    expect(guest.reg(Reg.rax)).toBe(9n);
    expect(guest.processor.retired).toBe(3);
  });

  it('a loop that changes its own body runs the new body each time', () => {
    // ADD EAX, imm32 with its immediate incremented each round: 0 + 1 + 2 + 3 + 4.
    const guest = new Guest().load(code('b9 05 00 00 00 05 78 56 34 12 ff 05 f6 ff ff ff ff c9 75 f1 f4' /* mov ecx, 5; add eax, 0x12345678; inc dword ptr [rip - 10]; dec ecx; jnz $ - 13; hlt */));
    guest.memory.writeRam32(CODE + 6, 0);
    guest.finish();
    expect(guest.reg(Reg.rax)).toBe(10n);
  });

  it('code linked to a block that changes each time runs what is there then, and everything else in the page stays decoded', () => {
    const program = code('b9 32 00 00 00 ff 05 f6 00 00 00 e9 f0 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 05 78 56 34 12 ff c9 0f 85 f8 fe ff ff f4' /* mov ecx, 50; top: inc dword ptr [rip + part + 1]; jmp part; .org 0x100; part: add eax, 0x12345678; dec ecx; jnz top; hlt */);
    const guest = new Guest().load(program);
    guest.memory.writeRam32(CODE + 0x101, 0);
    guest.finish();
    expect(guest.reg(Reg.rax)).toBe(BigInt((50 * 51) / 2));
    expect(guest.processor.retired).toBe(1 + 5 * 50 + 1);
  });

  it('goes on when so much code has been decoded that the arena was cleared', () => {
    // The loop above, longer, for 3000 rounds: each drops and decodes it again, some 2 KiB of records.
    const rounds = 3000;
    const guest = new Guest().load(code('b9 05 00 00 00 05 78 56 34 12 ff 05 f6 ff ff ff 48 8d 54 92 01 48 8d 54 92 01 48 8d 54 92 01 48 8d 54 92 01 48 8d 54 92 01 48 8d 54 92 01 48 8d 54 92 01 48 8d 54 92 01 48 8d 54 92 01 48 8d 54 92 01 48 8d 54 92 01 48 8d 54 92 01 48 8d 54 92 01 48 8d 54 92 01 48 8d 54 92 01 48 8d 54 92 01 48 8d 54 92 01 48 8d 54 92 01 ff c9 75 97 f4' /* mov ecx, 5; top: add eax, 0x12345678; inc dword ptr [rip + top + 1]; .rept 18; lea rdx, [rdx + rdx * 4 + 1]; .endr; dec ecx; jnz top; hlt */));
    guest.memory.writeRam32(CODE + 1, rounds);
    guest.memory.writeRam32(CODE + 6, 0);
    guest.finish(1_000_000);
    expect(guest.reg(Reg.rax)).toBe(BigInt((rounds * (rounds - 1)) / 2));
    expect(guest.processor.retired).toBe(1 + 22 * rounds + 1);
  });

  it('a store to the same page but not onto code changes nothing else', () => {
    const guest = new Guest().load(code('b9 64 00 00 00 01 0f ff c9 75 fa f4' /* mov ecx, 100; add [rdi], ecx; dec ecx; jnz $ - 4; hlt */));
    guest.setReg(Reg.rdi, BigInt(CODE + 0x800));
    guest.finish();
    expect(guest.memory.readRam32(CODE + 0x800)).toBe(5050);
  });

  it('a REP MOVSB over the code behind it takes effect', () => {
    const guest = new Guest().load(code('f3 a4 b8 01 00 00 00 f4' /* rep movsb; mov eax, 1; hlt */)).load(code('b8 4d 00 00 00' /* mov eax, 77 */), DATA);
    guest.setReg(Reg.rsi, BigInt(DATA));
    guest.setReg(Reg.rdi, BigInt(CODE + 2));
    guest.setReg(Reg.rcx, 5n);
    guest.finish();
    expect(guest.reg(Reg.rax)).toBe(77n);
  });

  it('an accessed bit that a page walk sets in the next instruction takes effect', () => {
    // The entry of page 4C reads 03 C0, ADD EAX, EAX; accessed it is 23 C0, AND EAX, EAX. The instruction before it reads page 4C.
    const entry = PT + 8 * 0x4c;
    const guest = new Guest().load(code('8a 1f' /* mov bl, [rdi] */), entry - 2);
    guest.rip = entry - 2;
    guest.setReg(Reg.rdi, 0x4c000n);
    guest.setReg(Reg.rax, 5n);
    expect(guest.processor.run(2)).toBe(Stop.Budget);
    expect(guest.reg(Reg.rax)).toBe(5n);
  });

  it('code comes from where its page was when it was first fetched from, until a translation is flushed, decoded before or not', () => {
    const other = code('c7 04 25 80 70 00 00 03 00 04 00 eb 02 90 90 b8 02 00 00 00 f4' /* mov dword ptr [entry], 0x40003; jmp $ + 4; nop; nop; mov eax, 2; hlt */);
    const guest = new Guest().load(code('c7 04 25 80 70 00 00 03 00 04 00 eb 02 90 90 b8 01 00 00 00 f4' /* the same, but mov eax, 1 */)).load(other, DATA);
    guest.finish();
    expect(guest.reg(Reg.rax)).toBe(1n);
    guest.processor.flushTlb();
    guest.rip = CODE;
    guest.finish();
    expect(guest.reg(Reg.rax)).toBe(2n);
  });

  it('a write from outside takes effect', () => {
    const guest = new Guest().load(code('b8 01 00 00 00 f4' /* mov eax, 1; hlt */));
    guest.finish();
    guest.rip = CODE;
    guest.memory.writeRam8(CODE + 1, 5);
    guest.finish();
    expect(guest.reg(Reg.rax)).toBe(5n);
    guest.rip = CODE;
    expect(guest.memory.compareExchangeRam(CODE + 1, 4, 5, 0, 6, 0)).toBe(true);
    guest.finish();
    expect(guest.reg(Reg.rax)).toBe(6n);
  });

  it('a page mapped elsewhere runs the other page: no code is kept by linear address', () => {
    const guest = new Guest().load(code('b8 01 00 00 00 f4' /* mov eax, 1; hlt */)).load(code('b8 02 00 00 00 f4' /* mov eax, 2; hlt */), DATA);
    guest.finish();
    guest.map(CODE, DATA | Pte.p | Pte.w);
    guest.rip = CODE;
    guest.finish();
    expect(guest.reg(Reg.rax)).toBe(2n);
  });

  it('the same page at two addresses runs with its own addresses', () => {
    const guest = new Guest().load(code('48 8d 05 00 00 00 00 f4' /* lea rax, [rip]; hlt */));
    guest.map(0x50000, CODE | Pte.p);
    guest.finish();
    guest.rip = 0x50000;
    guest.finish();
    expect(guest.reg(Reg.rax)).toBe(0x50007n);
  });

  it('another context sees stores to code both run', () => {
    const guest = new Guest({ contexts: 2 }).load(code('b8 01 00 00 00 f4' /* mov eax, 1; hlt */));
    const other = guest.otherProcessor(1);
    expect(other.run(10)).toBe(Stop.Halted);
    guest.load(code('c6 07 08 f4' /* mov byte ptr [rdi], 8; hlt */), CODE + 0x1000);
    guest.rip = CODE + 0x1000;
    guest.setReg(Reg.rdi, BigInt(CODE + 1));
    guest.finish();
    other.i32[stateLayout.rip >> 2] = CODE;
    expect(other.run(10)).toBe(Stop.Halted);
    expect(other.i32[stateLayout.gpr >> 2]).toBe(8);
  });

  it('an instruction across two pages follows both of them', () => {
    // MOV EAX, imm32 with its last two bytes on the next page.
    const guest = new Guest().load(code('b8 44 33 22 11 f4' /* mov eax, 0x11223344; hlt */), CODE + 0xffd);
    guest.load(code('b8 44 33 66 55 f4' /* mov eax, 0x55663344; hlt */), 0x20000 - 3);
    guest.rip = CODE + 0xffd;
    guest.finish();
    expect(guest.reg(Reg.rax)).toBe(0x11223344n);
    guest.memory.writeRam8(CODE + 0x1001, 0x99);
    guest.rip = CODE + 0xffd;
    guest.finish();
    expect(guest.reg(Reg.rax)).toBe(0x99223344n);
    guest.map(CODE + 0x1000, 0x20000 | Pte.p);
    guest.rip = CODE + 0xffd;
    guest.finish();
    expect(guest.reg(Reg.rax)).toBe(0x55663344n);
    guest.map(CODE + 0x1000, 0);
    guest.rip = CODE + 0xffd;
    guest.finish();
    expect(guest.handled).toBe(14);
    expect(guest.get(stateLayout.cr2)).toBe(BigInt(CODE + 0x1000));
  });
});
