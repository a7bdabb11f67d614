import { describe, expect, it } from 'vitest';
import { code, CODE, DATA, Guest, HANDLERS, Reg, STACK } from '../../test/guest.js';
import { stateLayout, Stop } from '../index.js';

const RF = 0x10000;
const TF = 0x100;
const DR6_FIXED = 0xffff0ff0n;

interface Breakpoint {
  /** 0 execute, 1 write, 2 I/O, 3 access. */
  watch: number;
  /** LEN field: 0 one byte, 1 two, 3 four, 2 eight. */
  length?: number;
  at: number;
}

/** A 64-bit guest with breakpoints in DR0 and on. */
function watched(bytes: Uint8Array, ...breakpoints: Breakpoint[]): Guest {
  const guest = new Guest().load(bytes);
  let dr7 = 0x400;
  breakpoints.forEach(({ watch, length = 0, at }, i) => {
    guest.set(stateLayout.dr0 + 8 * i, BigInt(at));
    dr7 |= (2 << (2 * i)) | ((watch | (length << 2)) << (16 + 4 * i));
  });
  guest.set(stateLayout.dr6, DR6_FIXED);
  guest.set(stateLayout.dr7, BigInt(dr7 >>> 0));
  guest.processor.stateChanged();
  return guest;
}

/** Return address and flags that the #DB handler found; the handler halts. */
function trapped(guest: Guest): { rip: number; flags: number; dr6: bigint } {
  expect(guest.finish()).toBe(Stop.Halted);
  expect(guest.handled).toBe(1);
  const frame = Number(guest.reg(Reg.rsp));
  return { rip: guest.memory.readRam32(frame), flags: guest.memory.readRam32(frame + 16), dr6: guest.get(stateLayout.dr6) - DR6_FIXED };
}

describe('breakpoints (SDM volume 3, 18.2 and 18.3)', () => {
  it('on an instruction are faults before it, with RF in the saved flags', () => {
    const guest = watched(code('90 ff c0 ff c3 f4' /* nop; inc eax; inc ebx; hlt */), { watch: 0, at: CODE + 3 });
    const { rip, flags, dr6 } = trapped(guest);
    expect([rip, flags & RF, dr6]).toEqual([CODE + 3, RF, 1n]);
    expect([guest.reg(Reg.rax), guest.reg(Reg.rbx)]).toEqual([1n, 0n]);
    expect(guest.processor.retired).toBe(2 + 1);
  });

  it('are passed when the handler returns with RF set, and met again the next time round', () => {
    const guest = watched(code('b9 03 00 00 00 ff c0 ff c9 75 fa f4' /* mov ecx, 3; top: inc eax; dec ecx; jnz top; hlt */), { watch: 0, at: CODE + 5 });
    guest.load(code('ff c3 48 cf' /* inc ebx; iretq */), HANDLERS + 16);
    guest.finish();
    expect([guest.reg(Reg.rax), guest.reg(Reg.rbx)]).toEqual([3n, 3n]);
    expect(guest.processor.readRflags() & RF).toBe(0);
  });

  it.each([
    ['a write to its bytes', 1, 3, DATA + 4, code('c6 04 25 07 00 04 00 01 90 f4' /* mov byte ptr [0x40007], 1; nop; hlt */), true],
    ['a write that begins before it', 1, 0, DATA + 7, code('48 c7 04 25 00 00 04 00 01 00 00 00 90 f4' /* mov qword ptr [0x40000], 1; nop; hlt */), true],
    ['a write next to it', 1, 0, DATA + 8, code('48 c7 04 25 00 00 04 00 01 00 00 00 90 f4' /* mov qword ptr [0x40000], 1; nop; hlt */), false],
    ['a read, which a write breakpoint ignores', 1, 3, DATA, code('8b 04 25 00 00 04 00 90 f4' /* mov eax, dword ptr [0x40000]; nop; hlt */), false],
    ['a read', 3, 3, DATA, code('8b 04 25 00 00 04 00 90 f4' /* mov eax, dword ptr [0x40000]; nop; hlt */), true],
    ['a push', 1, 2, STACK - 8, code('50 90 f4' /* push rax; nop; hlt */), true],
    ['a system instruction\'s access', 3, 0, DATA + 3, code('0f 01 04 25 00 00 04 00 90 f4' /* sgdt [0x40000]; nop; hlt */), true],
    ['eight bytes from their last', 3, 2, DATA, code('8a 04 25 07 00 04 00 90 f4' /* mov al, byte ptr [0x40007]; nop; hlt */), true],
    ['an address that is aligned down to its length', 1, 1, DATA + 3, code('c6 04 25 02 00 04 00 01 90 f4' /* mov byte ptr [0x40002], 1; nop; hlt */), true],
  ])('on data trap behind the instruction: %s', (_name, watch, length, at, bytes, met) => {
    const guest = watched(bytes, { watch, length, at });
    if (!met) {
      guest.finish();
      expect(guest.handled).toBe(-1);
      return;
    }
    const { rip, flags, dr6 } = trapped(guest);
    expect([rip, flags & RF, dr6]).toEqual([CODE + bytes.length - 2, 0, 1n]);
  });

  it('on data tell which of them were met, and forget those met before', () => {
    const guest = watched(code('8b 04 25 00 00 04 00 90 f4' /* mov eax, [0x40000]; nop; hlt */), { watch: 1, length: 3, at: DATA }, { watch: 3, length: 0, at: DATA }, { watch: 3, length: 0, at: DATA + 3 });
    guest.set(stateLayout.dr6, DR6_FIXED | 0x4009n);
    guest.processor.stateChanged();
    expect(trapped(guest).dr6).toBe(0x4006n);
  });

  it('on data trap after each iteration of a string instruction', () => {
    const guest = watched(code('bf 00 00 04 00 b9 08 00 00 00 f3 aa f4' /* mov edi, 0x40000; mov ecx, 8; rep stosb; hlt */), { watch: 1, length: 0, at: DATA + 2 });
    trapped(guest);
    expect([guest.reg(Reg.rcx), guest.reg(Reg.rdi)]).toEqual([5n, BigInt(DATA + 3)]);
  });

  it('on ports need CR4.DE', () => {
    for (const de of [0n, 8n]) {
      const guest = watched(code('e4 40 90 f4' /* in al, 0x40; nop; hlt */), { watch: 2, at: 0x40 });
      guest.set(stateLayout.cr4, 0x20n | de);
      guest.processor.stateChanged();
      guest.finish();
      expect(guest.handled).toBe(de === 0n ? -1 : 1);
    }
  });

  it('watch accesses from the moment DR7 says so, whatever has been cached', () => {
    const guest = new Guest().load(code('8b 04 25 00 00 04 00 48 8d 1c 25 00 00 04 00 0f 23 c3 b9 02 00 0f 00 0f 23 f9 8b 04 25 00 00 04 00 90 f4' /* mov eax, [0x40000]; lea rbx, [0x40000]; mov dr0, rbx; mov ecx, 0xf0002; mov dr7, rcx; mov eax, [0x40000]; nop; hlt */));
    trapped(guest);
    expect(guest.get(stateLayout.dr6) & 0xfn).toBe(1n);
  });

  it('count from the next run when DR7 was written from outside', () => {
    const guest = watched(code('90 90 90 f4' /* nop; nop; nop; hlt */), { watch: 0, at: CODE + 2 });
    const enabled = guest.get(stateLayout.dr7);
    guest.set(stateLayout.dr7, 0x400n);
    guest.processor.stateChanged();
    guest.processor.run(1);
    guest.set(stateLayout.dr7, enabled);
    expect(trapped(guest).rip).toBe(CODE + 2);
  });

  it('do not fault when nothing enables them', () => {
    const guest = watched(code('90 f4' /* nop; hlt */), { watch: 0, at: CODE });
    guest.set(stateLayout.dr7, 0x400n);
    guest.processor.stateChanged();
    guest.finish();
    expect(guest.handled).toBe(-1);
  });
});

describe('debug registers', () => {
  it('DR7.GD makes the next access a fault with DR6.BD, and is cleared for the handler', () => {
    const guest = watched(code('0f 21 c0 f4' /* mov rax, dr0; hlt */));
    guest.set(stateLayout.dr7, 0x2400n);
    guest.processor.stateChanged();
    const { rip, dr6 } = trapped(guest);
    expect([rip, dr6, guest.get(stateLayout.dr7)]).toEqual([CODE, 0x2000n, 0x400n]);
  });

  it('DR4 and DR5 are DR6 and DR7 without CR4.DE, and #UD with it', () => {
    const program = code('0f 21 e0 0f 21 eb f4' /* mov rax, dr4; mov rbx, dr5; hlt */);
    const guest = watched(program);
    guest.finish();
    expect([guest.reg(Reg.rax), guest.reg(Reg.rbx)]).toEqual([DR6_FIXED, 0x400n]);
    const extended = watched(program);
    extended.set(stateLayout.cr4, 0x28n);
    extended.processor.stateChanged();
    extended.finish();
    expect(extended.handled).toBe(6);
  });

  it('ICEBP is a #DB that leaves DR6 alone', () => {
    const guest = watched(code('f1' /* int1 */));
    const { rip, dr6 } = trapped(guest);
    expect([rip, dr6]).toEqual([CODE + 1, 0n]);
  });
});

describe('single steps (SDM volume 3, 18.3.1.4)', () => {
  it('trap after the instruction that follows POPF, not after POPF', () => {
    const guest = watched(code('68 02 01 00 00 9d ff c0 ff c3 f4' /* push 0x102; popfq; inc eax; inc ebx; hlt */));
    const { rip, dr6, flags } = trapped(guest);
    expect([rip, dr6, flags & TF, guest.reg(Reg.rax), guest.reg(Reg.rbx)]).toEqual([CODE + 8, 0x4000n, TF, 1n, 0n]);
  });

  it('come before the fault of the next instruction, which is fetched after them', () => {
    const guest = new Guest().load(code('ff c0 06' /* inc eax; and what 64-bit mode has not */));
    guest.processor.intercepts.exceptions = 1 << 6;
    guest.processor.writeRflags(TF | 2);
    expect(trapped(guest).rip).toBe(CODE + 2);
    expect(guest.reg(Reg.rax)).toBe(1n);
  });

  it('and data breakpoints of the same instruction are one #DB', () => {
    const guest = watched(code('68 02 01 00 00 9d 89 04 25 00 00 04 00 90 f4' /* push 0x102; popfq; mov [0x40000], eax; nop; hlt */), { watch: 1, length: 3, at: DATA });
    expect(trapped(guest).dr6).toBe(0x4001n);
  });

  it('do not come behind an instruction that loads SS, but behind the next (SDM volume 3, 6.8.3)', () => {
    const guest = watched(code('8c d0 68 02 01 00 00 9d 8e d0 ff c3 f4' /* mov eax, ss; push 0x102; popfq; mov ss, eax; inc ebx; hlt */));
    expect(trapped(guest).rip).toBe(CODE + 12);
    expect(guest.reg(Reg.rbx)).toBe(1n);
  });

  it('a data breakpoint met while loading SS waits for the next instruction too', () => {
    const guest = watched(code('8e 14 25 00 00 04 00 ff c3 ff c3 f4' /* mov ss, [0x40000]; inc ebx; inc ebx; hlt */), { watch: 3, length: 1, at: DATA });
    guest.memory.writeRam32(DATA, 0x10);
    const { dr6 } = trapped(guest);
    expect([dr6, guest.reg(Reg.rbx)]).toEqual([1n, 1n]);
  });

  it('and ICEBP behind MOV SS are one #DB with the breakpoint that was held off', () => {
    const guest = watched(code('8e 14 25 00 00 04 00 f1 ff c3 f4' /* mov ss, [0x40000]; int1; inc ebx; hlt */), { watch: 3, length: 1, at: DATA });
    guest.memory.writeRam32(DATA, 0x10);
    guest.load(code('ff c0 48 cf' /* inc eax; iretq */), HANDLERS + 16);
    guest.finish();
    expect([guest.reg(Reg.rax), guest.reg(Reg.rbx), guest.get(stateLayout.dr6) & 0xfn]).toEqual([1n, 1n, 1n]);
  });

  it('do not step into the handler of INT n (APM volume 2, 13.1.4)', () => {
    const guest = watched(code('68 02 01 00 00 9d cd 50 f4' /* push 0x102; popfq; int 0x50; hlt */));
    guest.load(code('b8 05 00 00 00 48 cf' /* mov eax, 5; iretq */), HANDLERS + 0x500);
    // IRET sets TF for the HLT, which it does not trap itself.
    guest.finish();
    expect([guest.handled, guest.reg(Reg.rax)]).toEqual([1, 5n]);
  });

  it('SYSCALL that masks TF traps nowhere, and SYSRET that sets it traps before the first user instruction', () => {
    const guest = watched(code('68 02 01 00 00 9d 0f 05 f4' /* push 0x102; popfq; syscall; hlt */));
    guest.set(stateLayout.star, (0x10n << 48n) | (0x08n << 32n));
    guest.set(stateLayout.lstar, BigInt(CODE + 0x100));
    guest.set(stateLayout.sfmask, 0x100n);
    guest.load(code('b8 09 00 00 00 48 0f 07' /* mov eax, 9; sysretq */), CODE + 0x100);
    guest.map(CODE, CODE | 7);
    const { rip, dr6 } = trapped(guest);
    expect([rip, dr6, guest.reg(Reg.rax)]).toEqual([CODE + 8, 0x4000n, 9n]);
  });
});

describe('RFLAGS.RF', () => {
  it('is cleared by the next instruction, and PUSHF does not show it', () => {
    const guest = watched(code('6a 10 68 00 00 08 00 68 02 00 01 00 6a 08 68 20 00 01 00 48 cf 00 00 00 00 00 00 00 00 00 00 00 9c 58 f4' /* push 0x10; push 0x80000; push 0x10002; push 8; push 0x10020; iretq; .org 0x20; pushfq; pop rax; hlt */));
    guest.finish();
    expect([guest.reg(Reg.rax) & BigInt(RF), guest.processor.readRflags() & RF]).toEqual([0n, 0]);
  });

  it('saved by a fault is what its handler returns with', () => {
    const guest = watched(code('0f 0b' /* ud2 */));
    guest.finish();
    expect(guest.memory.readRam32(Number(guest.reg(Reg.rsp)) + 16) & RF).toBe(RF);
  });
});

describe('alignment checks (SDM volume 3, 6.15, interrupt 17)', () => {
  const AC = 0x40002;

  /** Ring 3 with CR0.AM and RFLAGS.AC. */
  function aligned(bytes: Uint8Array): Guest {
    const guest = new Guest().load(bytes);
    guest.set(stateLayout.cr0, 0x8005_0033n);
    for (const page of [CODE, DATA, DATA + 0x1000, STACK - 0x1000]) guest.map(page, page | 7);
    guest.enterUser();
    guest.processor.writeRflags(AC);
    return guest;
  }

  it.each([
    ['a misaligned word', code('66 8b 04 25 01 00 04 00' /* mov ax, [0x40001] */), 17],
    ['a misaligned quadword across pages', code('48 89 04 25 fc 0f 04 00' /* mov [0x40ffc], rax */), 17],
    ['a misaligned push', code('48 83 ec 04 50' /* sub rsp, 4; push rax */), 17],
    ['a byte anywhere, then #UD', code('8a 04 25 01 00 04 00 0f 0b' /* mov al, [0x40001]; ud2 */), 6],
    ['aligned accesses, then #UD', code('48 8b 04 25 08 00 04 00 89 04 25 10 00 04 00 66 8b 04 25 06 00 04 00 0f 0b' /* mov rax, [0x40008]; mov [0x40010], eax; mov ax, [0x40006]; ud2 */), 6],
  ])('%s', (_name, bytes, vector) => {
    const guest = aligned(bytes);
    guest.finish();
    expect(guest.handled).toBe(vector);
    if (vector === 17) expect(guest.memory.readRam32(Number(guest.reg(Reg.rsp)))).toBe(0);
  });

  it('do not concern ring 0, nor what ring 0 has cached', () => {
    const guest = new Guest().load(code('48 8b 04 25 01 00 04 00 48 89 04 25 03 00 04 00 f4' /* mov rax, [0x40001]; mov [0x40003], rax; hlt */));
    guest.set(stateLayout.cr0, 0x8005_0033n);
    guest.processor.stateChanged();
    guest.processor.writeRflags(AC);
    guest.finish();
    expect(guest.handled).toBe(-1);
  });

  it('begin when user code sets AC itself', () => {
    const guest = aligned(code('48 8b 04 25 01 00 04 00 68 02 00 04 00 9d 48 8b 04 25 01 00 04 00' /* mov rax, [0x40001]; push 0x40002; popfq; mov rax, [0x40001] */));
    guest.processor.writeRflags(2);
    guest.finish();
    expect(guest.handled).toBe(17);
    expect(guest.memory.readRam32(Number(guest.reg(Reg.rsp)) + 8)).toBe(CODE + 8 + 6);
  });
});
