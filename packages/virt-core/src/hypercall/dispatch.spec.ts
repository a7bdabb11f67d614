import { HvStatus, PAGE_SIZE, U64 } from '@paravisor/hcl-protocol';
import { beforeEach, describe, expect, it } from 'vitest';
import { FlatMemory } from '../conformance/flat-memory.js';
import { RAM_BYTES, ScriptedMachine } from '../../test/scripted-partition.js';
import type { PlainRegisters, RecordingVp } from '../../test/scripted-partition.js';
import { createParavisor } from '../vp/index.js';
import { HypercallDispatcher } from './dispatch.js';
import { hypercallTable } from './handler.js';
import type { HypercallContext, HypercallHandler } from './handler.js';

const Gpr = { Rax: 0, Rcx: 1, Rdx: 2, Rbx: 3, Rsi: 6, Rdi: 7, R8: 8 } as const;
const FAST = 1n << 16n;
const SIMPLE = 0x7001;
const REP = 0x7002;
const VTL_SWITCH = 0x7003;
const INPUT = 0x1000;
const OUTPUT = 0x3000;

/** What a handler of the test saw and answers. */
let seen: { input: bigint[]; repStart: number; repCount: number; variableHeaderBytes: number }[];
let status: number;
/** Elements the rep call does before it answers `status`. */
let elements: number;
let memory: FlatMemory;
let registers: PlainRegisters;
let backing: RecordingVp;
let log: string[];
let dispatcher: HypercallDispatcher;

function record(context: HypercallContext, inputWords: number): void {
  const input = Array.from({ length: inputWords }, (_, word) => context.input.getBigUint64(8 * word, true));
  seen.push({ input, repStart: context.repStart, repCount: context.repCount, variableHeaderBytes: context.variableHeaderBytes });
}

/** 16 bytes in, 8 out: their sum. */
const simple: HypercallHandler = {
  code: SIMPLE,
  inputBytes: 16,
  outputBytes: 8,
  takesVariableHeader: true,
  rep: null,
  call(context) {
    record(context, 4);
    context.output.setBigUint64(0, context.input.getBigUint64(0, true) + context.input.getBigUint64(8, true), true);
    return status;
  },
};

/** 8 bytes of header; each element of 8 bytes is answered by itself and the header. */
const rep: HypercallHandler = {
  code: REP,
  inputBytes: 8,
  outputBytes: 0,
  takesVariableHeader: false,
  rep: { inputBytes: 8, outputBytes: 8 },
  call(context) {
    record(context, 1);
    for (; context.repsDone < context.repCount && elements > 0; context.repsDone++, elements--) {
      const element = context.input.getBigUint64(8 + 8 * context.repsDone, true);
      context.output.setBigUint64(8 * context.repsDone, context.input.getBigUint64(0, true) + element, true);
    }
    return context.repsDone === context.repCount ? HvStatus.Success : status;
  },
};

beforeEach(() => {
  seen = [];
  status = HvStatus.Success;
  elements = Infinity;
  memory = new FlatMemory(RAM_BYTES);
  const machine = new ScriptedMachine();
  createParavisor(machine.options);
  ({ recording: backing, log } = machine);
  registers = backing.registers(0);
  const table = hypercallTable([simple, rep, { code: VTL_SWITCH, switchVtl: (_context, input) => input.lo === 1 && input.hi === 0 }]);
  dispatcher = new HypercallDispatcher({ vp: 0, memory, table });
  log.length = 0;
});

/** RAX after the call; RIP moves on unless the test says otherwise. */
function call(control: bigint, finished = true): bigint {
  if (registers.efer !== 0n) registers.gpr[Gpr.Rcx] = control;
  expect(dispatcher.dispatch(0, backing)).toBe(finished);
  return registers.gpr[Gpr.Rax]!;
}

const putWords = (gpa: number, ...values: bigint[]): void => values.forEach((word, i) => expect(memory.write(gpa + 8 * i, new Uint8Array(new BigUint64Array([word]).buffer))).toBe(true));
function words(gpa: number, count: number): bigint[] {
  const cell = new U64();
  return Array.from({ length: count }, (_, i) => (memory.readU64(gpa + 8 * i, cell), cell.toBigInt()));
}
const reps = (count: number, start = 0): bigint => (BigInt(count) << 32n) | (BigInt(start) << 48n);

describe('hypercalls (TLFS "Hypercall Interface"; openvmm hv1_hypercall)', () => {
  it('an unknown call code is answered as such, whatever the rest of the control', () => {
    expect(call(0x7fffn)).toBe(BigInt(HvStatus.InvalidHypercallCode));
    expect(call(0x7fffn | (1n << 63n) | (5n << 32n))).toBe(BigInt(HvStatus.InvalidHypercallCode));
  });

  it('HvNotifyLongSpinWait succeeds, fast or not', () => {
    const machine = new ScriptedMachine();
    createParavisor(machine.options);
    const guest = machine.recording.registers(0);
    for (const control of [0x0008n, 0x0008n | FAST]) {
      guest.gpr[Gpr.Rax] = 0xffff_ffff_ffff_ffffn;
      guest.gpr[Gpr.Rcx] = control;
      expect(machine.recording.context.handlers.hypercall(0)).toBe(true);
      expect(guest.gpr[Gpr.Rax]).toBe(BigInt(HvStatus.Success));
    }
  });

  describe('a simple call', () => {
    it('takes its input from memory at RDX and puts its output at R8', () => {
      putWords(INPUT, 40n, 2n);
      registers.gpr[Gpr.Rdx] = BigInt(INPUT);
      registers.gpr[Gpr.R8] = BigInt(OUTPUT);
      expect(call(BigInt(SIMPLE))).toBe(0n);
      expect(seen[0]!.input).toEqual([40n, 2n, 0n, 0n]);
      expect(words(OUTPUT, 2)).toEqual([42n, 0n]);
    });

    it('puts nothing out when it fails', () => {
      status = HvStatus.AccessDenied;
      putWords(INPUT, 40n, 2n);
      registers.gpr[Gpr.Rdx] = BigInt(INPUT);
      registers.gpr[Gpr.R8] = BigInt(OUTPUT);
      expect(call(BigInt(SIMPLE))).toBe(BigInt(HvStatus.AccessDenied));
      expect(words(OUTPUT, 1)).toEqual([0n]);
    });

    it('fast, takes RDX and R8, and puts its output into XMM0, the next pair', () => {
      registers.gpr[Gpr.Rdx] = 40n;
      registers.gpr[Gpr.R8] = 2n;
      expect(call(BigInt(SIMPLE) | FAST)).toBe(0n);
      expect(registers.xmm[0]).toBe(42n);
      expect(registers.gpr[Gpr.Rdx]).toBe(40n);
    });

    it('fast with a variable header, takes the XMM registers after them', () => {
      registers.gpr[Gpr.Rdx] = 1n;
      registers.gpr[Gpr.R8] = 2n;
      registers.xmm.set([3n, 4n]);
      expect(call(BigInt(SIMPLE) | FAST | (2n << 17n))).toBe(0n);
      expect(seen[0]).toMatchObject({ input: [1n, 2n, 3n, 4n], variableHeaderBytes: 16 });
      expect(registers.xmm[2]).toBe(3n);
    });

    it('sees nothing of an earlier, longer input', () => {
      registers.xmm.set([3n, 4n]);
      call(BigInt(SIMPLE) | FAST | (2n << 17n));
      call(BigInt(SIMPLE) | FAST | (1n << 17n));
      call(BigInt(SIMPLE) | FAST);
      expect(seen.slice(1).map(({ input }) => input)).toEqual([
        [0n, 0n, 3n, 0n],
        [0n, 0n, 0n, 0n],
      ]);
    });

    it.each([
      ['a rep count', reps(1)],
      ['a rep start index', reps(0, 1)],
      ['more fast input than seven register pairs hold with the output', FAST | (11n << 17n)],
    ])('with %s is invalid input', (_name, bits) => {
      expect(call(BigInt(SIMPLE) | bits)).toBe(BigInt(HvStatus.InvalidHypercallInput));
      expect(seen).toEqual([]);
    });

    it('bits that TLFS reserves in the control are not looked at (openvmm)', () => {
      expect(call(BigInt(SIMPLE) | FAST | (1n << 27n) | (1n << 44n) | (1n << 63n))).toBe(0n);
    });
  });

  describe('input and output in memory', () => {
    it.each([
      ['input that is not at a multiple of 8', INPUT + 4, OUTPUT, HvStatus.InvalidAlignment],
      ['output that is not at a multiple of 8', INPUT, OUTPUT + 4, HvStatus.InvalidAlignment],
      ['input over the end of its page', INPUT + PAGE_SIZE - 8, OUTPUT, HvStatus.InvalidHypercallInput],
      ['input outside RAM', RAM_BYTES, OUTPUT, HvStatus.InvalidHypercallInput],
      ['output outside RAM', INPUT, RAM_BYTES, HvStatus.InvalidHypercallInput],
    ])('%s is refused', (_name, input, output, expected) => {
      registers.gpr[Gpr.Rdx] = BigInt(input);
      registers.gpr[Gpr.R8] = BigInt(output);
      expect(call(BigInt(SIMPLE))).toBe(BigInt(expected));
    });
  });

  describe('a rep call', () => {
    beforeEach(() => {
      putWords(INPUT, 100n, 1n, 2n, 3n);
      registers.gpr[Gpr.Rdx] = BigInt(INPUT);
      registers.gpr[Gpr.R8] = BigInt(OUTPUT);
    });

    it('counts its elements in bits 43:32 of the result', () => {
      expect(call(BigInt(REP) | reps(3))).toBe(3n << 32n);
      expect(words(OUTPUT, 3)).toEqual([101n, 102n, 103n]);
    });

    it('that fails gives the output and the count of the elements before', () => {
      elements = 2;
      status = HvStatus.InvalidParameter;
      expect(call(BigInt(REP) | reps(3))).toBe((2n << 32n) | BigInt(HvStatus.InvalidParameter));
      expect(words(OUTPUT, 3)).toEqual([101n, 102n, 0n]);
    });

    it('goes on at its start index and writes from there', () => {
      expect(call(BigInt(REP) | reps(3, 2))).toBe(3n << 32n);
      expect(words(OUTPUT, 3)).toEqual([0n, 0n, 103n]);
    });

    it('that needs more time is executed again from where it stopped', () => {
      elements = 1;
      status = HvStatus.Timeout;
      registers.gpr[Gpr.Rax] = 7n;
      expect(call(BigInt(REP) | reps(3), false)).toBe(7n);
      expect(registers.gpr[Gpr.Rcx]).toBe(BigInt(REP) | reps(3, 1));
      elements = Infinity;
      expect(call(registers.gpr[Gpr.Rcx]!)).toBe(3n << 32n);
      expect(words(OUTPUT, 3)).toEqual([101n, 102n, 103n]);
    });

    it('fast, keeps the half of a register pair that an earlier part has put out', () => {
      registers.gpr[Gpr.Rdx] = 100n;
      registers.gpr[Gpr.R8] = 1n;
      registers.xmm.set([2n, 0n, 101n]);
      expect(call(BigInt(REP) | FAST | reps(2, 1))).toBe(2n << 32n);
      expect(Array.from(registers.xmm.subarray(2, 4))).toEqual([101n, 102n]);
    });

    it.each([
      ['no elements', reps(0)],
      ['a start index behind its elements', reps(2, 2)],
      ['a variable header', reps(1) | (1n << 17n)],
    ])('with %s is invalid input', (_name, bits) => {
      expect(call(BigInt(REP) | bits)).toBe(BigInt(HvStatus.InvalidHypercallInput));
    });
  });

  describe('a VTL switch', () => {
    it('has no result and moves RIP on', () => {
      registers.gpr[Gpr.Rax] = 1n;
      expect(call(BigInt(VTL_SWITCH))).toBe(1n);
      expect(log).toEqual([]);
    });

    it.each([
      ['its handler refuses', 2n, BigInt(VTL_SWITCH)],
      ['has more in its control than the call code', 1n, BigInt(VTL_SWITCH) | FAST],
      ['has a rep count', 1n, BigInt(VTL_SWITCH) | reps(1)],
    ])('that %s is #UD (openvmm)', (_name, input, control) => {
      registers.gpr[Gpr.Rax] = input;
      expect(call(control, false)).toBe(input);
      expect(log).toEqual(['exception 0 6 -1']);
    });
  });

  describe('outside long mode', () => {
    beforeEach(() => {
      registers.efer = 0n;
    });

    it('control is EDX:EAX, input EBX:ECX, output EDI:ESI, the result EDX:EAX', () => {
      putWords(INPUT, 100n, 1n);
      Object.assign(registers.gpr, { [Gpr.Rax]: 0xdead_0000_0000n | BigInt(REP), [Gpr.Rdx]: reps(1) >> 32n, [Gpr.Rcx]: BigInt(INPUT), [Gpr.Rsi]: BigInt(OUTPUT) });
      expect(call(0n)).toBe(0n);
      expect(registers.gpr[Gpr.Rdx]).toBe(1n);
      expect(words(OUTPUT, 1)).toEqual([101n]);
    });

    it('fast input is one register pair, and fast output there is none', () => {
      Object.assign(registers.gpr, { [Gpr.Rax]: BigInt(SIMPLE) | FAST, [Gpr.Rcx]: 1n, [Gpr.Rsi]: 2n });
      expect(call(0n)).toBe(BigInt(HvStatus.InvalidHypercallInput));
    });

    it('a VTL switch has its input in ECX', () => {
      Object.assign(registers.gpr, { [Gpr.Rax]: BigInt(VTL_SWITCH), [Gpr.Rcx]: 0xf_0000_0001n });
      call(0n);
      expect(log).toEqual([]);
    });
  });

  it('two handlers for one code are a mistake of whoever puts the table together', () => {
    expect(() => hypercallTable([simple, simple])).toThrow(RangeError);
  });
});
