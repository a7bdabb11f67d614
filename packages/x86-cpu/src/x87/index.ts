/** The x87: D8 to DF by ModRM (SDM volume 2, tables ). */
import type { Instruction } from '../decode/instruction.js';
import { Op } from '../decode/op.js';
import { EXTENDED, FloatFlag, indefiniteOf } from '../float/index.js';
import { Flag } from '../microop/flags.js';
import { StateOffset } from '../memory/layout.js';
import type { Core } from '../processor/core.js';
import { Vector } from '../processor/fault.js';
import { Cr0 } from '../processor/registers.js';
import { operandAddress } from '../system/operands.js';
import { Outcome } from '../system/outcome.js';
import type { SystemInstructions } from '../system/outcome.js';
import { Group } from './arithmetic.js';
import { loadEnvironment, storeEnvironment } from './environment.js';
import { loadDecimal, loadFloat, loadInteger, storeDecimal, storeFloat, storeInteger } from './memory.js';
import { arithmetic, compareFlags, compareStack, copyTo, exchange, free, push, store } from './operations.js';
import { topOfStack } from './top-of-stack.js';
import { Status } from './unit.js';
import type { X87Unit } from './unit.js';

export const x87Instructions: SystemInstructions = new Map();

/** FCMOVcc by the row of DA (and, negated, DB). */
const MOVE_CONDITIONS = [Flag.cf, Flag.zf, Flag.cf | Flag.zf, Flag.pf] as const;

function conditionalMove(core: Core, unit: X87Unit, i: number, row: number, negate: boolean): void {
  const holds = (core.readFlags() & MOVE_CONDITIONS[row]!) !== 0;
  unit.begin();
  unit.operand(0);
  const value = unit.operand(i);
  unit.end(true);
  if (unit.isBlocked) return;
  if (unit.hasStackFault) unit.setBits(0, indefiniteOf(EXTENDED));
  else if (holds !== negate) unit.setBits(0, value);
}

/** ModRM C0 to FF. False for what is no instruction. */
function registerForm(core: Core, unit: X87Unit, opcode: number, modrm: number): boolean {
  const row = (modrm >> 3) & 7;
  const i = modrm & 7;
  const st = (): bigint => unit.operand(i);
  switch (opcode) {
    case 0:
      if (row === Group.Com || row === Group.Comp) compareStack(unit, st, true, row - Group.Com);
      else arithmetic(unit, row, 0, st, 0);
      return true;
    case 1:
      if (row === 0) push(unit, st);
      else if (row === 1) exchange(unit, i);
      else if (row === 3) {
        // FSTP without a stack fault: an empty register is not copied.
        if (!unit.isEmpty(0)) unit.setBits(i, unit.bits(0));
        unit.pop();
        unit.status &= ~Status.c1;
      } else return topOfStack(unit, modrm);
      return true;
    case 2:
      if (row < 4) conditionalMove(core, unit, i, row, false);
      else if (modrm === 0xe9) compareStack(unit, () => unit.operand(1), false, 2);
      else return false;
      return true;
    case 3:
      if (row < 4) conditionalMove(core, unit, i, row, true);
      else if (row === 5) compareFlags(core, unit, i, false, 0);
      else if (row === 6) compareFlags(core, unit, i, true, 0);
      else return false;
      return true;
    case 4:
    case 6: {
      const pops = opcode === 6 ? 1 : 0;
      if (row === Group.Com) compareStack(unit, st, true, pops);
      else if (row === Group.Comp) {
        if (opcode === 6 && modrm !== 0xd9) return false;
        compareStack(unit, st, true, opcode === 6 ? 2 : 1);
      } else {
        // The destination is ST(i): SUB and SUBR, DIV and DIVR have changed places.
        const group = row >= Group.Sub ? row ^ 1 : row;
        arithmetic(unit, group, i, () => unit.operand(0), pops);
      }
      return true;
    }
    case 5:
      if (row === 0) free(unit, i);
      else if (row === 1) exchange(unit, i);
      else if (row === 2 || row === 3) copyTo(unit, i, row === 3);
      else if (row === 4 || row === 5) compareStack(unit, st, false, row - 4);
      else return false;
      return true;
    default:
      if (row === 0) {
        free(unit, i);
        unit.pop();
      } else if (row === 1) exchange(unit, i);
      else if (row === 2 || row === 3) copyTo(unit, i, true);
      else if (row === 5 || row === 6) compareFlags(core, unit, i, row === 6, 1);
      else return false;
      return true;
  }
}

/** ModRM below C0. */
function memoryForm(core: Core, unit: X87Unit, opcode: number, row: number, instruction: Instruction): boolean {
  const address = operandAddress(core, instruction);
  if (opcode % 2 === 0) {
    const operand = [() => loadFloat(core, unit, address, 4), () => loadInteger(core, unit, address, 4), () => loadFloat(core, unit, address, 8), () => loadInteger(core, unit, address, 2)][opcode / 2]!;
    if (row === Group.Com || row === Group.Comp) compareStack(unit, operand, true, row - Group.Com);
    else arithmetic(unit, row, 0, operand, 0);
    return true;
  }
  switch (`${opcode} ${row}`) {
    case '1 0':
      push(unit, () => loadFloat(core, unit, address, 4));
      return true;
    case '5 0':
      push(unit, () => loadFloat(core, unit, address, 8));
      return true;
    case '3 5':
      push(unit, () => loadFloat(core, unit, address, 10));
      return true;
    case '1 2':
    case '1 3':
      store(unit, () => storeFloat(core, unit, address, 4), row === 3);
      return true;
    case '5 2':
    case '5 3':
      store(unit, () => storeFloat(core, unit, address, 8), row === 3);
      return true;
    case '3 7':
      store(unit, () => storeFloat(core, unit, address, 10), true);
      return true;
    case '3 0':
    case '7 0':
      push(unit, () => loadInteger(core, unit, address, opcode === 3 ? 4 : 2));
      return true;
    case '7 5':
      push(unit, () => loadInteger(core, unit, address, 8));
      return true;
    case '3 1':
    case '5 1':
    case '7 1':
      store(unit, () => storeInteger(core, unit, address, opcode === 3 ? 4 : opcode === 5 ? 8 : 2, true), true);
      return true;
    case '3 2':
    case '3 3':
    case '7 2':
    case '7 3':
      store(unit, () => storeInteger(core, unit, address, opcode === 3 ? 4 : 2, false), row === 3);
      return true;
    case '7 7':
      store(unit, () => storeInteger(core, unit, address, 8, false), true);
      return true;
    case '7 4':
      push(unit, () => loadDecimal(core, unit, address));
      return true;
    case '7 6':
      store(unit, () => storeDecimal(core, unit, address), true);
      return true;
    case '1 4':
      loadEnvironment(core, unit, address, instruction.operandSize, false);
      return true;
    case '1 5':
      unit.control = core.read16(address, core.mmu.mode);
      return true;
    case '5 4':
      loadEnvironment(core, unit, address, instruction.operandSize, true);
      return true;
    default:
      return false;
  }
}

/** Instructions that do not wait for a pending exception. False when it is none of them. */
function control(core: Core, unit: X87Unit, code: number, instruction: Instruction): boolean {
  switch (code) {
    case 0x3e0:
    case 0x3e1:
    case 0x3e4:
      // FNENI, FNDISI, FNSETPM: nothing any more.
      return true;
    case 0x3e2:
      unit.status &= ~(Status.flags | Status.stackFault);
      return true;
    case 0x3e3:
      unit.reset();
      return true;
    case 0x7e0:
      core.registers.setGpr(0, (core.registers.gprLo(0) & ~0xffff) | unit.status, core.registers.gprHi(0));
      return true;
  }
  if ((code & 0xff) >= 0xc0) return false;
  const address = operandAddress(core, instruction);
  switch ((code >> 8) * 8 + ((code >> 3) & 7)) {
    case 1 * 8 + 6:
      storeEnvironment(core, unit, address, instruction.operandSize, false);
      unit.control |= Status.flags;
      return true;
    case 1 * 8 + 7:
      core.writeSized(address, 2, unit.control, 0, core.mmu.mode);
      return true;
    case 5 * 8 + 6:
      storeEnvironment(core, unit, address, instruction.operandSize, true);
      unit.reset();
      return true;
    case 5 * 8 + 7:
      core.writeSized(address, 2, unit.status, 0, core.mmu.mode);
      return true;
    default:
      return false;
  }
}

x87Instructions.set(Op.X87, (core, instruction) => {
  const unit = core.x87;
  const code = instruction.imm2;
  const opcode = code >> 8;
  const modrm = code & 0xff;
  unit.require(false);
  if (control(core, unit, code, instruction)) return Outcome.Done;
  unit.takePending();
  const exists = modrm >= 0xc0 ? registerForm(core, unit, opcode, modrm) : memoryForm(core, unit, opcode, (modrm >> 3) & 7, instruction);
  if (!exists) core.raise(Vector.ud, -1);
  // An exception that is now pending is told about with where it came from; nothing else ever looks (APM volume 5, "last instruction pointer").
  if (unit.env.flags & ~unit.env.masked & ~FloatFlag.Precision) rememberInstruction(core, code);
  return Outcome.Done;
});

function rememberInstruction(core: Core, code: number): void {
  const { registers } = core;
  registers.set(StateOffset.x87Instruction, registers.lo(StateOffset.rip), registers.hi(StateOffset.rip));
  registers.u16[StateOffset.x87Opcode >> 1] = code & 0x7ff;
}

/** WAIT: a pending exception, and #NM by CR0.MP and CR0.TS together. */
x87Instructions.set(Op.Fwait, (core) => {
  const cr0 = core.registers.lo(StateOffset.cr0);
  if (cr0 & Cr0.mp && cr0 & Cr0.ts) core.raise(Vector.nm, -1);
  core.x87.takePending();
  return Outcome.Done;
});
