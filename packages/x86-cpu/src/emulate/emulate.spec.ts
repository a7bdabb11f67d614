import { describe, expect, it } from 'vitest';
import { CodeMode } from '../decode/instruction.js';
import { emulate } from './emulate.js';
import { EmulateStatus } from './emulator-cpu.js';
import type { EmulateOutcome, EmulatorCpu } from './emulator-cpu.js';

const RAX = 0;
const RCX = 1;
const RDX = 2;
const RBX = 3;
const RSP = 4;
const RSI = 6;
const RDI = 7;
const CF = 1n;
const ZF = 0x40n;
const DF = 0x400n;

/** A processor over 4 KiB of memory at 0, with a log of what was asked of it and addresses that refuse. */
class TestCpu implements EmulatorCpu {
  codeMode: CodeMode = CodeMode.Bits64;
  rip = 0x8000n;
  rflags = 2n;
  readonly gprs = Array.from({ length: 16 }, () => 0n);
  readonly memory = new Uint8Array(4096);
  readonly log: string[] = [];
  readonly bases = [0n, 0n, 0n, 0n, 0x100n, 0x200n];
  unreadable = -1n;
  unwritable = -1n;
  portValue: bigint | undefined = 0x1234_5678n;

  readGpr(register: number): bigint {
    return this.gprs[register]!;
  }

  writeGpr(register: number, value: bigint): void {
    this.log.push(`gpr${register}`);
    this.gprs[register] = value;
  }

  segmentBase(segment: number): bigint {
    return this.bases[segment]!;
  }

  readMemory(linear: bigint, size: number): bigint | undefined {
    this.log.push(`read ${linear.toString(16)}/${size}`);
    if (linear === this.unreadable) return undefined;
    return this.peek(Number(linear), size);
  }

  writeMemory(linear: bigint, size: number, value: bigint): boolean {
    this.log.push(`write ${linear.toString(16)}/${size}`);
    if (linear === this.unwritable) return false;
    for (let i = 0; i < size; i++) this.memory[Number(linear) + i] = Number((value >> BigInt(8 * i)) & 0xffn);
    return true;
  }

  canWriteMemory(linear: bigint, size: number): boolean {
    this.log.push(`probe ${linear.toString(16)}/${size}`);
    return linear !== this.unwritable;
  }

  readPort(port: number, size: number): bigint | undefined {
    this.log.push(`in ${port.toString(16)}/${size}`);
    return this.portValue === undefined ? undefined : this.portValue & ((1n << BigInt(8 * size)) - 1n);
  }

  writePort(port: number, size: number, value: bigint): boolean {
    this.log.push(`out ${port.toString(16)}/${size} ${value.toString(16)}`);
    return true;
  }

  peek(at: number, size: number): bigint {
    let value = 0n;
    for (let i = size - 1; i >= 0; i--) value = (value << 8n) | BigInt(this.memory[at + i]!);
    return value;
  }

  poke(at: number, size: number, value: bigint): void {
    for (let i = 0; i < size; i++) this.memory[at + i] = Number((value >> BigInt(8 * i)) & 0xffn);
  }

  snapshot(): unknown {
    return { gprs: [...this.gprs], rip: this.rip, rflags: this.rflags, memory: this.memory.slice() };
  }
}

function run(cpu: TestCpu, hex: string): EmulateOutcome {
  const bytes = Uint8Array.from(hex.split(' '), (byte) => Number.parseInt(byte, 16));
  return emulate(cpu, bytes, bytes.length);
}

describe('emulate', () => {
  it('probes, loads, stores, and only then commits registers (ADD [rbx], eax)', () => {
    const cpu = new TestCpu();
    cpu.gprs[RBX] = 0x40n;
    cpu.gprs[RAX] = 0xffff_ffffn;
    cpu.poke(0x40, 4, 1n);
    expect(run(cpu, '01 03').status).toBe(EmulateStatus.Done);
    expect(cpu.log).toEqual(['probe 40/4', 'read 40/4', 'write 40/4']);
    expect(cpu.peek(0x40, 4)).toBe(0n);
    expect(cpu.rflags & (CF | ZF)).toBe(CF | ZF);
    expect(cpu.rip).toBe(0x8002n);
  });

  it.each([
    ['add [rbx], rax', '48 01 03'],
    ['xchg [rbx], rax', '48 87 03'],
    ['xadd [rbx], rax', '48 0f c1 03'],
    ['cmpxchg [rbx], rcx', '48 0f b1 0b'],
    ['cmpxchg16b [rbx]', '48 0f c7 0b'],
    ['mov [rbx], rax', '48 89 03'],
    ['stosq', '48 ab'],
    ['movsq', '48 a5'],
    ['insd', '6d'],
    ['pop [rbx]', '8f 03'],
    ['push rax', '50'],
    ['call +0', 'e8 00 00 00 00'],
    ['sete [rbx]', '0f 94 03'],
    ['shl [rbx], 3', '48 c1 23 03'],
    ['bts [rbx], eax', '0f ab 03'],
  ])('a refused store leaves everything as it was: %s', (_, hex) => {
    const cpu = new TestCpu();
    cpu.gprs.fill(0x70n);
    cpu.gprs[RBX] = 0x40n;
    cpu.gprs[RDI] = 0x40n;
    cpu.gprs[RSP] = hex.startsWith('8f') ? 0x80n : 0x48n;
    cpu.gprs[RAX] = 0n;
    cpu.unwritable = 0x40n;
    const before = cpu.snapshot();
    expect(run(cpu, hex).status).toBe(EmulateStatus.AccessFailed);
    expect(cpu.snapshot()).toEqual(before);
  });

  it.each([
    ['mov rax, [rbx]', '48 8b 03'],
    ['add rax, [rbx]', '48 03 03'],
    ['cmovne rax, [rbx]', '48 0f 45 03'],
    ['lodsq', '48 ad'],
    ['cmpsb', 'a6'],
    ['pop rax', '58'],
    ['push [rbx]', 'ff 33'],
    ['leave', 'c9'],
    ['ret', 'c3'],
    ['mul qword [rbx]', '48 f7 23'],
    ['xlat', 'd7'],
    ['outsb', '6e'],
  ])('a refused load leaves everything as it was: %s', (_, hex) => {
    const cpu = new TestCpu();
    cpu.gprs.fill(0x40n);
    cpu.gprs[RAX] = 0n;
    cpu.unreadable = 0x40n;
    const before = cpu.snapshot();
    expect(run(cpu, hex).status).toBe(EmulateStatus.AccessFailed);
    expect(cpu.snapshot()).toEqual(before);
  });

  it('does not touch a device it may not write back to', () => {
    const cpu = new TestCpu();
    cpu.gprs[RBX] = 0x40n;
    cpu.unwritable = 0x40n;
    run(cpu, '83 0b 01');
    expect(cpu.log).toEqual(['probe 40/4']);
  });

  it('adds FS and GS bases, behind the cut to the address size', () => {
    const cpu = new TestCpu();
    cpu.gprs[RBX] = 0xffff_ffff_0000_0040n;
    run(cpu, '65 67 8b 43 10');
    run(cpu, '64 67 8b 43 10');
    expect(cpu.log.filter((line) => line.startsWith('read'))).toEqual(['read 250/4', 'read 150/4']);
  });

  it('addresses relative to the next instruction, immediate bytes included', () => {
    const cpu = new TestCpu();
    cpu.rip = 0x100n;
    run(cpu, 'c6 05 10 00 00 00 2a');
    expect(cpu.memory[0x117]).toBe(0x2a);
  });

  it('finds a bit of a bit string on either side of its operand (SDM vol. 2, BT)', () => {
    const cpu = new TestCpu();
    cpu.gprs[RBX] = 0x100n;
    cpu.gprs[RCX] = BigInt.asUintN(64, -1n);
    run(cpu, '0f ab 0b');
    expect(cpu.peek(0xfc, 4)).toBe(0x8000_0000n);
    cpu.gprs[RCX] = 67n;
    run(cpu, '48 0f ab 0b');
    expect(cpu.peek(0x108, 8)).toBe(8n);
  });

  it('does one iteration of a REP a call, and says whether more follow', () => {
    const cpu = new TestCpu();
    cpu.gprs[RCX] = 2n;
    cpu.gprs[RDI] = 0x300n;
    cpu.gprs[RAX] = 0xabn;
    expect(run(cpu, 'f3 aa').status).toBe(EmulateStatus.Repeat);
    expect([cpu.rip, cpu.gprs[RCX], cpu.gprs[RDI]]).toEqual([0x8000n, 1n, 0x301n]);
    expect(run(cpu, 'f3 aa').status).toBe(EmulateStatus.Done);
    expect([cpu.rip, cpu.gprs[RCX], cpu.gprs[RDI]]).toEqual([0x8002n, 0n, 0x302n]);
    cpu.log.length = 0;
    expect(run(cpu, 'f3 aa').status).toBe(EmulateStatus.Done);
    expect(cpu.log).toEqual([]);
  });

  it('ends REPNE SCAS at the match and REPE CMPS at the difference', () => {
    const cpu = new TestCpu();
    cpu.gprs[RCX] = 9n;
    cpu.gprs[RDI] = 0x10n;
    cpu.gprs[RAX] = 7n;
    cpu.poke(0x11, 1, 7n);
    expect(run(cpu, 'f2 ae').status).toBe(EmulateStatus.Repeat);
    expect(run(cpu, 'f2 ae').status).toBe(EmulateStatus.Done);
    expect([cpu.gprs[RCX], cpu.gprs[RDI], cpu.rflags & ZF]).toEqual([7n, 0x12n, ZF]);
    cpu.gprs[RSI] = 0x10n;
    cpu.gprs[RDI] = 0x20n;
    expect(run(cpu, 'f3 a6').status).toBe(EmulateStatus.Repeat);
    expect(run(cpu, 'f3 a6').status).toBe(EmulateStatus.Done);
    expect(cpu.gprs[RCX]).toBe(5n);
  });

  it('moves string pointers down when DF is set, and port data up to the last iteration', () => {
    const cpu = new TestCpu();
    cpu.rflags |= DF;
    cpu.gprs[RCX] = 2n;
    cpu.gprs[RDX] = 0xf_03f8n;
    cpu.gprs[RSI] = 0x20n;
    cpu.poke(0x1e, 4, 0x1111_2222n);
    run(cpu, 'f3 66 6f');
    run(cpu, 'f3 66 6f');
    expect(cpu.log.filter((line) => line.startsWith('out'))).toEqual(['out 3f8/2 1111', 'out 3f8/2 2222']);
    expect(cpu.gprs[RSI]).toBe(0x1cn);
  });

  it('reads and writes ports', () => {
    const cpu = new TestCpu();
    cpu.gprs[RAX] = 0xaaaa_bbbb_cccc_ddddn;
    cpu.gprs[RDX] = 0x70n;
    run(cpu, 'ec');
    expect(cpu.gprs[RAX]).toBe(0xaaaa_bbbb_cccc_dd78n);
    run(cpu, 'e5 64');
    expect(cpu.gprs[RAX]).toBe(0x1234_5678n);
    run(cpu, '66 ef');
    expect(cpu.log.filter((line) => /^(in|out)/.test(line))).toEqual(['in 70/1', 'in 64/4', 'out 70/2 5678']);
    cpu.portValue = undefined;
    expect(run(cpu, 'ec').status).toBe(EmulateStatus.AccessFailed);
  });

  it('keeps a 32-bit register whole when CMPXCHG fails, and writes memory back (seen on an EPYC)', () => {
    const cpu = new TestCpu();
    cpu.gprs[RBX] = 0xffff_0000_0000_0001n;
    cpu.gprs[RAX] = 0xeeee_0000_0000_0002n;
    run(cpu, '0f b1 cb');
    expect([cpu.gprs[RBX], cpu.gprs[RAX]]).toEqual([0xffff_0000_0000_0001n, 1n]);
    cpu.gprs[RBX] = 0x40n;
    run(cpu, '0f b1 0b');
    expect(cpu.log).toContain('write 40/4');
  });

  it('raises #DE, #GP(0) and #SS(0) with nothing changed', () => {
    const cpu = new TestCpu();
    cpu.gprs[RDX] = 1n;
    cpu.gprs[RBX] = 0x0000_8000_0000_0000n;
    cpu.gprs[RSP] = 0x0000_8000_0000_0000n;
    const before = cpu.snapshot();
    expect(run(cpu, '48 f7 f1')).toEqual({ status: EmulateStatus.Exception, vector: 0, errorCode: -1 });
    expect(run(cpu, '48 f7 f2')).toEqual({ status: EmulateStatus.Exception, vector: 0, errorCode: -1 });
    expect(run(cpu, '48 8b 03')).toEqual({ status: EmulateStatus.Exception, vector: 13, errorCode: 0 });
    expect(run(cpu, '48 8b 04 24')).toEqual({ status: EmulateStatus.Exception, vector: 12, errorCode: 0 });
    expect(run(cpu, '58')).toEqual({ status: EmulateStatus.Exception, vector: 12, errorCode: 0 });
    expect(run(cpu, '48 8b 43 ff').status).toBe(EmulateStatus.Exception);
    expect(cpu.snapshot()).toEqual(before);
  });

  it('needs a 16-byte boundary for CMPXCHG16B', () => {
    const cpu = new TestCpu();
    cpu.gprs[RBX] = 0x48n;
    expect(run(cpu, '48 0f c7 0b')).toEqual({ status: EmulateStatus.Exception, vector: 13, errorCode: 0 });
    expect(run(cpu, '0f c7 0b').status).toBe(EmulateStatus.Done);
  });

  it('says what it will not do', () => {
    const cpu = new TestCpu();
    expect(run(cpu, '0f 30').status).toBe(EmulateStatus.NotEmulated);
    expect(run(cpu, '0f 20 c0').status).toBe(EmulateStatus.NotEmulated);
    expect(run(cpu, '8e d8').status).toBe(EmulateStatus.NotEmulated);
    expect(run(cpu, '06')).toEqual({ status: EmulateStatus.Exception, vector: 6, errorCode: -1 });
    expect(run(cpu, '48 8b').status).toBe(EmulateStatus.Truncated);
    expect(emulate(cpu, new Uint8Array(16).fill(0x66), 16)).toEqual({ status: EmulateStatus.Exception, vector: 13, errorCode: 0 });
  });
});
