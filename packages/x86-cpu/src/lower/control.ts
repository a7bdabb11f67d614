import { OperandKind, Rep } from '../decode/instruction.js';
import { Op } from '../decode/op.js';
import { LOGIC_CONDITIONS, LOGIC_SYNONYMS, SUB_CONDITIONS } from '../microop/condition.js';
import { hasMicroOp } from '../microop/catalog.js';
import { CONDITION_NAMES, FlagKind } from '../microop/flags.js';
import type { ConditionName } from '../microop/flags.js';
import { Temporary } from './builder.js';
import type { BlockBuilder } from './builder.js';
import type { Lowerings } from './lowering.js';

/** Transfers of control and string instructions. */
export const controls: Lowerings = new Map();

const RAX = 0;
const RCX = 1;
const RSP = 4;
const RSI = 6;
const RDI = 7;

/** The operations that decide the instruction's condition: the flags' source if it is known and suits, else ready flags. */
function conditionSource(b: BlockBuilder): string {
  const name = CONDITION_NAMES[b.instruction.condition]!;
  const source = b.flagSource;
  if (source?.kind === FlagKind.Sub && SUB_CONDITIONS.includes(name)) return `sub${source.size}.${name}`;
  if (source?.kind === FlagKind.Logic) {
    const synonym = LOGIC_SYNONYMS[name] ?? name;
    if (LOGIC_CONDITIONS.includes(synonym)) return `logic${source.size}.${synonym}`;
  }
  // Zero and sign follow from a result whatever became of CF and OF.
  if (source?.kind === FlagKind.Result && ['e', 'ne', 's', 'ns'].includes(name)) return `logic${source.size}.${name}`;
  b.ready();
  return `ready.${name}`;
}

/** Puts the truth of the instruction's condition into a slot, as 0 or 1. */
export function emitCondition(b: BlockBuilder, slot: number): void {
  b.emit(`is.${conditionSource(b)}`, slot);
}

/** Merges a comparison or a counting step with the branch that follows it; false if there is none to merge. */
function mergeComparison(b: BlockBuilder, name: ConditionName, taken: number, otherwise: number): boolean {
  const last = b.steps.at(-1);
  const parts = last && /^(cmp|test|add|sub)([1248])(\.f)?(#?)$/.exec(last.operation.name);
  if (last === undefined || parts === null || parts === undefined) return false;
  const counting = parts[1] === 'add' || parts[1] === 'sub';
  if (counting !== (parts[3] !== undefined)) return false;
  const condition = parts[1] === 'test' ? (LOGIC_SYNONYMS[name] ?? name) : name;
  const merged = `${parts[1]}${parts[2]}.if.${condition}${parts[4]}`;
  if (!hasMicroOp(merged)) return false;
  b.steps.pop();
  b.emit(merged, ...last.fields, taken, otherwise);
  return true;
}

controls.set(Op.Jcc, (b) => {
  const taken = b.branchTarget();
  const otherwise = b.target(b.next);
  if (mergeComparison(b, CONDITION_NAMES[b.instruction.condition]!, taken, otherwise)) return;
  b.emit(`if.${conditionSource(b)}`, taken, otherwise);
});

controls.set(Op.Jmp, (b) => {
  const destination = b.instruction.operands[0];
  if (destination.kind === OperandKind.Rel) b.emit('goto', b.branchTarget());
  else if (destination.kind === OperandKind.Mem) b.emit('jump.load', ...b.baseAddress());
  else b.emit('jump', b.slot(destination));
});

controls.set(Op.Call, (b) => {
  const destination = b.instruction.operands[0];
  const back = b.number(b.next);
  const stack = b.register(RSP);
  if (destination.kind === OperandKind.Rel) b.emit('call', stack, back, b.branchTarget());
  else b.emit('call.jump', stack, back, b.value(destination, 8));
});

controls.set(Op.Ret, (b) => b.emit('return', b.register(RSP), b.instruction.operandCount > 0 ? b.instruction.immLo : 0));

for (const op of [Op.Loop, Op.Loope, Op.Loopne, Op.Jrcxz] as const) {
  controls.set(op, (b) => {
    const size = b.sizeOf(b.instruction.addressSize);
    const taken = b.branchTarget();
    const otherwise = b.target(b.next);
    const counter = b.register(RCX);
    const condition = b.temporary(Temporary.condition);
    if (op === Op.Jrcxz) {
      b.emit(`nonzero${size}`, condition, counter);
      b.emit('if.slot', condition, otherwise, taken);
      return;
    }
    const equal = b.temporary(Temporary.first);
    if (op !== Op.Loop) {
      b.ready();
      b.emit(`is.ready.${op === Op.Loope ? 'e' : 'ne'}`, equal);
    }
    b.emit(`sub${size}`, counter, counter, b.number(1));
    b.emit(`nonzero${size}`, condition, counter);
    if (op !== Op.Loop) b.emit('and8', condition, condition, equal);
    b.emit('if.slot', condition, taken, otherwise);
  });
}

for (const [op, name] of [
  [Op.Movs, 'movs'],
  [Op.Stos, 'stos'],
  [Op.Lods, 'lods'],
  [Op.Cmps, 'cmps'],
  [Op.Scas, 'scas'],
] as const) {
  controls.set(op, (b) => {
    const { rep, addressSize, operandSize } = b.instruction;
    const size = b.sizeOf(operandSize);
    const suffix = addressSize === 4 ? '.a4' : '';
    const fields = [b.register(RAX), b.register(RCX), b.register(RSI), b.register(RDI), b.sourceBase()];
    const compares = op === Op.Cmps || op === Op.Scas;
    if (rep === Rep.None) {
      b.emit(`${name}${size}${suffix}`, ...fields);
      if (compares) b.leaves(FlagKind.Sub, size);
      return;
    }
    const repetition = !compares ? 'rep' : rep === Rep.F2 ? 'repne' : 'repe';
    const again = b.target(b.next - b.instruction.length);
    b.emit(`${repetition}.${name}${size}${suffix}`, ...fields, again, b.target(b.next));
  });
}
