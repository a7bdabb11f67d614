import { describe, expect, it } from 'vitest';
import { code, CODE, DATA, GDT, Guest, PD, PDPT, Pte, Reg, STACK } from '../../test/guest.js';
import { Access, ExitKind, stateLayout, Stop } from '../index.js';

const PAGE = 0x1000;
const CR0_WP = 0x10000n;

function errorCode(guest: Guest): bigint {
  return guest.quadAt(Number(guest.reg(Reg.rsp)));
}

describe('paging', () => {
  it('sets A on a read and D on a write, and not D on a read', () => {
    const guest = new Guest().load(code('8b 07 f4 89 07 f4' /* mov eax, [rdi]; hlt; mov [rdi], eax; hlt */));
    guest.setReg(Reg.rdi, BigInt(DATA));
    guest.finish();
    expect(guest.quadAt(guest.entryOf(DATA)) & 0x60n).toBe(0x20n);
    guest.finish();
    expect(guest.quadAt(guest.entryOf(DATA)) & 0x60n).toBe(0x60n);
  });

  it('a read-modify-write of a missing page faults as a write', () => {
    const guest = new Guest().load(code('83 07 01' /* add dword ptr [rdi], 1 */));
    guest.setReg(Reg.rdi, BigInt(DATA));
    guest.map(DATA, 0);
    guest.finish();
    expect(errorCode(guest)).toBe(2n);
  });

  it('supervisor writes heed a read-only page only with CR0.WP', () => {
    const guest = new Guest().load(code('89 07 f4' /* mov [rdi], eax; hlt */));
    guest.setReg(Reg.rdi, BigInt(DATA));
    guest.map(DATA, DATA | Pte.p);
    guest.finish();
    expect(guest.handled).toBe(14);
    guest.reset();
    guest.setReg(Reg.rdi, BigInt(DATA));
    guest.set(stateLayout.cr0, guest.get(stateLayout.cr0) & ~CR0_WP);
    guest.processor.stateChanged();
    guest.finish();
    expect(guest.rip).toBe(CODE + 3);
  });

  it('NX keeps code from running there, with the fetch bit in the error code', () => {
    const guest = new Guest().load(code('ff e7' /* jmp rdi */)).load(code('f4' /* hlt */), DATA);
    guest.setReg(Reg.rdi, BigInt(DATA));
    guest.map(DATA, DATA | Pte.p, Pte.nxHi);
    guest.finish();
    expect(guest.handled).toBe(14);
    expect(errorCode(guest)).toBe(0x11n);
    expect(guest.quadAt(Number(guest.reg(Reg.rsp)) + 8)).toBe(BigInt(DATA));
  });

  it('SMAP keeps the supervisor from user pages unless AC is set', () => {
    const guest = new Guest().load(code('8b 07 f4 0f 01 cb 8b 07 f4' /* mov eax, [rdi]; hlt; stac; mov eax, [rdi]; hlt */));
    guest.setReg(Reg.rdi, BigInt(DATA));
    guest.map(DATA, DATA | Pte.p | Pte.u);
    guest.set(stateLayout.cr4, 0x200020n);
    guest.processor.stateChanged();
    guest.finish();
    expect(guest.handled).toBe(14);
    expect(errorCode(guest)).toBe(1n);
    guest.reset();
    guest.set(stateLayout.cr4, 0x200020n);
    guest.processor.stateChanged();
    guest.setReg(Reg.rdi, BigInt(DATA));
    guest.rip = CODE + 3;
    expect(guest.finish()).toBe(Stop.Halted);
    expect(guest.handled).toBe(-1);
  });

  it('a stale translation lasts until INVLPG or a write to CR3', () => {
    const program = code('8b 07 48 89 16 8b 1f 0f 01 3f 8b 0f f4' /* mov eax, [rdi]; mov [rsi], rdx; mov ebx, [rdi]; invlpg [rdi]; mov ecx, [rdi]; hlt */);
    const guest = new Guest().load(program);
    guest.memory.writeRam32(DATA, 1);
    guest.memory.writeRam32(DATA + PAGE, 2);
    guest.setReg(Reg.rdi, BigInt(DATA));
    guest.setReg(Reg.rsi, BigInt(guest.entryOf(DATA)));
    guest.setReg(Reg.rdx, BigInt((DATA + PAGE) | Pte.p | Pte.w));
    guest.finish();
    expect([Reg.rax, Reg.rbx, Reg.rcx].map((reg) => guest.reg(reg))).toEqual([1n, 1n, 2n]);
  });

  it('a system instruction reads through the translations that are cached, until INVLPG (SDM volume 3, 4.10.2)', () => {
    const CODE_SELECTOR = 8;
    const program = code('0f 02 c1 48 89 16 0f 02 d9 0f 01 3f 0f 02 d1 f4' /* lar eax, ecx; mov [rsi], rdx; lar ebx, ecx; invlpg [rdi]; lar edx, ecx; hlt */);
    const guest = new Guest().load(program);
    guest.memory.writeRam32(DATA + CODE_SELECTOR, 0);
    guest.memory.writeRam32(DATA + CODE_SELECTOR + 4, 0x20fb00);
    guest.setReg(Reg.rcx, BigInt(CODE_SELECTOR));
    guest.setReg(Reg.rdi, BigInt(GDT));
    guest.setReg(Reg.rsi, BigInt(guest.entryOf(GDT)));
    guest.setReg(Reg.rdx, BigInt(DATA | Pte.p | Pte.w));
    guest.finish();
    expect([Reg.rax, Reg.rbx, Reg.rdx].map((reg) => guest.reg(reg) & 0xff00n)).toEqual([0x9b00n, 0x9b00n, 0xfb00n]);
  });

  it('INVLPG drops all of a large page, whichever of its addresses it names', () => {
    const guest = new Guest().load(code('8b 07 48 89 16 0f 01 bf 00 00 10 00 8b 0f f4' /* mov eax, [rdi]; mov [rsi], rdx; invlpg [rdi + 0x100000]; mov ecx, [rdi]; hlt */));
    guest.quad(PD + 8, BigInt(0x200000 | Pte.p | Pte.w | 0x80));
    guest.memory.writeRam32(0x200000, 1);
    guest.memory.writeRam32(0, 2);
    guest.setReg(Reg.rdi, 0x200000n);
    guest.setReg(Reg.rsi, BigInt(PD + 8));
    guest.setReg(Reg.rdx, BigInt(Pte.p | Pte.w | 0x80));
    guest.finish();
    expect([guest.reg(Reg.rax), guest.reg(Reg.rcx)]).toEqual([1n, 2n]);
  });

  it('1 GiB pages translate', () => {
    const guest = new Guest().load(code('8b 07 f4' /* mov eax, [rdi]; hlt */));
    guest.quad(PDPT + 8, BigInt(Pte.p | Pte.w | 0x80));
    guest.memory.writeRam32(DATA, 0x1234);
    guest.setReg(Reg.rdi, 0x40000000n + BigInt(DATA));
    guest.finish();
    expect(guest.reg(Reg.rax)).toBe(0x1234n);
  });
});

describe('accesses across pages', () => {
  it('load, store and read-modify-write both parts', () => {
    const guest = new Guest().load(code('48 89 07 48 83 07 01 48 8b 1f f4' /* mov [rdi], rax; add qword ptr [rdi], 1; mov rbx, [rdi]; hlt */));
    // The next linear page is elsewhere in memory.
    guest.map(DATA + PAGE, 0x60000 | Pte.p | Pte.w);
    guest.setReg(Reg.rdi, BigInt(DATA + PAGE - 3));
    guest.setReg(Reg.rax, 0x1122_3344_55ff_ffffn);
    guest.finish();
    expect(guest.reg(Reg.rbx)).toBe(0x1122_3344_5600_0000n);
    expect(guest.memory.readRam32(0x60000)).toBe(0x22334456);
    expect(guest.memory.readRam8(DATA + PAGE - 1)).toBe(0);
  });

  it('a store whose second page is missing writes nothing, and CR2 is that page', () => {
    const guest = new Guest().load(code('48 89 07' /* mov [rdi], rax */));
    guest.map(DATA + PAGE, 0);
    guest.setReg(Reg.rdi, BigInt(DATA + PAGE - 3));
    guest.setReg(Reg.rax, -1n);
    guest.finish();
    expect(guest.get(stateLayout.cr2)).toBe(BigInt(DATA + PAGE));
    expect(guest.memory.readRam8(DATA + PAGE - 1)).toBe(0);
  });

  it('an access across the end of the canonical half is #GP', () => {
    const guest = new Guest().load(code('48 8b 07' /* mov rax, [rdi] */));
    guest.setReg(Reg.rdi, 0x7fff_ffff_fffcn);
    guest.finish();
    expect(guest.handled).toBe(13);
  });
});

describe('nested page faults', () => {
  it('an address outside RAM exits with both addresses, nothing retired, and can be tried again', () => {
    const guest = new Guest().load(code('90 89 47 04' /* nop; mov [rdi + 4], eax */));
    guest.setReg(Reg.rdi, BigInt(DATA));
    guest.map(DATA, 0xfee00000 | Pte.p | Pte.w);
    expect(guest.processor.run(10)).toBe(Stop.Intercept);
    const { exit } = guest.processor;
    expect(exit.kind).toBe(ExitKind.NestedPageFault);
    expect([exit.gpa, exit.gvaLo, exit.gvaHi, exit.access]).toEqual([0xfee00004, DATA + 4, 0, Access.Write]);
    expect(guest.processor.retired).toBe(1);
    expect(guest.rip).toBe(CODE + 1);
  });

  it('the permission table of the context decides on reads, writes and fetches', () => {
    const guest = new Guest().load(code('8b 07 89 07 ff e7' /* mov eax, [rdi]; mov [rdi], eax; jmp rdi */));
    guest.setReg(Reg.rdi, BigInt(DATA));
    const accesses: number[] = [];
    for (const bits of [0, 1, 3]) {
      guest.memory.setPermissions(0, DATA >> 12, 1, bits);
      expect(guest.processor.run(10)).toBe(Stop.Intercept);
      accesses.push(guest.processor.exit.access);
    }
    expect(accesses).toEqual([Access.Read, Access.Write, Access.Execute]);
    expect(guest.memory.getPermissions(0, DATA >> 12)).toBe(3);
  });

  it('a change of permissions reaches what is already translated and decoded', () => {
    const guest = new Guest().load(code('89 07 eb fc' /* mov [rdi], eax; jmp $ - 2 */));
    guest.setReg(Reg.rdi, BigInt(DATA));
    guest.processor.run(100);
    guest.memory.setPermissions(0, CODE >> 12, 1, 3);
    expect(guest.processor.run(10)).toBe(Stop.Intercept);
    expect(guest.processor.exit.access).toBe(Access.Execute);
  });

  it('a page walk that reaches a forbidden table says so', () => {
    const guest = new Guest().load(code('8b 07' /* mov eax, [rdi] */));
    guest.setReg(Reg.rdi, BigInt(0x200000));
    guest.quad(PD + 8, BigInt(0x300000 | 7));
    guest.memory.setPermissions(0, 0x300, 1, 0);
    expect(guest.processor.run(10)).toBe(Stop.Intercept);
    expect(guest.processor.exit.access).toBe(Access.Read | Access.PageWalk);
    expect(guest.processor.exit.gpa).toBe(0x300000);
  });

  it('contexts have permission tables of their own', () => {
    const guest = new Guest({ contexts: 2 }).load(code('8b 07 f4' /* mov eax, [rdi]; hlt */));
    guest.setReg(Reg.rdi, BigInt(DATA));
    const other = guest.otherProcessor(1);
    guest.memory.setPermissions(1, DATA >> 12, 1, 0);
    expect(guest.finish()).toBe(Stop.Halted);
    expect(other.run(10)).toBe(Stop.Intercept);
  });

  it('a stack in a forbidden page exits before PUSH changes RSP', () => {
    const guest = new Guest().load(code('50' /* push rax */));
    guest.memory.setPermissions(0, (STACK - 8) >> 12, 1, 5);
    expect(guest.processor.run(10)).toBe(Stop.Intercept);
    expect(guest.reg(Reg.rsp)).toBe(BigInt(STACK));
  });
});
