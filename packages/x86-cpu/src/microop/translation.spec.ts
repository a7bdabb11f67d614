import { describe, expect, it } from 'vitest';
import { code } from '../../test/guest.js';
import { translate } from '../../test/straight-line.js';
import { LONG_MODE } from '../code/execution-mode.js';
import { findDeadFlags } from '../code/flag-use.js';
import { ExitKind, Stop } from '../contract.js';
import { CodeMode, createInstruction, decode, DecodeStatus } from '../decode/index.js';
import { BlockBuilder, loweringOf } from '../lower/index.js';
import { Segment, StateOffset } from '../memory/layout.js';
import { MemorySpace } from '../memory/space.js';
import { Mmu } from '../processor/mmu.js';
import { GuestProcessor } from '../processor/processor.js';
import { Registers } from '../processor/registers.js';
import { compileModule, instantiate } from '../wasm/platform.js';
import { Leave } from './accessors.js';

const RAM = 0x40000;
const RIP = 0x10000;
const TABLES = 0x1000;
const DATA = 0x20000;
/** Mapped, but its permissions forbid everything: an access is a nested fault. */
const FORBIDDEN = 0x30000;
const HLT = 0xf4;

/** State and RAM before every run. */
function prepare(space: MemorySpace, registers: Registers, program: Uint8Array): void {
  registers.bytes.fill(0);
  space.beforeWrite(0, RAM);
  space.u8.fill(0, space.ramStart, space.ramStart + RAM);
  const entry = (at: number, value: number): void => space.view.setUint32(space.ramStart + at, value, true);
  entry(TABLES, (TABLES + 0x1000) | 0x23);
  entry(TABLES + 0x1000, (TABLES + 0x2000) | 0x23);
  entry(TABLES + 0x2000, (TABLES + 0x3000) | 0x23);
  for (let page = 0; page < RAM >> 12; page++) entry(TABLES + 0x3000 + 8 * page, (page << 12) | 0x63);
  for (let i = 0; i < 512; i++) entry(DATA + 4 * i, Math.imul(i + 1, 0x9e3779b1));
  space.u8.set(program, space.ramStart + RIP);
  space.u8[space.ramStart + RIP + program.length] = HLT;
  registers.set(StateOffset.cr0, 0x80010033 | 0, 0);
  registers.set(StateOffset.cr3, TABLES, 0);
  registers.set(StateOffset.cr4, 0x20, 0);
  registers.set(StateOffset.efer, 0x500, 0);
  registers.setSegment(Segment.cs, 8, 0xa09b, 0xffffffff, 0, 0);
  const values = [0x1234_5678, 5, -7, 0x7fff_ffff, DATA + 0x400, 3, DATA + 0x100, DATA, -1, 0x55aa];
  values.forEach((value, i) => registers.setNumber(StateOffset.gpr + 8 * i, value));
  registers.rip = RIP;
}

/** What is compared: everything up to the budget (registers, RIP, temporaries, lazy and system flags), and RAM. */
function outcome(space: MemorySpace, registers: Registers): Uint8Array[] {
  return [registers.bytes.slice(0, StateOffset.budget), space.u8.slice(space.ramStart, space.ramStart + RAM)];
}

function lower(program: Uint8Array, context: number): { builder: BlockBuilder; starts: number[] } {
  const instructions = [];
  const starts = [0];
  for (let at = 0; at < program.length; at = starts.at(-1)!) {
    const instruction = createInstruction();
    expect(decode(program, at, program.length - at, CodeMode.Bits64, instruction)).toBe(DecodeStatus.Ok);
    instructions.push(instruction);
    starts.push(at + instruction.length);
  }
  const dead = findDeadFlags(instructions, instructions.length);
  const builder = new BlockBuilder(context);
  instructions.forEach((instruction, i) => {
    builder.instruction = instruction;
    builder.index = i;
    builder.next = RIP + starts[i + 1]!;
    builder.flagsDead = dead[i]!;
    loweringOf(instruction, LONG_MODE)!(builder);
  });
  return { builder, starts };
}

describe('micro-operations translated to straight-line code', () => {
  const cases: readonly [string, Uint8Array, string][] = [
    ['move', code('b8 07 00 00 00 48 89 fa' /* mov eax, 7; mov rdx, rdi */), 'move4#'],
    ['add with flags', code('48 01 d0' /* add rax, rdx */), 'add8.f'],
    ['subtract a byte in a high half', code('28 dc' /* sub ah, bl */), 'sub1.f'],
    ['shift with flags', code('c1 e0 05' /* shl eax, 5 */), 'shl4.f#'],
    ['address computation', code('48 8d 44 cf fd' /* lea rax, [rdi + rcx * 8 - 3] */), 'lea8.both'],
    ['load', code('48 8b 47 10' /* mov rax, [rdi + 16] */), 'load8.base'],
    ['read-modify-write', code('01 47 04' /* add dword ptr [rdi + 4], eax */), 'add4.f.modify'],
    ['read-modify-write across pages', code('48 31 87 fc 0f 00 00' /* xor qword ptr [rdi + 0xffc], rax */), 'xor8.f.modify'],
    ['push', code('53' /* push rbx */), 'push8'],
    ['conditional move', code('39 c8 48 0f 4c da' /* cmp eax, ecx; cmovl rbx, rdx */), 'select8'],
    ['multiply with flags', code('48 0f af c2' /* imul rax, rdx */), 'imul8.f'],
    ['carry chain', code('01 d8 11 d1' /* add eax, ebx; adc ecx, edx */), 'adc4.f'],
    ['lazy flags made ready', code('29 d0 9c' /* sub eax, edx; pushfq */), 'ready'],
    ['divide', code('31 d2 48 f7 f1' /* xor edx, edx; div rcx */), 'udiv8'],
    ['compare and branch', code('48 83 f9 05 75 07' /* cmp rcx, 5; jne $ + 9 */), 'cmp8.if.ne#'],
    ['REP', code('f3 a4' /* rep movsb */), 'rep.movs1'],
    ['REP with a condition', code('f3 a6' /* repe cmpsb */), 'repe.cmps1'],
  ];
  const faulting: readonly [string, Uint8Array, string][] = [
    ['load that faults', code('48 83 c0 01 48 8b 9f 00 00 01 00' /* add rax, 1; mov rbx, [rdi + 0x10000] */), 'load8.base'],
    ['read-modify-write that faults', code('48 29 c8 48 01 9f 00 00 01 00' /* sub rax, rcx; add [rdi + 0x10000], rbx */), 'add8.f.modify'],
  ];

  const space = new MemorySpace(1, RAM, 1, 0);
  space.setPermissions(0, FORBIDDEN >> 12, 1, 0);
  const processor = new GuestProcessor(space, { index: 0, permissionTable: 0, vendor: 'intel', clock: { ticks: () => 0 } });
  const registers = new Registers(space, space.contextStart(0));
  processor.intercepts.hlt = true;

  const both = (program: Uint8Array, operation: string): { stop: Stop; reason: number } => {
    prepare(space, registers, program);
    processor.writeRflags(2);
    processor.stateChanged();
    const stop = processor.run(1000);
    const interpreted = outcome(space, registers);

    const { builder, starts } = lower(program, registers.start);
    expect(builder.steps.map((step) => step.operation.name)).toContain(operation);
    prepare(space, registers, program);
    processor.writeRflags(2);
    processor.stateChanged();
    const mmu = new Mmu(space, registers, 0);
    mmu.modeChanged();
    const exports = instantiate(compileModule(translate(builder, registers.start, RIP, starts)), {
      m: { memory: space.platform, probe: (flags: number) => mmu.probe(flags), put: (size: number) => mmu.put(size) },
    });
    const reason = (exports['run'] as (context: number, tlb: number) => number)(registers.start, mmu.bank);
    expect(outcome(space, registers).map((bytes, i) => bytes.findIndex((byte, at) => byte !== interpreted[i]![at]))).toEqual([-1, -1]);
    return { stop, reason };
  };

  for (const [name, program, operation] of cases) {
    it(`${name}: ${operation} leaves the bytes the interpreter leaves`, () => {
      const { stop, reason } = both(program, operation);
      expect(stop).toBe(Stop.Intercept);
      expect(processor.exit.kind).toBe(ExitKind.Hlt);
      expect([Leave.Short, Leave.Unlinked]).toContain(reason);
    });
  }
  for (const [name, program, operation] of faulting) {
    it(`${name}: ${operation} leaves the bytes the interpreter leaves`, () => {
      const { reason } = both(program, operation);
      expect(processor.exit.kind).toBe(ExitKind.NestedPageFault);
      expect(reason).toBe(Leave.Memory);
      expect(registers.rip).toBeGreaterThan(RIP);
    });
  }
});
