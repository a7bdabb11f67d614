import { describe, expect, it } from 'vitest';
import { code, CODE, DATA, Guest, HANDLERS, IDT, IST1, Pte, Reg, RSP0, Selector, STACK } from '../../test/guest.js';
import { EventType, ExitKind, stateLayout, Stop } from '../index.js';

/** Error code and interrupted RIP, CS, RFLAGS, RSP and SS from a frame. */
function frame(guest: Guest, top: number, withError: boolean): bigint[] {
  const base = top - (withError ? 48 : 40);
  return Array.from({ length: withError ? 6 : 5 }, (_, i) => guest.quadAt(base + 8 * i));
}

describe('exceptions', () => {
  it('are faults: UD2 leaves registers alone, RIP at itself, and retires nothing', () => {
    const guest = new Guest().load(code('b8 07 00 00 00 0f 0b' /* mov eax, 7; ud2 */));
    expect(guest.finish()).toBe(Stop.Halted);
    expect(guest.handled).toBe(6);
    expect(guest.reg(Reg.rax)).toBe(7n);
    // MOV and the handler's HLT.
    expect(guest.processor.retired).toBe(2);
    expect(frame(guest, STACK, false)).toEqual([BigInt(CODE + 5), BigInt(Selector.kernelCode), 0x10002n, BigInt(STACK), BigInt(Selector.kernelData)]);
  });

  it('push an error code where SDM volume 3, table 6-1 has one', () => {
    const guest = new Guest().load(code('31 c9 48 ff c9 44 0f 22 c1' /* xor ecx, ecx; dec rcx; mov cr8, rcx */));
    expect(guest.finish()).toBe(Stop.Halted);
    expect(guest.handled).toBe(13);
    expect(frame(guest, STACK, true)[0]).toBe(0n);
    expect(frame(guest, STACK, true)[1]).toBe(BigInt(CODE + 5));
  });

  it('a page fault tells its cause in the error code and its address in CR2', () => {
    const guest = new Guest().load(code('89 07' /* mov [rdi], eax */));
    guest.setReg(Reg.rdi, BigInt(DATA + 4));
    guest.map(DATA, DATA | Pte.p);
    expect(guest.finish()).toBe(Stop.Halted);
    expect(guest.handled).toBe(14);
    expect(guest.get(stateLayout.cr2)).toBe(BigInt(DATA + 4));
    expect(frame(guest, STACK, true)[0]).toBe(3n);
  });

  it.each([
    ['jmp rax', '48 c7 c0 ff ff ff ff ff e0'],
    ['ret', '48 c7 c0 ff ff ff ff 50 c3'],
  ])('%s to the last byte of the address space faults there: no block of the jump cache answers to all ones', (_name, hex) => {
    const guest = new Guest().load(code(hex));
    expect(guest.finish()).toBe(Stop.Halted);
    expect(guest.handled).toBe(14);
    expect(guest.get(stateLayout.cr2)).toBe(0xffffffffffffffffn);
  });

  it('#DE comes before any register changes', () => {
    const guest = new Guest().load(code('48 f7 f1' /* div rcx */));
    guest.setReg(Reg.rax, 5n);
    guest.setReg(Reg.rdx, 9n);
    guest.setReg(Reg.rcx, 3n);
    guest.finish();
    expect(guest.handled).toBe(0);
    expect([guest.reg(Reg.rax), guest.reg(Reg.rdx)]).toEqual([5n, 9n]);
  });

  it('a non-canonical stack address is #SS, another #GP (SDM volume 3, 6.15)', () => {
    const guest = new Guest();
    guest.gate(12, HANDLERS + 16 * 12, { ist: 1 });
    guest.load(code('50' /* push rax */));
    guest.setReg(Reg.rsp, 0x8000_0000_0000n + 8n);
    guest.finish();
    expect(guest.handled).toBe(12);
    guest.reset();
    guest.load(code('8a 07' /* mov al, [rdi] */));
    guest.setReg(Reg.rdi, 0x8000_0000_0000n);
    guest.finish();
    expect(guest.handled).toBe(13);
  });

  it('IST switches to its stack, aligned to 16 bytes, without a change of privilege', () => {
    const guest = new Guest().load(code('0f 0b' /* ud2 */));
    guest.gate(6, HANDLERS + 16 * 6, { ist: 1 });
    guest.finish();
    expect(guest.reg(Reg.rsp)).toBe(BigInt(IST1 - 40));
    expect(frame(guest, IST1, false)[3]).toBe(BigInt(STACK));
  });

  it('from ring 3 the stack is RSP0 and SS a null selector of ring 0', () => {
    const guest = new Guest().load(code('0f 0b' /* ud2 */));
    guest.map(CODE, CODE | Pte.p | Pte.u);
    guest.enterUser();
    guest.finish();
    expect(guest.handled).toBe(6);
    expect(guest.reg(Reg.rsp)).toBe(BigInt(RSP0 - 40));
    expect(guest.view.getUint16(stateLayout.segments + 2 * stateLayout.segmentSize, true)).toBe(0);
    expect(frame(guest, RSP0, false)[4]).toBe(BigInt(Selector.userData | 3));
  });

  it('a return to ring 3 makes GS null and leaves its base (SDM volume 3, 5.8.6)', () => {
    const guest = new Guest().load(code('b8 10 00 00 00 8e e8 b9 01 01 00 c0 b8 00 00 04 00 31 d2 0f 30 6a 1b 54 6a 02 6a 23 68 00 01 01 00 48 cf' /* mov eax, 0x10; mov gs, eax; mov ecx, 0xc0000101; mov eax, 0x40000; xor edx, edx; wrmsr; push 0x1b; push rsp; push 2; push 0x23; push 0x10100; iretq */));
    guest.load(code('8c e8 65 48 8b 1c 25 00 00 00 00 0f 0b' /* mov eax, gs; mov rbx, gs:[0]; ud2 */), CODE + 0x100);
    guest.map(CODE, CODE | Pte.p | Pte.u);
    guest.map(0x40000, 0x40000 | Pte.p | Pte.u);
    guest.memory.writeRam32(0x40000, 0x1234);
    guest.finish();
    expect([guest.handled, guest.reg(Reg.rax), guest.reg(Reg.rbx)]).toEqual([6, 0n, 0x1234n]);
  });

  it('ring 3 may not run HLT, nor touch supervisor pages', () => {
    const guest = new Guest().load(code('f4' /* hlt */));
    guest.map(CODE, CODE | Pte.p | Pte.u);
    guest.enterUser();
    guest.finish();
    expect(guest.handled).toBe(13);
    guest.reset();
    guest.load(code('8b 07' /* mov eax, [rdi] */));
    guest.setReg(Reg.rdi, BigInt(DATA));
    guest.enterUser();
    guest.finish();
    expect(guest.handled).toBe(14);
    expect(frame(guest, RSP0, true)[0]).toBe(5n);
  });
});

describe('faults while an event is delivered', () => {
  it('a contributory exception during another is a double fault with error code 0', () => {
    const guest = new Guest().load(code('31 d2 f7 f2' /* xor edx, edx; div edx */));
    guest.gate(0, 0, { present: false });
    guest.finish();
    expect(guest.handled).toBe(8);
    expect(frame(guest, STACK, true).slice(0, 2)).toEqual([0n, BigInt(CODE + 2)]);
  });

  it('a page fault during a contributory exception is delivered after it, not a double fault', () => {
    const guest = new Guest().load(code('31 d2 f7 f2' /* xor edx, edx; div edx */));
    // The handler of #DE needs IST1, whose page is missing.
    guest.gate(0, HANDLERS, { ist: 1 });
    guest.map(IST1 - 8, 0);
    guest.finish();
    expect(guest.handled).toBe(14);
  });

  it('an interrupt that cannot be delivered raises its fault with the EXT bit, not a double fault', () => {
    const guest = new Guest().load(code('90' /* nop */));
    guest.gate(0x40, 0, { present: false });
    guest.processor.inject(EventType.External, 0x40, -1, 0);
    guest.finish();
    expect(guest.handled).toBe(11);
    expect(frame(guest, STACK, true)[0]).toBe(BigInt(0x40 * 8 + 2 + 1));
  });

  it('a fault during a double fault shuts down with the registers of the first', () => {
    const guest = new Guest().load(code('b8 01 00 00 00 0f 0b' /* mov eax, 1; ud2 */));
    guest.view.setUint32(stateLayout.idtrLimit, 0, true);
    expect(guest.processor.run(100)).toBe(Stop.Shutdown);
    expect(guest.rip).toBe(CODE + 5);
    expect(guest.reg(Reg.rsp)).toBe(BigInt(STACK));
    expect(guest.processor.retired).toBe(1);
  });

  it('a nested page fault during delivery exits with the event, to be injected again', () => {
    const guest = new Guest().load(code('0f 0b' /* ud2 */));
    guest.memory.setPermissions(0, IDT >> 12, 1, 0);
    expect(guest.processor.run(100)).toBe(Stop.Intercept);
    const { exit } = guest.processor;
    expect(exit.kind).toBe(ExitKind.NestedPageFault);
    expect(exit.gpa).toBe(IDT + 16 * 6);
    expect(exit.idtVectoring >>> 0).toBe(0x80000306);
    guest.memory.setPermissions(0, IDT >> 12, 1, 7);
    guest.processor.inject((exit.idtVectoring >> 8) & 7, exit.idtVectoring & 0xff, -1, 0);
    guest.finish();
    expect(guest.handled).toBe(6);
  });
});

describe('returning', () => {
  it('IRETQ restores RIP, RFLAGS, RSP and privilege, and ends the blocking of NMIs', () => {
    // The handler of vector 6 skips the UD2 and returns.
    const guest = new Guest().load(code('0f 0b b8 05 00 00 00 f4' /* ud2; mov eax, 5; hlt */)).load(code('48 83 04 24 02 48 cf' /* add qword ptr [rsp], 2; iretq */), 0x20000);
    guest.gate(6, 0x20000);
    guest.view.setInt32(stateLayout.interruptibility, 8, true);
    expect(guest.finish()).toBe(Stop.Halted);
    expect(guest.reg(Reg.rax)).toBe(5n);
    expect(guest.reg(Reg.rsp)).toBe(BigInt(STACK));
    expect(guest.view.getInt32(stateLayout.interruptibility, true)).toBe(0);
  });

  it.each([0, 8, 16, 24, 32, 40, 48, 64])('a frame is the same, and IRETQ finds it, with the stack %i bytes into a page, and again where the TLB knows that page', (into) => {
    const top = STACK - 0x1000 + into;
    // Two rounds: the second finds the translations of the first. The handler of vector 6 skips the UD2 and returns.
    const guest = new Guest()
      .load(code('b9 02 00 00 00 f9 0f 0b 73 05 ff c9 f9 75 f7 f4' /* mov ecx, 2; stc; again: ud2; jnc end; dec ecx; stc; jnz again; end: hlt */))
      .load(code('48 83 04 24 02 48 cf' /* add qword ptr [rsp], 2; iretq */), 0x20000);
    guest.gate(6, 0x20000);
    guest.setReg(Reg.rsp, BigInt(top));
    expect(guest.finish()).toBe(Stop.Halted);
    expect(guest.reg(Reg.rcx)).toBe(0n);
    expect(guest.reg(Reg.rsp)).toBe(BigInt(top));
    // SDM volume 3, 6.14.2: the frame is aligned to 16 bytes. The handler has moved RIP on.
    const aligned = Math.floor(top / 16) * 16;
    expect(frame(guest, aligned, false)).toEqual([BigInt(CODE + 8), BigInt(Selector.kernelCode), 0x10003n, BigInt(top), BigInt(Selector.kernelData)]);
  });

  it('goes to ring 3 and back by INT with a gate of DPL 3, while one of DPL 0 is #GP', () => {
    const guest = new Guest()
      .load(code('6a 1b 68 00 00 07 00 68 02 02 00 00 6a 23 68 00 80 01 00 48 cf' /* push 0x1b; push 0x70000; push 0x202; push 0x23; push 0x18000; iretq */))
      .load(code('cd 80' /* int 0x80 */), 0x18000);
    guest.map(0x18000, 0x18000 | Pte.p | Pte.u);
    guest.gate(0x80, HANDLERS + 16 * 0x80, { dpl: 3 });
    guest.finish();
    expect(guest.handled).toBe(0x80);
    expect(frame(guest, RSP0, false)).toEqual([0x18002n, 0x23n, 0x202n, 0x70000n, 0x1bn]);
    guest.gate(0x80, HANDLERS + 16 * 0x80);
    guest.reset();
    guest.finish();
    expect(guest.handled).toBe(13);
    expect(frame(guest, RSP0, true)[0]).toBe(BigInt(0x80 * 8 + 2));
  });

  it('LRETQ loads CS, as kernels do after LGDT', () => {
    const guest = new Guest().load(code('6a 08 48 8d 05 03 00 00 00 50 48 cb 90 f4' /* push 8; lea rax, [rip + 3]; push rax; retfq; nop; hlt */));
    const stop = guest.finish();
    expect(stop).toBe(Stop.Halted);
    expect(guest.reg(Reg.rsp)).toBe(BigInt(STACK));
  });

  it('SYSCALL and SYSRET change privilege and keep RFLAGS in R11', () => {
    const guest = new Guest().load(code('48 0f 07' /* sysretq */)).load(code('0f 05' /* syscall */), 0x18000).load(code('f4' /* hlt */), 0x19000);
    guest.map(0x18000, 0x18000 | Pte.p | Pte.u);
    guest.set(stateLayout.star, (0x13n << 48n) | (0x08n << 32n));
    guest.set(stateLayout.lstar, 0x19000n);
    guest.set(stateLayout.sfmask, 0x200n);
    guest.setReg(Reg.rcx, 0x18000n);
    guest.setReg(Reg.r11, 0x246n);
    expect(guest.finish()).toBe(Stop.Halted);
    expect(guest.rip).toBe(0x19001);
    expect(guest.reg(Reg.rcx)).toBe(0x18002n);
    expect(guest.reg(Reg.r11)).toBe(0x246n);
    expect(guest.processor.readRflags()).toBe(0x46);
  });
});

describe('interrupts', () => {
  it('an injected one is taken before any instruction, whatever IF', () => {
    const guest = new Guest().load(code('90' /* nop */));
    guest.processor.inject(EventType.External, 0x30, -1, 0);
    guest.finish();
    expect(guest.handled).toBe(0x30);
    expect(frame(guest, STACK, false)[0]).toBe(BigInt(CODE));
    expect(guest.processor.virtualInterrupt).toBe(-1);
  });

  it('the virtual line waits for IF, and one instruction more after STI', () => {
    const guest = new Guest().load(code('90 fb 90 90' /* nop; sti; nop; nop */));
    guest.processor.virtualInterrupt = 0x31;
    guest.finish();
    expect(guest.handled).toBe(0x31);
    expect(frame(guest, STACK, false)[0]).toBe(BigInt(CODE + 3));
    expect(guest.processor.virtualInterrupt).toBe(-1);
  });

  it('STI; HLT cannot lose an interrupt: HLT runs, then the interrupt is taken', () => {
    const guest = new Guest().load(code('fb f4 90' /* sti; hlt; nop */));
    guest.processor.virtualInterrupt = 0x31;
    expect(guest.processor.run(100)).toBe(Stop.Halted);
    expect(guest.rip).toBe(CODE + 2);
    guest.finish();
    expect(guest.handled).toBe(0x31);
    expect(frame(guest, STACK, false)[0]).toBe(BigInt(CODE + 2));
  });

  it('an STI with IF set already casts no shadow', () => {
    const guest = new Guest().load(code('fb 90 fb' /* sti; nop; sti */));
    guest.processor.run(3);
    expect(guest.view.getInt32(stateLayout.interruptibility, true)).toBe(0);
    guest.reset();
    guest.processor.run(1);
    expect(guest.view.getInt32(stateLayout.interruptibility, true)).toBe(1);
    guest.processor.run(1);
    expect(guest.view.getInt32(stateLayout.interruptibility, true)).toBe(0);
  });

  it('CLI holds interrupts off from the next instruction on, in the middle of a block as well', () => {
    const guest = new Guest().load(code('90 fa 90 90' /* nop; cli; nop; nop */));
    guest.processor.writeRflags(0x202);
    expect(guest.processor.run(3)).toBe(Stop.Budget);
    guest.processor.virtualInterrupt = 0x31;
    expect(guest.processor.run(1)).toBe(Stop.Budget);
    expect([guest.rip, guest.processor.virtualInterrupt, guest.processor.readRflags()]).toEqual([CODE + 4, 0x31, 2]);
  });

  it.each([0, 2, 3])('CLI in ring 3 with IOPL %i is #GP(0) below 3, all before it done and nothing of it (SDM volume 2, CLI)', (iopl) => {
    const guest = new Guest().load(code('01 c8 fa 0f 0b' /* add eax, ecx; cli; ud2 */));
    guest.map(CODE, CODE | Pte.p | Pte.u);
    guest.enterUser();
    guest.setReg(Reg.rax, 0xffffffffn);
    guest.setReg(Reg.rcx, 1n);
    guest.processor.writeRflags(0x202 | (iopl << 12));
    guest.finish();
    const [interruptFlag, carryAndMore] = [0x200n, 0x55n];
    const rflags = (flag: bigint): bigint => 0x10002n | flag | carryAndMore | (BigInt(iopl) << 12n);
    if (iopl < 3) expect([guest.handled, ...frame(guest, RSP0, true).slice(0, 4)]).toEqual([13, 0n, BigInt(CODE + 2), BigInt(Selector.userCode | 3), rflags(interruptFlag)]);
    else expect([guest.handled, ...frame(guest, RSP0, false).slice(0, 3)]).toEqual([6, BigInt(CODE + 3), BigInt(Selector.userCode | 3), rflags(0n)]);
  });

  it('MOV SS holds interrupts off for one instruction', () => {
    const guest = new Guest().load(code('b8 10 00 00 00 8e d0 bb 01 00 00 00 b9 01 00 00 00' /* mov eax, 0x10; mov ss, eax; mov ebx, 1; mov ecx, 1 */));
    guest.processor.writeRflags(0x202);
    guest.processor.run(1);
    guest.processor.run(1);
    guest.processor.virtualInterrupt = 0x31;
    guest.finish();
    expect(guest.handled).toBe(0x31);
    expect(guest.reg(Reg.rbx)).toBe(1n);
    expect(guest.reg(Reg.rcx)).toBe(0n);
  });

  it('CR8 holds back its priority class and those below, unless the line says to ignore it', () => {
    const guest = new Guest().load(code('90 90 44 0f 22 c0 90' /* nop; nop; mov cr8, rax; nop */));
    guest.processor.writeRflags(0x202);
    guest.set(stateLayout.cr8, 3n);
    guest.processor.virtualInterrupt = 0x3f;
    guest.finish();
    expect(frame(guest, STACK, false)[0]).toBe(BigInt(CODE + 6));
    guest.reset();
    guest.processor.writeRflags(0x202);
    guest.set(stateLayout.cr8, 15n);
    guest.processor.virtualInterruptIgnoreTpr = true;
    guest.processor.virtualInterrupt = 0x20;
    guest.finish();
    expect(frame(guest, STACK, false)[0]).toBe(BigInt(CODE));
  });

  it('an interrupt gate clears IF, a trap gate does not', () => {
    const guest = new Guest().load(code('90' /* nop */));
    guest.processor.writeRflags(0x202);
    guest.processor.inject(EventType.External, 0x30, -1, 0);
    guest.finish();
    expect(guest.processor.readRflags() & 0x200).toBe(0);
    guest.reset();
    guest.gate(0x30, HANDLERS + 16 * 0x30, { trap: true });
    guest.processor.writeRflags(0x202);
    guest.processor.inject(EventType.External, 0x30, -1, 0);
    guest.finish();
    expect(guest.processor.readRflags() & 0x200).toBe(0x200);
  });

  it('a window exits as soon as an interrupt could be delivered, an NMI blocks NMI windows until IRET', () => {
    const guest = new Guest().load(code('90 fb 90 f4' /* nop; sti; nop; hlt */)).load(code('90 48 cf' /* nop; iretq */), 0x20000);
    guest.processor.intercepts.interruptWindow = true;
    guest.processor.interceptsChanged();
    expect(guest.processor.run(100)).toBe(Stop.Intercept);
    expect(guest.processor.exit.kind).toBe(ExitKind.InterruptWindow);
    expect(guest.rip).toBe(CODE + 3);
    guest.processor.intercepts.interruptWindow = false;
    guest.processor.intercepts.nmiWindow = true;
    guest.gate(2, 0x20000);
    guest.processor.inject(EventType.Nmi, 2, -1, 0);
    expect(guest.processor.run(100)).toBe(Stop.Intercept);
    expect(guest.processor.exit.kind).toBe(ExitKind.NmiWindow);
    expect(guest.rip).toBe(CODE + 3);
    // NOP, STI, NOP, then NOP and IRETQ of the handler.
    expect(guest.processor.retired).toBe(5);
  });

  it('a shadow of STI closes the window of NMIs for an instruction (SDM volume 3, 26.2)', () => {
    const guest = new Guest().load(code('fb 90 90 f4' /* sti; nop; nop; hlt */));
    expect(guest.processor.run(1)).toBe(Stop.Budget);
    guest.processor.intercepts.nmiWindow = true;
    guest.processor.interceptsChanged();
    expect(guest.processor.run(100)).toBe(Stop.Intercept);
    expect(guest.processor.exit.kind).toBe(ExitKind.NmiWindow);
    expect(guest.rip).toBe(CODE + 2);
  });

  it('RFLAGS.TF traps after each instruction, with DR6.BS', () => {
    const guest = new Guest().load(code('90 90' /* nop; nop */));
    guest.processor.writeRflags(0x102);
    guest.finish();
    expect(guest.handled).toBe(1);
    expect(frame(guest, STACK, false)[0]).toBe(BigInt(CODE + 1));
    expect(guest.get(stateLayout.dr6) & 0x4000n).toBe(0x4000n);
  });

  it('software interrupts retire when delivered and return behind themselves', () => {
    const guest = new Guest().load(code('cc' /* int3 */));
    guest.finish();
    expect(guest.handled).toBe(3);
    expect(frame(guest, STACK, false)[0]).toBe(BigInt(CODE + 1));
    expect(guest.processor.retired).toBe(2);
  });
});
