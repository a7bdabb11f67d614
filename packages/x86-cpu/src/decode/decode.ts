import { BASE_RIP, CodeMode, DecodeStatus, MAX_INSTRUCTION_LENGTH, OperandKind, Rep } from './instruction.js';
import type { Instruction, Operand } from './instruction.js';
import type { Op } from './op.js';
import { FormFlag, OPCODE_MAP_64 } from './opcode-map-64.js';
import { OPCODE_MAP_LEGACY } from './opcode-map-legacy.js';
import { OPCODE_MAP_VEX } from './opcode-map-vex.js';
import { Entry, MandatoryPrefix, MapStart, compileOpcodeTable } from './opcode-table.js';
import type { OpcodeTable } from './opcode-table.js';
import { Immediate, Place, Size } from './operand-encoding.js';

const TABLE_64 = compileOpcodeTable(OPCODE_MAP_64);
const TABLE_VEX = compileOpcodeTable(OPCODE_MAP_VEX);
/** Made when it is needed first: most guests are of 64-bit code alone. */
let legacy: OpcodeTable | undefined;

const REX_W = 8;
const REX_R = 4;
const REX_X = 2;
const REX_B = 1;

/** Control registers that exist; a move to or from another is #UD (SDM vol. 2, MOV CRn). */
const CONTROL_REGISTERS = (1 << 0) | (1 << 2) | (1 << 3) | (1 << 4) | (1 << 8);

function int32At(bytes: Uint8Array, at: number): number {
  return bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
}

function int16At(bytes: Uint8Array, at: number): number {
  return ((bytes[at]! | (bytes[at + 1]! << 8)) << 16) >> 16;
}

function int8At(bytes: Uint8Array, at: number): number {
  return (bytes[at]! << 24) >> 24;
}

function setDisplacement(out: Instruction, value: number): void {
  out.dispLo = value;
  out.dispHi = value >> 31;
}

function setImmediate(out: Instruction, value: number): void {
  out.immLo = value;
  out.immHi = value >> 31;
}

/** Reads SIB and displacement of a memory ModRM; returns the position behind them. SDM vol. 2, tables 2-2 and 2-3. */
function readMemory(bytes: Uint8Array, start: number, modrm: number, rex: number, out: Instruction): number {
  let pos = start;
  const mod = modrm >> 6;
  const rm = modrm & 7;
  let displaced32 = mod === 2;
  if (rm === 4) {
    const sib = bytes[pos++]!;
    const index = ((sib >> 3) & 7) | (rex & REX_X ? 8 : 0);
    if (index !== 4) {
      out.index = index;
      out.scale = sib >> 6;
    }
    if (mod === 0 && (sib & 7) === 5) displaced32 = true;
    else out.base = (sib & 7) | (rex & REX_B ? 8 : 0);
  } else if (mod === 0 && rm === 5) {
    out.base = BASE_RIP;
    displaced32 = true;
  } else {
    out.base = rm | (rex & REX_B ? 8 : 0);
  }
  if (displaced32) {
    setDisplacement(out, int32At(bytes, pos));
    return pos + 4;
  }
  if (mod === 1) {
    setDisplacement(out, int8At(bytes, pos));
    return pos + 1;
  }
  return pos;
}

/** Base and index register of a 16-bit address by ModRM.rm (SDM vol. 2, table 2-1); -1 for none. */
const BASE_16 = [3, 3, 5, 5, 6, 7, 5, 3];
const INDEX_16 = [6, 7, 6, 7, -1, -1, -1, -1];

/** The same for 16-bit addresses. */
function readMemory16(bytes: Uint8Array, pos: number, modrm: number, out: Instruction): number {
  const mod = modrm >> 6;
  const rm = modrm & 7;
  if (mod === 0 && rm === 6) {
    setDisplacement(out, int16At(bytes, pos));
    return pos + 2;
  }
  out.base = BASE_16[rm]!;
  out.index = INDEX_16[rm]!;
  if (mod === 1) {
    setDisplacement(out, int8At(bytes, pos));
    return pos + 1;
  }
  if (mod === 2) {
    setDisplacement(out, int16At(bytes, pos));
    return pos + 2;
  }
  return pos;
}

/** Reads the immediate, branch displacement or memory offset; returns the position behind it. */
function readImmediate(bytes: Uint8Array, pos: number, kind: number, out: Instruction): number {
  switch (kind) {
    case Immediate.Signed8:
    case Immediate.Relative8:
      setImmediate(out, int8At(bytes, pos));
      return pos + 1;
    case Immediate.Unsigned8:
      out.immLo = bytes[pos]! | 0;
      return pos + 1;
    case Immediate.Unsigned16:
      out.immLo = int16At(bytes, pos) & 0xffff;
      return pos + 2;
    case Immediate.Unsigned16And8:
      out.immLo = int16At(bytes, pos) & 0xffff;
      out.imm2 = bytes[pos + 2]! | 0;
      return pos + 3;
    case Immediate.Operand32:
      if (out.operandSize === 2) {
        setImmediate(out, int16At(bytes, pos));
        return pos + 2;
      }
      setImmediate(out, int32At(bytes, pos));
      return pos + 4;
    case Immediate.Relative32:
      return readImmediate(bytes, pos, Immediate.Operand32, out);
    case Immediate.Operand64:
      if (out.operandSize === 8) {
        out.immLo = int32At(bytes, pos);
        out.immHi = int32At(bytes, pos + 4);
        return pos + 8;
      }
      return readImmediate(bytes, pos, Immediate.Operand32, out);
    case Immediate.One:
      out.immLo = 1;
      return pos;
    case Immediate.FarPointer:
      pos = readImmediate(bytes, pos, Immediate.Operand32, out);
      if (out.operandSize === 2) out.immLo &= 0xffff;
      out.immHi = 0;
      out.imm2 = int16At(bytes, pos) & 0xffff;
      return pos + 2;
    case Immediate.Offset:
      if (out.addressSize === 2) {
        out.dispLo = int16At(bytes, pos) & 0xffff;
        return pos + 2;
      }
      out.dispLo = int32At(bytes, pos);
      if (out.addressSize === 4) return pos + 4;
      out.dispHi = int32At(bytes, pos + 4);
      return pos + 8;
    default:
      return pos;
  }
}

function operandSize(mode: CodeMode, flags: number, rex: number, has66: boolean): number {
  if (flags & FormFlag.Byte) return 1;
  if (mode !== CodeMode.Bits64) return (mode === CodeMode.Bits16) !== has66 ? 2 : 4;
  if (flags & FormFlag.Force64) return 8;
  if (rex & REX_W) return flags & FormFlag.Max32 ? 4 : 8;
  if (has66) return 2;
  return flags & FormFlag.Default64 ? 8 : 4;
}

function sizeInBytes(mode: CodeMode, size: number, operandBytes: number, rex: number, isRegister: boolean): number {
  switch (size) {
    case Size.Byte:
      return 1;
    case Size.Word:
      return 2;
    case Size.Qword:
      return 8;
    case Size.Operand:
      return operandBytes;
    case Size.OperandMax4:
      return operandBytes > 4 ? 4 : operandBytes;
    case Size.RexW:
      return rex & REX_W ? 8 : 4;
    case Size.OperandOrWord:
      return isRegister ? operandBytes : 2;
    case Size.FarPointer:
      return 2 + operandBytes;
    case Size.Descriptor:
      return mode === CodeMode.Bits64 ? 10 : 6;
    case Size.Native:
      return mode === CodeMode.Bits64 ? 8 : 4;
    case Size.OperandPair:
      return 2 * operandBytes;
    case Size.RexWPair:
      return rex & REX_W ? 16 : 8;
    case Size.Oword:
      return 16;
    case Size.Dword:
      return 4;
    case Size.ByteOrDword:
      return isRegister ? 4 : 1;
    case Size.WordOrDword:
      return isRegister ? 4 : 2;
    default:
      return 0;
  }
}

/** A general register; without any REX prefix, byte registers 4 to 7 are AH, CH, DH and BH. */
function setRegister(operand: Operand, reg: number, size: number, rex: number): void {
  operand.kind = OperandKind.Reg;
  operand.size = size;
  operand.high8 = size === 1 && rex === 0 && reg >= 4;
  operand.reg = operand.high8 ? reg - 4 : reg;
}

function setOther(operand: Operand, kind: OperandKind, reg: number, size: number): void {
  operand.kind = kind;
  operand.size = size;
  operand.reg = reg;
  operand.high8 = false;
}

/** Fills one operand; false if it names a register that does not exist. `rex` has bit 6 set when there is a REX prefix. */
function setOperand(mode: CodeMode, operand: Operand, encoding: number, opcode: number, modrm: number, rex: number, vvvv: number, operandBytes: number): boolean {
  const isRegister = modrm >= 0xc0;
  const size = sizeInBytes(mode, encoding >> 8, operandBytes, rex, isRegister);
  const reg = ((modrm >> 3) & 7) | (rex & REX_R ? 8 : 0);
  switch (encoding & 0xff) {
    case Place.Rm:
      if (isRegister) setRegister(operand, (modrm & 7) | (rex & REX_B ? 8 : 0), size, rex);
      else setOther(operand, OperandKind.Mem, 0, size);
      return true;
    case Place.Reg:
      setRegister(operand, reg, size, rex);
      return true;
    case Place.OpcodeReg:
      setRegister(operand, (opcode & 7) | (rex & REX_B ? 8 : 0), size, rex);
      return true;
    case Place.Accumulator:
      setRegister(operand, 0, size, rex);
      return true;
    case Place.Counter:
      setRegister(operand, 1, size, rex);
      return true;
    case Place.Data:
      setRegister(operand, 2, size, rex);
      return true;
    case Place.Xmm:
      setOther(operand, OperandKind.Xmm, reg, size);
      return true;
    case Place.XmmRm:
      setOther(operand, isRegister ? OperandKind.Xmm : OperandKind.Mem, isRegister ? (modrm & 7) | (rex & REX_B ? 8 : 0) : 0, size);
      return true;
    case Place.Mmx:
      setOther(operand, OperandKind.Mmx, reg & 7, size);
      return true;
    case Place.MmxRm:
      setOther(operand, isRegister ? OperandKind.Mmx : OperandKind.Mem, isRegister ? modrm & 7 : 0, size);
      return true;
    case Place.Vvvv:
      setRegister(operand, vvvv, size, rex);
      return true;
    case Place.SegReg:
      // REX.R is ignored. CS (1) can be read but not loaded; operand 0 is the destination, which the caller checks.
      setOther(operand, OperandKind.SegReg, reg & 7, size);
      return (reg & 7) <= 5;
    case Place.CtrlReg:
      setOther(operand, OperandKind.CtrlReg, reg, size);
      return ((CONTROL_REGISTERS >> reg) & 1) !== 0;
    case Place.DebugReg:
      setOther(operand, OperandKind.DebugReg, reg, size);
      return reg < 8;
    case Place.Es:
    case Place.Cs:
    case Place.Ss:
    case Place.Ds:
      setOther(operand, OperandKind.SegReg, (encoding & 0xff) - Place.Es, size);
      return true;
    case Place.Fs:
      setOther(operand, OperandKind.SegReg, 4, size);
      return true;
    case Place.Gs:
      setOther(operand, OperandKind.SegReg, 5, size);
      return true;
    case Place.Immediate:
      setOther(operand, OperandKind.Imm, 0, size);
      return true;
    case Place.Relative:
      setOther(operand, OperandKind.Rel, 0, size);
      return true;
    default:
      setOther(operand, OperandKind.Mem, 0, size);
      return true;
  }
}

/** The status of an instruction that took (or was given up after) `length` bytes, of which `available` were there. */
function statusAt(length: number, available: number, status: DecodeStatus): DecodeStatus {
  if (length <= available && length <= MAX_INSTRUCTION_LENGTH) return status;
  return available < MAX_INSTRUCTION_LENGTH ? DecodeStatus.Truncated : DecodeStatus.TooLong;
}

/**
 * Decodes the instruction at `bytes[offset]` into `out`, allocating nothing.
 *
 * At most `available` bytes from `offset` belong to the caller's window; Truncated says that the instruction goes on behind them. Bytes behind the window
 * may be looked at but never decide anything. Where vendors differ, Intel's processors are followed (66 does not shorten near branches).
 * SDM volume 2, chapter 2 and appendix A.
 */
export function decode(bytes: Uint8Array, offset: number, available: number, mode: CodeMode, out: Instruction): DecodeStatus {
  const long = mode === CodeMode.Bits64;
  let table = long ? TABLE_64 : (legacy ??= compileOpcodeTable(OPCODE_MAP_LEGACY));
  let pos = offset;
  let rex = 0;
  let rep: Rep = Rep.None;
  let has66 = false;
  let has67 = false;
  let lock = false;
  let segment = -1;
  let opcode = 0;
  const prefixEnd = offset + MAX_INSTRUCTION_LENGTH;
  for (;;) {
    if (pos - offset >= available || pos >= prefixEnd) return statusAt(pos - offset + 1, available, DecodeStatus.Invalid);
    opcode = bytes[pos++]!;
    // REX counts only directly before the opcode: any prefix behind it cancels it (SDM vol. 2, 2.2.1).
    if (long && (opcode & 0xf0) === 0x40) {
      rex = opcode;
      continue;
    }
    if (opcode === 0x66) has66 = true;
    else if (opcode === 0x67) has67 = true;
    else if (opcode === 0xf0) lock = true;
    else if (opcode === 0xf2) rep = Rep.F2;
    else if (opcode === 0xf3) rep = Rep.F3;
    else if (opcode === 0x64 || opcode === 0x65) segment = opcode - 0x60;
    else if ((opcode & 0xe7) === 0x26) {
      if (!long) segment = (opcode >> 3) & 3;
    } else break;
    rex = 0;
  }

  let map: number = MapStart.OneByte;
  let vvvv = 0;
  if (opcode === 0x0f) {
    map = MapStart.TwoByte;
    opcode = bytes[pos++]! | 0;
    if (opcode === 0x38 || opcode === 0x3a) {
      map = opcode === 0x38 ? MapStart.ThreeByte38 : MapStart.ThreeByte3a;
      opcode = bytes[pos++]! | 0;
    }
  } else if ((opcode === 0xc4 || opcode === 0xc5) && (long || bytes[pos]! >= 0xc0) && pos - offset < available) {
    // VEX (SDM vol. 2, 2.3.5): nothing may stand before it, and of what it can encode there are only instructions of the three-byte maps.
    if (rex !== 0 || has66 || rep !== Rep.None || lock || opcode === 0xc5) return statusAt(pos - offset + (opcode === 0xc5 ? 2 : 3), available, DecodeStatus.Invalid);
    const first = bytes[pos++]!;
    const second = bytes[pos++]!;
    opcode = bytes[pos++]! | 0;
    const escape = first & 31;
    if ((escape !== 2 && escape !== 3) || second & 4) return statusAt(pos - offset, available, DecodeStatus.Invalid);
    table = TABLE_VEX;
    map = escape === 2 ? MapStart.ThreeByte38 : MapStart.ThreeByte3a;
    rex = long ? 0x40 | (second >> 4 & REX_W) | (~first >> 5 & 7) : 0x40;
    vvvv = (~second >> 3) & (long ? 15 : 7);
    // VEX.pp in the order of the prefixes 66, F3, F2.
    has66 = (second & 3) === 1;
    rep = (second & 3) === 2 ? Rep.F3 : (second & 3) === 3 ? Rep.F2 : Rep.None;
  }
  const row = map === MapStart.OneByte && opcode === 0x90 && rex & REX_B ? 0x91 : opcode;
  const entry = table.entries[map + row]!;
  if (entry === 0) return statusAt(pos - offset, available, DecodeStatus.Invalid);
  let modrm = entry & Entry.ModRm ? bytes[pos++]! | 0 : 0;
  let form = entry & Entry.Number;
  if (entry & Entry.Selector) {
    const mandatory =
      rep === Rep.F3 ? MandatoryPrefix.RepF3 : rep === Rep.F2 ? MandatoryPrefix.RepneF2 : has66 ? MandatoryPrefix.Operand66 : MandatoryPrefix.None;
    form = table.selectors[form * 1024 + mandatory * 256 + modrm]!;
    if (form === 0) return statusAt(pos - offset, available, DecodeStatus.Invalid);
  }

  const flags = table.flags[form]!;
  if (flags & FormFlag.RegisterRm) modrm |= 0xc0;
  out.op = table.op[form]! as Op;
  out.operandSize = operandSize(mode, flags, rex, has66);
  out.addressSize = long ? (has67 ? 4 : 8) : (mode === CodeMode.Bits16) !== has67 ? 2 : 4;
  out.condition = flags & FormFlag.Condition ? opcode & 15 : 0;
  out.rep = rep;
  out.lock = lock;
  out.segment = segment;
  out.base = -1;
  out.index = -1;
  out.scale = 0;
  out.dispLo = 0;
  out.dispHi = 0;
  out.immLo = 0;
  out.immHi = 0;
  out.imm2 = 0;

  const operandCount = table.operandCount[form]!;
  out.operandCount = operandCount;
  let exists = true;
  for (let i = 0; i < operandCount; i++) {
    if (!setOperand(mode, out.operands[i]!, table.operands[3 * form + i]!, opcode, modrm, rex, vvvv, out.operandSize)) exists = false;
  }
  if (entry & Entry.ModRm && modrm < 0xc0) {
    pos = out.addressSize === 2 ? readMemory16(bytes, pos, modrm, out) : readMemory(bytes, pos, modrm, rex, out);
    // Only 64-bit mode has addresses relative to the next instruction.
    if (!long && out.base === BASE_RIP) out.base = -1;
  }
  if (flags & FormFlag.KeepModRm) out.imm2 = (opcode & 7) << 8 | modrm;
  pos = readImmediate(bytes, pos, table.immediate[form]!, out);
  out.length = (pos - offset) | 0;

  const destination = out.operands[0];
  if (!exists || (operandCount === 2 && destination.kind === OperandKind.SegReg && destination.reg === 1)) {
    return statusAt(out.length, available, DecodeStatus.Invalid);
  }
  if (lock && !(flags & FormFlag.Lock && operandCount > 0 && destination.kind === OperandKind.Mem)) {
    return statusAt(out.length, available, DecodeStatus.Invalid);
  }
  return statusAt(out.length, available, DecodeStatus.Ok);
}
