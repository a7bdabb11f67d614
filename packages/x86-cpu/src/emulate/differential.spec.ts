import { describe, expect, it } from 'vitest';
import { CODE, DATA_SIZE } from '../../test/differential/address-map.js';
import { BareMachine, codeWindow } from '../../test/differential/bare-machine.js';
import { ModelCpu } from '../../test/differential/model-cpu.js';
import { Random, definedCode } from '../../test/differential/random-code.js';
import { decode } from '../decode/decode.js';
import { CodeMode, createInstruction, OperandKind } from '../decode/instruction.js';
import type { Instruction } from '../decode/instruction.js';
import { Op } from '../decode/op.js';
import { Flag, STATUS_FLAGS } from './arithmetic.js';
import { emulate } from './emulate.js';
import { EmulateStatus } from './emulator-cpu.js';
import { undefinedFlags } from './undefined-flags.js';

const COMPARED = STATUS_FLAGS | Flag.DF;
const PAGE_FAULT = 14;
const instruction = createInstruction();

/**
 * Instructions with two accesses, or an access and a target: when both are bad, the manual leaves open which fault it is. The processor takes them in the order
 * of the manual's operation sections, the emulator checks addresses before it accesses anything.
 */
function accessesTwice({ op, operands }: Instruction): boolean {
  if (op === Op.Movs || op === Op.Cmps || op === Op.Call) return true;
  return (op === Op.Push || op === Op.Pop) && operands[0].kind === OperandKind.Mem;
}

/** What is compared after a step. */
interface State {
  readonly vector: number;
  readonly registers: readonly bigint[];
  readonly flags: bigint;
  readonly rip: bigint;
  readonly memory: Uint8Array;
}

function firstDifference(a: Uint8Array, b: Uint8Array): number {
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return i;
  return -1;
}

/** What the processor did otherwise, in words; undefined if nothing. */
function difference(code: Uint8Array, found: State, expected: State): string | undefined {
  const words: string[] = [];
  const compare = (name: string, a: number | bigint, b: number | bigint): void => {
    if (a !== b) words.push(`${name} ${a.toString(16)}, not ${b.toString(16)}`);
  };
  compare('vector', found.vector, expected.vector);
  for (let i = 0; i < 16; i++) compare(`register ${i}`, found.registers[i]!, expected.registers[i]!);
  compare('flags', found.flags, expected.flags);
  compare('rip', found.rip, expected.rip);
  compare('memory differs at', firstDifference(found.memory, expected.memory), -1);
  return words.length === 0 ? undefined : `${Array.from(code, (byte) => byte.toString(16).padStart(2, '0')).join(' ')}: ${words.join('; ')}`;
}

describe('the processor', () => {
  it('agrees with the emulator over random instructions and operands, faults and every REP iteration included', () => {
    const random = new Random(0x2545_f491_4f6c_dd1dn);
    const machine = new BareMachine();
    const model = new ModelCpu();
    const memory = new Uint8Array(DATA_SIZE);
    for (let i = 0; i < DATA_SIZE; i++) model.data[i] = random.below(256);
    machine.writeData(model.data);
    const vectors = new Set<number>();
    const differences: string[] = [];

    for (let count = 0; count < 6000; ) {
      const registers = Array.from({ length: 16 }, () => (random.below(3) > 0 ? random.pointer() : random.value()));
      if (random.below(2) === 0) registers[1] = BigInt(random.below(70));
      const code = definedCode(random, registers[1]!);
      if (code === undefined) continue;
      count++;
      const flags = 2n | (random.next64() & COMPARED);
      decode(code, 0, code.length, CodeMode.Bits64, instruction);
      const compared = COMPARED & ~undefinedFlags(instruction, registers[1]!);
      machine.prepare(code, registers, flags);
      model.code.set(codeWindow(code));
      model.gprs = [...registers];
      model.rflags = flags;
      model.rip = CODE;
      for (let iteration = 0; iteration < 4; iteration++) {
        const outcome = emulate(model, code, code.length);
        const vector = outcome.status === EmulateStatus.AccessFailed ? PAGE_FAULT : outcome.vector;
        const step = machine.step();
        const either = vector >= 0 && step >= 0 && accessesTwice(instruction);
        machine.readData(memory);
        const found = difference(
          code,
          { vector: step, registers: machine.registers, flags: machine.flags & compared, rip: machine.rip, memory },
          { vector: either ? step : vector, registers: model.gprs, flags: model.rflags & compared, rip: model.rip, memory: model.data },
        );
        vectors.add(vector);
        if (found !== undefined) {
          differences.push(found);
          machine.writeData(model.data);
          break;
        }
        if (outcome.status !== EmulateStatus.Repeat) break;
      }
    }
    expect(differences).toEqual([]);
    expect([...vectors].sort((a, b) => a - b)).toEqual([-1, 0, 12, 13, PAGE_FAULT]);
  });
});
