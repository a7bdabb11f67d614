import { OperandKind, Op, Rep } from '../../src/decode/index.js';
import type { Instruction } from '../../src/decode/index.js';

/** Cases in which this package deliberately does otherwise than the recorded processor. */
export interface KnownDifference {
  readonly reason: string;
  /** Who differs. */
  readonly processor: boolean;
  readonly emulator: boolean;
  /** The vector raised here instead, -1 for none; undefined where it depends on the case. */
  readonly vector: number | undefined;
  /** Is the instruction, decoded as far as it goes, of the class? */
  applies(instruction: Instruction): boolean;
}

function known(reason: string, who: 'both' | 'processor' | 'emulator', vector: number | undefined, applies: (instruction: Instruction) => boolean): KnownDifference {
  return { reason, processor: who !== 'emulator', emulator: who !== 'processor', vector, applies };
}

const isOneOf =
  (...ops: Op[]) =>
  ({ op }: Instruction): boolean =>
    ops.includes(op);

/** All of them. What differs otherwise is an error; a row without a case is one too. */
export const KNOWN_DIFFERENCES: readonly KnownDifference[] = [
  known('the emulator leaves IOPL to its owner', 'emulator', undefined, isOneOf(Op.In, Op.Out, Op.Ins, Op.Outs)),
  known('AMD: UD0 and UD1 take no ModRM byte, so that their ends are never fetched', 'processor', 14, isOneOf(Op.Ud0, Op.Ud1)),
  known('AMD: LOCK MOV CR0 is MOV CR8 (APM volume 3, MOV CRn)', 'both', 6, ({ op, lock }) => op === Op.MovCr && lock),
  known('AMD: LOCK before VERW of memory is not #UD', 'both', 6, ({ op, lock, operands }) => op === Op.Verw && lock && operands[0].kind === OperandKind.Mem),
  known(
    'AMD: F2 and F3, reserved here, turn LOOPE and LOOPNE into each other',
    'both',
    -1,
    ({ op, rep }) => (op === Op.Loope && rep === Rep.F2) || (op === Op.Loopne && rep === Rep.F3),
  ),
];

/** The same of 32-bit code, which the emulator's recording does not have. */
export const KNOWN_DIFFERENCES_32: readonly KnownDifference[] = KNOWN_DIFFERENCES.filter(({ processor, emulator }) => processor && emulator);
