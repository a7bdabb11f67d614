import { describe, expect, it } from 'vitest';
import { code } from '../../test/guest.js';
import { Stop } from '../contract.js';
import type { Executor } from '../contract.js';
import { Segment, StateOffset } from '../memory/layout.js';
import { createMachineMemory, spaceOf } from '../memory/machine-memory.js';
import { GuestProcessor } from '../processor/processor.js';
import type { ProcessorState } from '../processor/saved-state.js';
import { Registers } from '../processor/registers.js';

const RAM = 0x40000;
const RIP = 0x10000;
const TABLES = 0x1000;
const DATA = 0x20000;
/** Mapped, but its permissions forbid everything: an access is a nested fault. */
const FORBIDDEN = 0x30000;

/** What shows of a run: why it stopped, everything that a saved processor has, and RAM. */
interface Outcome {
  readonly stops: readonly number[];
  readonly state: ProcessorState;
  readonly ram: Uint8Array;
}

/** A loop around a program: `dec r15; jnz program; hlt`. */
function loopOf(program: Uint8Array): Uint8Array {
  const distance = -(program.length + 3 + 6);
  return Uint8Array.of(...program, 0x49, 0xff, 0xcf, 0x0f, 0x85, ...new Uint8Array(Int32Array.of(distance).buffer), 0xf4);
}

function run(program: Uint8Array, executor: Executor, slice: number): Outcome {
  const memory = createMachineMemory({ contexts: 1, ramBytes: RAM, permissionTables: 1, hostPages: 0 });
  const space = spaceOf(memory);
  space.setPermissions(0, FORBIDDEN >> 12, 1, 0);
  const processor: GuestProcessor = new GuestProcessor(space, { index: 0, permissionTable: 0, vendor: 'intel', clock: { ticks: () => processor.retired }, executor });
  const registers = new Registers(space, space.contextStart(0));
  processor.intercepts.hlt = true;
  const entry = (at: number, value: number): void => memory.writeRam32(at, value);
  entry(TABLES, (TABLES + 0x1000) | 0x23);
  entry(TABLES + 0x1000, (TABLES + 0x2000) | 0x23);
  entry(TABLES + 0x2000, (TABLES + 0x3000) | 0x23);
  for (let page = 0; page < RAM >> 12; page++) entry(TABLES + 0x3000 + 8 * page, (page << 12) | 0x63);
  for (let i = 0; i < 512; i++) entry(DATA + 4 * i, Math.imul(i + 1, 0x9e3779b1));
  memory.writeRam(RIP, loopOf(program));
  registers.set(StateOffset.cr0, 0x80010033 | 0, 0);
  registers.set(StateOffset.cr3, TABLES, 0);
  registers.set(StateOffset.cr4, 0x20, 0);
  registers.set(StateOffset.efer, 0x500, 0);
  registers.setSegment(Segment.cs, 8, 0xa09b, 0xffffffff, 0, 0);
  const values = [0x1234_5678, 5, -7, 0x7fff_ffff, DATA + 0x400, 3, DATA + 0x100, DATA, -1, 0x55aa];
  values.forEach((value, i) => registers.setNumber(StateOffset.gpr + 8 * i, value));
  registers.setNumber(StateOffset.gpr + 8 * 15, 40);
  registers.rip = RIP;
  processor.writeRflags(2);
  processor.stateChanged();
  const stops: number[] = [];
  do stops.push(processor.run(slice));
  while (stops.at(-1) === Stop.Budget && stops.length < 2000);
  const ram = new Uint8Array(RAM);
  memory.readRam(0, ram);
  return { stops, state: processor.save(), ram };
}

describe('the translator leaves what the interpreter leaves', () => {
  const programs: Record<string, string> = {
    'moves': 'b8 07 00 00 00 48 89 fa' /* mov eax, 7; mov rdx, rdi */,
    'add with flags': '48 01 d0' /* add rax, rdx */,
    'a byte in a high half': '28 dc' /* sub ah, bl */,
    'shift with flags': 'c1 e0 05' /* shl eax, 5 */,
    'shift by a register': 'd3 e0 9c 5a' /* shl eax, cl; pushfq; pop rdx */,
    'address computation': '48 8d 44 cf fd' /* lea rax, [rdi + rcx * 8 - 3] */,
    'load': '48 8b 47 10' /* mov rax, [rdi + 16] */,
    'read-modify-write': '01 47 04' /* add dword ptr [rdi + 4], eax */,
    'read-modify-write across pages': '48 31 87 fc 0f 00 00' /* xor qword ptr [rdi + 0xffc], rax */,
    'store across pages': '48 89 87 fd 0f 00 00 48 ff c0' /* mov [rdi + 0xffd], rax; inc rax */,
    'push and pop': '53 59' /* push rbx; pop rcx */,
    'conditional move': '39 c8 48 0f 4c da' /* cmp eax, ecx; cmovl rbx, rdx */,
    'compare and exchange, equal and not': '0f b1 cb 48 0f b1 17' /* cmpxchg ebx, ecx; cmpxchg [rdi], rdx */,
    'multiply with flags': '48 0f af c2' /* imul rax, rdx */,
    'carry chain': '01 d8 11 d1' /* add eax, ebx; adc ecx, edx */,
    'flags made ready': '29 d0 9c 5b' /* sub eax, edx; pushfq; pop rbx */,
    'divide': '31 d2 48 f7 f1' /* xor edx, edx; div rcx */,
    'divide that overflows in the end': '31 d2 48 d1 e9 48 f7 f1' /* xor edx, edx; shr rcx, 1; div rcx */,
    'branch on what is loaded': 'a8 10 75 03 48 ff c3 48 ff c0' /* test al, 16; jnz over inc rbx; inc rax */,
    'REP MOVS': 'b9 05 00 00 00 f3 a4 48 83 ef 05 48 83 ee 05' /* mov ecx, 5; rep movsb; sub rdi, 5; sub rsi, 5 */,
    'REP with a condition': 'b9 05 00 00 00 f3 a6' /* mov ecx, 5; repe cmpsb */,
    'a call and a return': 'e8 02 00 00 00 eb 04 48 ff c0 c3' /* call over the jump; jmp behind; inc rax; ret */,
    'an indirect jump': '48 8d 15 05 00 00 00 ff e2 48 ff c0 90 90 90' /* lea rdx, [rip + 5]; jmp rdx; inc rax; nops */,
    'a load that faults in the end': '48 81 c7 00 08 00 00 48 8b 1f' /* add rdi, 0x800; mov rbx, [rdi] */,
    'a store that faults in the end': '48 81 c7 00 08 00 00 01 1f' /* add rdi, 0x800; add [rdi], ebx */,
    'a store onto its own code': 'ff 05 00 00 00 00 90' /* inc dword ptr [rip]; what it changes is a NOP */.replace('90', 'b9 00 00 00 00 b9 00 00 00 00'),
    'segment bases and direction': 'fd 48 ad fc 48 ab 64 8b 07' /* std; lodsq; cld; stosq; mov eax, fs:[rdi] */,
    'CLI among flags that nobody has made yet': '39 d8 fb 90 fa 9c 5a 01 d8 fa 11 d1' /* cmp eax, ebx; sti; nop; cli; pushfq; pop rdx; add eax, ebx; cli; adc ecx, edx */,
    'a system instruction in the loop': '0f a2 b8 01 00 00 00 48 8d 3d 00 00 01 00' /* cpuid; mov eax, 1; lea rdi, [rip + 0x10000] */,
  };
  const slices = [1_000_000, 37, 1];
  const cases = Object.entries(programs).flatMap(([name, bytes]) => slices.map((slice) => [name, slice, code(bytes)] as const));
  it.each(cases)('%s, %i instructions a run', (_name, slice, program) => {
    const expected = run(program, 'interpreter', slice);
    for (const executor of ['translator', 'auto'] as const) {
      const { ram, ...rest } = run(program, executor, slice);
      expect(rest).toEqual({ stops: expected.stops, state: expected.state });
      expect(ram.findIndex((byte, at) => byte !== expected.ram[at])).toBe(-1);
    }
  });
});
