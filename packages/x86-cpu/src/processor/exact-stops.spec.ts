import { describe, expect, it } from 'vitest';
import { code, CODE, DATA, Guest, Reg } from '../../test/guest.js';
import { Costed, ExitKind, stateLayout, Stop } from '../index.js';

/** Pieces of code that a random program is made of; RDI points to data, RSI and RBX into it. */
const PIECES = [
  code('48 01 d8' /* add rax, rbx */),
  code('29 d1' /* sub ecx, edx */),
  code('4c 33 47 08' /* xor r8, [rdi + 8] */),
  code('48 01 47 10' /* add [rdi + 16], rax */),
  code('48 ff c2' /* inc rdx */),
  code('ff 0f' /* dec dword ptr [rdi] */),
  code('4c 11 c0' /* adc rax, r8 */),
  code('18 e1' /* sbb cl, ah */),
  code('48 c1 e2 03' /* shl rdx, 3 */),
  code('d3 f8' /* sar eax, cl */),
  code('41 c1 c1 05' /* rol r9d, 5 */),
  code('48 0f af c2' /* imul rax, rdx */),
  code('4c 89 4f 20' /* mov [rdi + 32], r9 */),
  code('0f b6 47 03' /* movzx eax, byte ptr [rdi + 3] */),
  code('4c 63 57 10' /* movsxd r10, dword ptr [rdi + 16] */),
  code('50 41 59' /* push rax; pop r9 */),
  code('48 39 d0 0f 92 c3' /* cmp rax, rdx; setb bl */),
  code('85 d2 4c 0f 44 c0' /* test edx, edx; cmove r8, rax */),
  code('48 0f ba e0 05 48 83 d2 00' /* bt rax, 5; adc rdx, 0 */),
  code('38 d8 76 03 49 f7 d0' /* cmp al, bl; jbe $ + 5; not r8 */),
  code('b9 03 00 00 00 f3 aa 48 83 ef 03' /* mov ecx, 3; rep stosb; sub rdi, 3 */),
  code('48 8d 77 40 b9 02 00 00 00 f3 48 a5 48 83 ef 10' /* lea rsi, [rdi + 64]; mov ecx, 2; rep movsq; sub rdi, 16 */),
  code('48 0f c1 57 18' /* xadd [rdi + 24], rdx */),
  code('4c 0f b1 47 08' /* cmpxchg [rdi + 8], r8 */),
  code('49 0f c9 49 91' /* bswap r9; xchg r9, rax */),
  code('9c 41 5a' /* pushfq; pop r10 */),
  code('f3 48 0f b8 c2' /* popcnt rax, rdx */),
  code('e8 02 00 00 00 eb 01 c3' /* call $ + 7; jmp $ + 3; ret */),
];

const LOOP_END = code('49 ff cb' /* dec r11 */);

/** A program that loops a few times over random pieces. */
function randomProgram(seed: number): Uint8Array {
  let state = seed;
  const next = (below: number): number => {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    return (state >>> 16) % below;
  };
  const pieces = Array.from({ length: 3 + next(12) }, () => PIECES[next(PIECES.length)]!);
  const body = pieces.flatMap((piece) => [...piece]);
  body.push(...LOOP_END);
  const back = -(body.length + 6);
  // JNZ rel32 to the top, then HLT.
  return Uint8Array.from([...body, 0x0f, 0x85, back & 0xff, (back >> 8) & 0xff, 0xff, 0xff, 0xf4]);
}

function prepare(guest: Guest, program: Uint8Array): void {
  guest.reset();
  guest.memory.writeRam(DATA, Uint8Array.from({ length: 256 }, (_, i) => (i * 37) & 0xff));
  guest.load(program);
  guest.setReg(Reg.rdi, BigInt(DATA));
  guest.setReg(Reg.rax, 0x1234_5678_9abc_def0n);
  guest.setReg(Reg.rdx, 0xfedc_ba98n);
  guest.setReg(Reg.r11, 4n);
}

function run(guest: Guest, count: number): Stop {
  const before = guest.processor.retired;
  const stop = guest.processor.run(count);
  if (stop === Stop.Budget) expect(guest.processor.retired - before).toBe(count);
  return stop;
}

describe('exact stops', () => {
  it('running n instructions at once is running n times one, for every n of random programs', () => {
    const once = new Guest();
    const stepped = new Guest();
    for (let seed = 1; seed <= 12; seed++) {
      const program = randomProgram(seed);
      prepare(stepped, program);
      const registers: string[] = [];
      const registersOf = (guest: Guest): string =>
        [guest.rip, guest.processor.readRflags(), ...Array.from({ length: 16 }, (_, i) => guest.reg(i).toString(16))].join(' ');
      while (run(stepped, 1) === Stop.Budget) registers.push(registersOf(stepped));
      const end = stepped.snapshot();
      for (let n = 1; n <= registers.length; n++) {
        prepare(once, program);
        expect(run(once, n)).toBe(Stop.Budget);
        expect(registersOf(once)).toBe(registers[n - 1]);
      }
      expect(run(once, 1000)).toBe(Stop.Halted);
      expect(once.snapshot()).toEqual(end);
    }
  });

  it('slices of any length end in the same state', () => {
    const guest = new Guest();
    for (let seed = 20; seed < 30; seed++) {
      const program = randomProgram(seed);
      prepare(guest, program);
      const start = guest.processor.retired;
      while (run(guest, 1_000_000) === Stop.Budget);
      const expected = guest.snapshot();
      const retired = guest.processor.retired - start;
      for (const slice of [2, 3, 7, 31, 33]) {
        prepare(guest, program);
        const before = guest.processor.retired;
        while (run(guest, slice) === Stop.Budget);
        expect(guest.processor.retired - before).toBe(retired);
        expect(guest.snapshot()).toEqual(expected);
      }
    }
  });

  it('each iteration of a REP instruction is one, and leaves the registers between iterations', () => {
    const guest = new Guest().load(code('f3 a4 f4' /* rep movsb; hlt */));
    guest.memory.writeRam(DATA, Uint8Array.of(1, 2, 3, 4, 5));
    guest.setReg(Reg.rsi, BigInt(DATA));
    guest.setReg(Reg.rdi, BigInt(DATA + 256));
    guest.setReg(Reg.rcx, 5n);
    expect(run(guest, 3)).toBe(Stop.Budget);
    expect(guest.rip).toBe(CODE);
    expect([guest.reg(Reg.rcx), guest.reg(Reg.rsi), guest.reg(Reg.rdi)]).toEqual([2n, BigInt(DATA + 3), BigInt(DATA + 259)]);
    expect(run(guest, 2)).toBe(Stop.Budget);
    expect(guest.rip).toBe(CODE + 2);
    expect(guest.memory.readRam32(DATA + 256)).toBe(0x04030201);
  });

  it('a REP instruction with count 0 retires 1 and touches nothing', () => {
    const guest = new Guest().load(code('f3 48 ab' /* rep stosq */));
    guest.setReg(Reg.rdi, 0x7000_0000_0000n);
    expect(run(guest, 1)).toBe(Stop.Budget);
    expect(guest.rip).toBe(CODE + 3);
  });

  it('an interrupt comes between two iterations and returns to the same instruction', () => {
    const guest = new Guest().load(code('f3 aa f4' /* rep stosb; hlt */));
    guest.setReg(Reg.rdi, BigInt(DATA));
    guest.setReg(Reg.rcx, 10n);
    guest.processor.writeRflags(0x202);
    run(guest, 4);
    guest.processor.virtualInterrupt = 0x50;
    guest.finish();
    expect(guest.handled).toBe(0x50);
    expect(guest.quadAt(Number(guest.reg(Reg.rsp)))).toBe(BigInt(CODE));
    expect(guest.reg(Reg.rcx)).toBe(6n);
  });

  it('a fault in an iteration keeps the iterations before it', () => {
    const guest = new Guest().load(code('f3 aa' /* rep stosb */));
    guest.map(DATA + 0x1000, 0);
    guest.setReg(Reg.rdi, BigInt(DATA + 0xffd));
    guest.setReg(Reg.rcx, 10n);
    guest.finish();
    expect(guest.handled).toBe(14);
    expect([guest.reg(Reg.rcx), guest.reg(Reg.rdi)]).toEqual([7n, BigInt(DATA + 0x1000)]);
  });

  it('REPE CMPSB and REPNE SCASB stop where they differ or match', () => {
    const guest = new Guest().load(code('f3 a6 f4' /* repe cmpsb; hlt */));
    guest.memory.writeRam(DATA, Uint8Array.of(7, 7, 7, 9, 7));
    guest.memory.writeRam(DATA + 64, Uint8Array.of(7, 7, 7, 8, 7));
    guest.setReg(Reg.rsi, BigInt(DATA));
    guest.setReg(Reg.rdi, BigInt(DATA + 64));
    guest.setReg(Reg.rcx, 5n);
    guest.finish();
    expect(guest.reg(Reg.rcx)).toBe(1n);
    expect(guest.processor.readRflags() & 0x40).toBe(0);
    guest.reset();
    guest.load(code('f2 ae f4' /* repne scasb; hlt */));
    guest.setReg(Reg.rax, 9n);
    guest.setReg(Reg.rdi, BigInt(DATA));
    guest.setReg(Reg.rcx, 5n);
    guest.finish();
    expect(guest.reg(Reg.rcx)).toBe(1n);
    expect(guest.processor.readRflags() & 0x40).toBe(0x40);
  });
});

describe('time', () => {
  it('RDTSC sees the instructions retired before it, plus the offset, and ends the run', () => {
    const guest = new Guest({ ticks: (retired) => 1000 + 3 * retired }).load(code('90 90 0f 31 90' /* nop; nop; rdtsc; nop */));
    guest.set(stateLayout.tscOffset, 0x1_0000_0000n);
    expect(guest.processor.run(100)).toBe(Stop.Costed);
    expect(guest.processor.exit.kind).toBe(Costed.Rdtsc);
    expect(guest.processor.retired).toBe(3);
    expect((guest.reg(Reg.rdx) << 32n) | guest.reg(Reg.rax)).toBe(0x1_0000_0000n + 1006n);
  });

  it('PAUSE, CPUID and WBINVD retire and end the run, so that their cost can be charged', () => {
    const guest = new Guest().load(code('f3 90 0f a2 0f 09' /* pause; cpuid; wbinvd */));
    const kinds: number[] = [];
    for (let i = 0; i < 3; i++) {
      expect(guest.processor.run(100)).toBe(Stop.Costed);
      kinds.push(guest.processor.exit.kind);
    }
    expect(kinds).toEqual([Costed.Pause, Costed.Cpuid, Costed.Wbinvd]);
    expect(guest.processor.retired).toBe(3);
  });

  it('a handler whose first instruction faults, so that nothing ever retires, ends the run for time to pass (CVE-2015-5307, CVE-2015-8104)', () => {
    const guest = new Guest().load(code('90 0f 0b' /* nop; ud2 */));
    guest.gate(6, CODE + 1, { ist: 1 });
    for (let i = 0; i < 10; i++) {
      expect(guest.processor.run(100)).toBe(Stop.Costed);
      expect(guest.processor.exit.kind).toBe(Costed.Event);
      expect(guest.processor.retired).toBe(1);
    }
  });

  it('HLT retires 1; an intercepted HLT retires nothing and RIP stays at it', () => {
    const guest = new Guest().load(code('f4' /* hlt */));
    expect(guest.processor.run(5)).toBe(Stop.Halted);
    expect([guest.processor.retired, guest.rip]).toEqual([1, CODE + 1]);
    guest.reset();
    guest.processor.intercepts.hlt = true;
    guest.processor.interceptsChanged();
    expect(guest.processor.run(5)).toBe(Stop.Intercept);
    expect([guest.processor.retired, guest.rip]).toEqual([1, CODE]);
    expect(guest.processor.exit.kind).toBe(ExitKind.Hlt);
    expect(guest.processor.exit.instructionLength).toBe(1);
  });
});
