/** FNSTENV, FLDENV, FNSAVE, FRSTOR: the x87's environment in memory (SDM volume 1, figures 8-9 to 8-12). */
import type { Linear } from '../code/block.js';
import { StateOffset } from '../memory/layout.js';
import type { Core } from '../processor/core.js';
import { PageAccess } from '../paging/index.js';
import { Status } from './unit.js';
import type { X87Unit } from './unit.js';

const REGISTER_BYTES = 10;

/** Seven words or seven double words, by operand size. */
const environmentBytes = (size: number): number => (size === 2 ? 14 : 28);
const imageBytes = (size: number, registers: boolean): number => environmentBytes(size) + (registers ? 8 * REGISTER_BYTES : 0);

const CHUNK = 16;

/** Reads or writes any number of bytes; all of a write must be possible before any of it is done. */
function readAll(core: Core, address: Linear, into: Uint8Array, access: number): void {
  const chunk = new Uint8Array(CHUNK);
  for (let at = 0; at < into.length; at += CHUNK) {
    const size = Math.min(CHUNK, into.length - at);
    core.readBytes(address + at, size, access, chunk);
    into.set(chunk.subarray(0, size), at);
  }
}

export function readImage(core: Core, address: Linear, into: Uint8Array): void {
  readAll(core, address, into, core.mmu.mode);
}

export function writeImage(core: Core, address: Linear, from: Uint8Array): void {
  readAll(core, address, new Uint8Array(from.length), core.mmu.mode | PageAccess.Write);
  for (let at = 0; at < from.length; at += CHUNK) core.writeBytes(address + at, Math.min(CHUNK, from.length - at), core.mmu.mode, from.slice(at, at + CHUNK));
}

/** Stores the environment, with the registers for FNSAVE. Operand sizes other than 2 have the 32-bit format. */
export function storeEnvironment(core: Core, unit: X87Unit, address: Linear, size: number, registers: boolean): void {
  const image = new Uint8Array(imageBytes(size, registers));
  const view = new DataView(image.buffer);
  const word = size === 2 ? 2 : 4;
  const put = (index: number, value: number, high = 0xffff): void => {
    view.setUint16(index * word, value & 0xffff, true);
    if (word === 4) view.setUint16(index * word + 2, high, true);
  };
  const state = core.registers;
  put(0, unit.control);
  put(1, unit.status);
  put(2, unit.fullTags);
  const instruction = state.lo(StateOffset.x87Instruction);
  const data = state.lo(StateOffset.x87Data);
  put(3, instruction, instruction >>> 16);
  put(4, state.u16[StateOffset.x87InstructionSelector >> 1]!, state.u16[StateOffset.x87Opcode >> 1]! & 0x7ff);
  put(5, data, data >>> 16);
  put(6, state.u16[StateOffset.x87DataSelector >> 1]!);
  if (registers) {
    for (let i = 0; i < 8; i++) {
      const bits = unit.bits(i);
      const at = environmentBytes(size) + i * REGISTER_BYTES;
      view.setBigUint64(at, BigInt.asUintN(64, bits), true);
      view.setUint16(at + 8, Number(bits >> 64n), true);
    }
  }
  writeImage(core, address, image);
}

export function loadEnvironment(core: Core, unit: X87Unit, address: Linear, size: number, registers: boolean): void {
  const image = new Uint8Array(imageBytes(size, registers));
  readImage(core, address, image);
  const view = new DataView(image.buffer);
  const word = size === 2 ? 2 : 4;
  const get = (index: number): number => view.getUint16(index * word, true);
  unit.control = get(0);
  unit.status = get(1) & ~(Status.summary | Status.busy);
  const tags = get(2);
  const state = core.registers;
  const long = (index: number): number => (word === 4 ? view.getInt32(index * word, true) : get(index));
  state.set(StateOffset.x87Instruction, long(3), 0);
  state.set(StateOffset.x87Data, long(5), 0);
  state.u16[StateOffset.x87InstructionSelector >> 1] = get(4);
  state.u16[StateOffset.x87Opcode >> 1] = word === 4 ? view.getUint16(4 * word + 2, true) & 0x7ff : 0;
  state.u16[StateOffset.x87DataSelector >> 1] = get(6);
  if (registers) {
    for (let i = 0; i < 8; i++) {
      const at = environmentBytes(size) + i * REGISTER_BYTES;
      unit.setBits(i, view.getBigUint64(at, true) | (BigInt(view.getUint16(at + 8, true)) << 64n));
    }
  }
  unit.fullTags = tags;
}
