import { describe, expect, it } from 'vitest';
import { code, CODE, DATA, Guest, GDT, Reg, Selector } from '../../test/guest.js';
import { cpuidOf, stateLayout, Stop } from '../index.js';

describe('CPUID', () => {
  const out = new Int32Array(4);
  const text = (word: number): string => String.fromCharCode(word & 0xff, (word >> 8) & 0xff, (word >> 16) & 0xff, (word >>> 24) & 0xff);

  it('names the vendor in EBX, EDX, ECX', () => {
    for (const [vendor, name] of [
      ['intel', 'GenuineIntel'],
      ['amd', 'AuthenticAMD'],
    ] as const) {
      cpuidOf(vendor, 0, 0, out);
      expect(text(out[1]!) + text(out[3]!) + text(out[2]!)).toBe(name);
    }
  });

  it('claims long mode, NX, 1 GiB pages, RDTSCP and the vector instructions it has, and no AVX, OSXSAVE or hypervisor', () => {
    cpuidOf('intel', 0x80000001, 0, out);
    for (const bit of [11, 20, 26, 27, 29]) expect((out[3]! >>> bit) & 1).toBe(1);
    cpuidOf('intel', 1, 0, out);
    for (const bit of [0, 23, 24, 25, 26]) expect((out[3]! >>> bit) & 1).toBe(1);
    for (const bit of [0, 1, 9, 19, 20, 25, 26, 30]) expect((out[2]! >>> bit) & 1).toBe(1);
    for (const bit of [27, 28, 29, 31]) expect((out[2]! >>> bit) & 1).toBe(0);
  });

  it('AMD repeats the features of leaf 1 EDX in leaf 0x80000001, Intel does not (APM volume 3, E.4.1)', () => {
    const [leaf1, amd, intel] = [1, 0x80000001, 0x80000001].map((leaf, index) => (cpuidOf(index === 2 ? 'intel' : 'amd', leaf, 0, out), out[3]!));
    const repeated = 0x0183f3ff;
    expect([amd! & repeated, intel! & repeated]).toEqual([leaf1! & repeated, 0]);
  });

  it('reaches the guest through the instruction', () => {
    const guest = new Guest({ vendor: 'amd' }).load(code('0f a2' /* cpuid */));
    guest.setReg(Reg.rax, 0x80000008n);
    guest.processor.run(1);
    expect(guest.reg(Reg.rax)).toBe(BigInt(46 | (48 << 8)));
  });
});

describe('the time stamp counter', () => {
  it.each([
    ['RDTSC', '0f 31'],
    ['RDTSCP', '0f 01 f9'],
    ['RDMSR 0x10', '0f 32'],
    ['WRMSR 0x10', '0f 30'],
  ])('%s retires nothing while the clock cannot be read, and goes on when it can', (_name, bytes) => {
    let readable = false;
    const guest = new Guest({ ticks: (retired) => 1000 + retired, readable: () => readable }).load(code(`90 ${bytes} f4`));
    guest.setReg(Reg.rcx, 0x10n);
    for (let attempt = 0; attempt < 2; attempt++) {
      expect(guest.processor.run(100)).toBe(Stop.Unreadable);
      expect([guest.processor.retired, guest.rip]).toEqual([1, CODE + 1]);
    }
    readable = true;
    expect(guest.finish()).toBe(Stop.Halted);
    expect(guest.processor.retired).toBe(3);
  });
});

describe('MSRs', () => {
  it('SWAPGS exchanges GS base and KERNEL_GS_BASE, which WRMSR and RDMSR reach', () => {
    const guest = new Guest().load(code('b9 02 01 00 c0 b8 00 10 00 00 31 d2 0f 30 0f 01 f8 65 48 8b 1c 25 08 00 00 00 b9 01 01 00 c0 0f 32 f4' /* mov ecx, 0xc0000102; mov eax, 0x1000; xor edx, edx; wrmsr; swapgs; mov rbx, gs:[8]; mov ecx, 0xc0000101; rdmsr; hlt */));
    guest.quad(0x1008, 0x55n);
    guest.finish();
    expect([guest.reg(Reg.rbx), guest.reg(Reg.rax)]).toEqual([0x55n, 0x1000n]);
  });

  it('an unknown MSR, a non-canonical base and reserved bits of EFER are #GP', () => {
    for (const [msr, lo, hi] of [
      [0x1fffn, 0n, 0n],
      [0xc0000100n, 0n, 0x8000n],
      [0xc0000080n, 2n, 0n],
    ] as const) {
      const guest = new Guest().load(code('0f 30' /* wrmsr */));
      guest.setReg(Reg.rcx, msr);
      guest.setReg(Reg.rax, lo);
      guest.setReg(Reg.rdx, hi);
      guest.finish();
      expect(guest.handled).toBe(13);
    }
  });
});

describe('segments and tables', () => {
  it('LGDT and SGDT, LTR and STR keep what they were given', () => {
    const guest = new Guest().load(code('0f 01 17 0f 01 47 10 0f 00 d8 0f 00 cb f4' /* lgdt [rdi]; sgdt [rdi + 16]; ltr ax; str ebx; hlt */));
    guest.memory.writeRam8(GDT + Selector.tss + 5, 0x89);
    guest.memory.writeRam(DATA, Uint8Array.of(0x37, 0, 0, 0x30));
    guest.setReg(Reg.rdi, BigInt(DATA));
    guest.setReg(Reg.rax, BigInt(Selector.tss));
    guest.finish();
    expect(guest.handled).toBe(-1);
    expect(guest.memory.readRam32(DATA + 16)).toBe(0x30000037);
    expect(guest.reg(Reg.rbx)).toBe(BigInt(Selector.tss));
    // LTR makes the TSS busy in its descriptor.
    expect(guest.memory.readRam8(GDT + Selector.tss + 5)).toBe(0x8b);
  });

  it.each([
    ['LTR', '0f 00 d8', 0x89],
    ['LLDT', '0f 00 d0', 0x82],
  ])('%s of a descriptor whose base is not canonical is #GP with the selector, and leaves the descriptor as it was (APM volume 3)', (_name, bytes, access) => {
    const guest = new Guest().load(code(bytes));
    guest.memory.writeRam8(GDT + Selector.tss + 5, access);
    guest.memory.writeRam32(GDT + Selector.tss + 8, 0x8000);
    guest.setReg(Reg.rax, BigInt(Selector.tss));
    guest.finish();
    expect(guest.handled).toBe(13);
    expect(guest.quadAt(Number(guest.reg(Reg.rsp)))).toBe(BigInt(Selector.tss));
    expect(guest.memory.readRam8(GDT + Selector.tss + 5)).toBe(access);
  });

  it('a selector outside the GDT is #GP with the selector as error code', () => {
    const guest = new Guest().load(code('b8 48 00 00 00 8e d8' /* mov eax, 0x48; mov ds, eax */));
    guest.finish();
    expect(guest.handled).toBe(13);
    expect(guest.quadAt(Number(guest.reg(Reg.rsp)))).toBe(0x48n);
  });

  it('FS-relative accesses add the base, after a 67 prefix cut the address', () => {
    const guest = new Guest().load(code('64 8b 07 64 67 8b 1f f4' /* mov eax, fs:[rdi]; mov ebx, fs:[edi]; hlt */));
    guest.segment(4, 0, 0, BigInt(DATA));
    guest.memory.writeRam32(DATA + 8, 0x77);
    guest.setReg(Reg.rdi, 8n);
    guest.processor.run(1);
    guest.setReg(Reg.rdi, 0xffff_0000_0000_0008n);
    guest.finish();
    expect([guest.reg(Reg.rax), guest.reg(Reg.rbx)]).toEqual([0x77n, 0x77n]);
  });
});

describe('CMPXCHG16B', () => {
  it('exchanges when equal, loads when not, and is #GP when unaligned', () => {
    const guest = new Guest().load(code('48 0f c7 0f 40 0f 94 c6 48 0f c7 0f f4' /* cmpxchg16b [rdi]; setz sil; cmpxchg16b [rdi]; hlt */));
    guest.quad(DATA, 1n);
    guest.quad(DATA + 8, 2n);
    guest.setReg(Reg.rdi, BigInt(DATA));
    guest.setReg(Reg.rax, 1n);
    guest.setReg(Reg.rdx, 2n);
    guest.setReg(Reg.rbx, 3n);
    guest.setReg(Reg.rcx, 4n);
    guest.finish();
    expect([guest.quadAt(DATA), guest.quadAt(DATA + 8), guest.reg(Reg.rax), guest.reg(Reg.rdx), guest.reg(Reg.rsi)]).toEqual([3n, 4n, 3n, 4n, 1n]);
    guest.reset();
    guest.setReg(Reg.rdi, BigInt(DATA + 8));
    guest.finish();
    expect(guest.handled).toBe(13);
  });
});

describe('instructions that do not exist here', () => {
  it('are #UD', () => {
    for (const bytes of [code('c5 f8 28 c1'), code('0f 0a'), code('06'), code('f0 01 c0')]) {
      const guest = new Guest().load(bytes);
      expect(guest.finish()).toBe(Stop.Halted);
      expect(guest.handled).toBe(6);
      expect(guest.quadAt(Number(guest.reg(Reg.rsp)))).toBe(BigInt(CODE));
    }
  });

  it('more than 15 bytes are #GP', () => {
    const guest = new Guest().load(code('66 66 66 66 66 66 66 66 66 66 66 66 66 66 66 90'));
    guest.finish();
    expect(guest.handled).toBe(13);
  });

  it('a privileged state is kept in plain bytes', () => {
    const guest = new Guest().load(code('b8 5a 00 00 00 0f 23 c0 0f 23 f0 f4' /* mov eax, 0x5a; mov dr0, rax; mov dr6, rax; hlt */));
    guest.finish();
    expect(guest.get(stateLayout.dr0)).toBe(0x5an);
    expect(guest.get(stateLayout.dr6)).toBe(0xffff0ffan & 0xffffffffn);
  });
});
