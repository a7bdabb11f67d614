import { describe, expect, it } from 'vitest';
import { code, CODE, DATA, Guest, Pte, Reg } from '../../test/guest.js';
import { ExitKind, stateLayout, Stop } from '../index.js';
import type { Intercepts } from '../index.js';

type Flags = { [K in keyof Intercepts as Intercepts[K] extends boolean ? K : never]: Intercepts[K] };

/** Runs to the intercept and returns its kind; nothing may have retired and RIP must not have moved. */
function intercepted(guest: Guest, change: Partial<Intercepts>): number {
  Object.assign(guest.processor.intercepts, change);
  guest.processor.interceptsChanged();
  const before = guest.processor.retired;
  expect(guest.processor.run(100)).toBe(Stop.Intercept);
  expect(guest.processor.retired).toBe(before);
  expect(guest.rip).toBe(CODE);
  return guest.processor.exit.kind;
}

describe('intercepts', () => {
  const cases: readonly [string, Uint8Array, keyof Flags, number, number][] = [
    ['CPUID', code('0f a2' /* cpuid */), 'cpuid', ExitKind.Cpuid, 2],
    ['HLT', code('f4' /* hlt */), 'hlt', ExitKind.Hlt, 1],
    ['PAUSE', code('f3 90' /* pause */), 'pause', ExitKind.Pause, 2],
    ['RDTSC', code('0f 31' /* rdtsc */), 'rdtsc', ExitKind.Rdtsc, 2],
    ['RDTSCP', code('0f 01 f9' /* rdtscp */), 'rdtsc', ExitKind.Rdtsc, 3],
    ['RDPMC', code('0f 33' /* rdpmc */), 'rdpmc', ExitKind.Rdpmc, 2],
    ['WBINVD', code('0f 09' /* wbinvd */), 'wbinvd', ExitKind.Wbinvd, 2],
    ['INVD', code('0f 08' /* invd */), 'invd', ExitKind.Invd, 2],
    ['VMCALL', code('0f 01 c1' /* vmcall */), 'vmcall', ExitKind.Vmcall, 3],
    ['TDCALL', code('66 0f 01 cc'), 'tdcall', ExitKind.Tdcall, 4],
    ['MONITOR', code('0f 01 c8' /* monitor */), 'monitor', ExitKind.Monitor, 3],
    ['MWAIT', code('0f 01 c9' /* mwait */), 'monitor', ExitKind.Mwait, 3],
    ['LGDT', code('0f 01 17' /* lgdt [rdi] */), 'descriptorTables', ExitKind.DescriptorTable, 3],
    ['OUT', code('e6 80' /* out 0x80, al */), 'io', ExitKind.Io, 2],
    ['MOV to CR3', code('0f 22 d8' /* mov cr3, rax */), 'cr3Load', ExitKind.CrAccess, 3],
    ['MOV from CR3', code('0f 20 d8' /* mov rax, cr3 */), 'cr3Store', ExitKind.CrAccess, 3],
    ['MOV to CR8', code('44 0f 22 c0' /* mov cr8, rax */), 'cr8Load', ExitKind.CrAccess, 4],
    ['MOV to DR7', code('0f 23 f8' /* mov dr7, rax */), 'drAccess', ExitKind.DrAccess, 3],
  ];
  for (const [name, bytes, flag, kind, length] of cases) {
    it(`${name} exits when asked to, with its length`, () => {
      const guest = new Guest().load(bytes);
      expect(intercepted(guest, { [flag]: true })).toBe(kind);
      expect(guest.processor.exit.instructionLength).toBe(length);
    });
  }

  it('VMMCALL and VMGEXIT are AMD instructions, VMCALL is #UD there', () => {
    for (const [bytes, kind] of [
      [code('0f 01 d9' /* vmmcall */), ExitKind.Vmmcall],
      [code('f3 0f 01 d9'), ExitKind.Vmgexit],
    ] as const) {
      expect(intercepted(new Guest({ vendor: 'amd' }).load(bytes), { vmcall: true })).toBe(kind);
    }
    const guest = new Guest({ vendor: 'amd' }).load(code('0f 01 c1' /* vmcall */));
    guest.processor.intercepts.vmcall = true;
    guest.finish();
    expect(guest.handled).toBe(6);
  });

  it('privilege comes before the intercept: HLT in ring 3 is #GP', () => {
    const guest = new Guest().load(code('f4' /* hlt */));
    guest.map(CODE, CODE | Pte.p | Pte.u);
    guest.enterUser();
    guest.processor.intercepts.hlt = true;
    guest.processor.intercepts.exceptions = 1 << 13;
    expect(guest.processor.run(10)).toBe(Stop.Intercept);
    expect(guest.processor.exit.kind).toBe(ExitKind.Exception);
    expect([guest.processor.exit.vector, guest.processor.exit.hasErrorCode, guest.processor.exit.errorCode]).toEqual([13, 1, 0]);
  });

  it('the MSR bitmap decides by number and direction; outside its ranges every access exits', () => {
    const guest = new Guest().load(code('0f 32' /* rdmsr */));
    const { intercepts, exit } = guest.processor;
    intercepts.msrBitmap[0x174 >> 3] = 1 << (0x174 & 7);
    guest.setReg(Reg.rcx, 0x174n);
    expect(intercepted(guest, {})).toBe(ExitKind.MsrRead);
    guest.setReg(Reg.rcx, 0x4000_0020n);
    expect(intercepted(guest, {})).toBe(ExitKind.MsrRead);
    guest.setReg(Reg.rcx, 0x175n);
    expect(guest.processor.run(1)).toBe(Stop.Budget);
    guest.reset();
    guest.load(code('0f 30' /* wrmsr */));
    intercepts.msrBitmap[2048 + 1024 + (0x82 >> 3)] = 1 << (0x82 & 7);
    guest.setReg(Reg.rcx, 0xc000_0082n);
    expect(intercepted(guest, {})).toBe(ExitKind.MsrWrite);
    expect(exit.instructionLength).toBe(2);
  });

  it('port I/O tells port, size, direction and string forms', () => {
    const guest = new Guest().load(code('ed' /* in eax, dx */));
    guest.setReg(Reg.rdx, 0x3f8n);
    intercepted(guest, { io: true });
    const { exit } = guest.processor;
    expect([exit.port, exit.size, exit.isIn, exit.isString, exit.isRep]).toEqual([0x3f8, 4, 1, 0, 0]);
    guest.load(code('f3 6e' /* rep outsb */));
    guest.setReg(Reg.rcx, 2n);
    guest.setReg(Reg.rsi, BigInt(DATA));
    intercepted(guest, { io: true });
    expect([exit.port, exit.size, exit.isIn, exit.isString, exit.isRep, exit.addressSize]).toEqual([0x3f8, 1, 0, 1, 1, 8]);
  });

  it('without an intercept IN reads all ones and OUT goes nowhere', () => {
    const guest = new Guest().load(code('e4 60 e6 60 f4' /* in al, 0x60; out 0x60, al; hlt */));
    guest.finish();
    expect(guest.reg(Reg.rax)).toBe(0xffn);
  });

  it('CR0 and CR4 exit when masked bits would change against the shadow, and read as the shadow', () => {
    const guest = new Guest().load(code('0f 20 e0 0f 22 e0 0f 22 e3' /* mov rax, cr4; mov cr4, rax; mov cr4, rbx */));
    const { intercepts, exit } = guest.processor;
    intercepts.cr4Mask = 0x2000;
    intercepts.cr4Shadow = 0x2000;
    guest.setReg(Reg.rbx, 0x20n);
    expect(guest.processor.run(10)).toBe(Stop.Intercept);
    expect(guest.rip).toBe(CODE + 6);
    expect(guest.reg(Reg.rax)).toBe(0x2020n);
    expect(guest.get(stateLayout.cr4)).toBe(0x20n);
    expect([exit.kind, exit.vector, exit.crAccess, exit.register]).toEqual([ExitKind.CrAccess, 4, 0, Reg.rbx]);
  });

  it('CLTS exits where the mask and the shadow have TS', () => {
    const guest = new Guest().load(code('0f 06' /* clts */));
    expect(intercepted(guest, { cr0Mask: 8, cr0Shadow: 8 })).toBe(ExitKind.CrAccess);
    expect(guest.processor.exit.crAccess).toBe(2);
  });

  it('an exception in the bitmap exits instead of being delivered, CR2 untouched', () => {
    const guest = new Guest().load(code('8b 07' /* mov eax, [rdi] */));
    guest.setReg(Reg.rdi, 0x12345678n);
    expect(intercepted(guest, { exceptions: 1 << 14 })).toBe(ExitKind.Exception);
    const { exit } = guest.processor;
    expect([exit.vector, exit.gvaLo, exit.errorCode]).toEqual([14, 0x12345678, 0]);
    expect(guest.get(stateLayout.cr2)).toBe(0n);
  });

  it('XSETBV exits once CR4.OSXSAVE allows the instruction', () => {
    const guest = new Guest().load(code('0f 01 d1' /* xsetbv */));
    guest.set(stateLayout.cr4, 0x40020n);
    guest.processor.stateChanged();
    expect(intercepted(guest, { xsetbv: true })).toBe(ExitKind.Xsetbv);
  });
});
