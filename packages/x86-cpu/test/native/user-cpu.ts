import { CodeMode } from '../../src/decode/index.js';
import type { EmulatorCpu } from '../../src/emulate/index.js';
import { INT3, RECORDED_CODE, RECORDED_DATA, RECORDED_DATA_SIZE, RECORDED_WRITABLE_SIZE } from './recording.js';
import type { RecordedCase, RecordedFault } from './recording.js';

const PAGE = 4096;
const PAGE_FAULT = 14;
const Present = 1;
const Write = 2;
const User = 4;

/** The emulator's processor over the recorder's address space. */
export class UserCpu implements EmulatorCpu {
  readonly codeMode = CodeMode.Bits64;
  rip: bigint;
  rflags: bigint;
  readonly gprs: bigint[];
  /** The page fault of the access that failed. */
  fault: RecordedFault | undefined;
  readonly #one: RecordedCase;
  readonly #code = new Uint8Array(PAGE).fill(INT3);
  readonly data: Uint8Array;

  constructor(one: RecordedCase, data: Uint8Array) {
    this.#one = one;
    this.rip = one.rip;
    this.rflags = one.flags;
    this.gprs = [...one.registers];
    this.data = data;
    const at = Number(one.rip - RECORDED_CODE);
    this.#code.set(one.code.subarray(0, PAGE - at), at);
  }

  readGpr(register: number): bigint {
    return this.gprs[register]!;
  }

  writeGpr(register: number, value: bigint): void {
    this.gprs[register] = value;
  }

  segmentBase(segment: number): bigint {
    return segment === 4 ? this.#one.fsBase : segment === 5 ? this.#one.gsBase : 0n;
  }

  #byteAt(linear: bigint): number | undefined {
    if (linear >= RECORDED_DATA && linear < RECORDED_DATA + BigInt(RECORDED_DATA_SIZE)) return this.data[Number(linear - RECORDED_DATA)];
    return linear >= RECORDED_CODE && linear < RECORDED_CODE + BigInt(PAGE) ? this.#code[Number(linear - RECORDED_CODE)] : undefined;
  }

  #fail(linear: bigint, access: number): void {
    this.fault = { vector: PAGE_FAULT, errorCode: User | access | (this.#byteAt(linear) === undefined ? 0 : Present), cr2: linear };
  }

  readMemory(linear: bigint, size: number): bigint | undefined {
    let value = 0n;
    for (let i = 0; i < size; i++) {
      const byte = this.#byteAt(linear + BigInt(i));
      if (byte === undefined) return this.#fail(linear + BigInt(i), 0) as undefined;
      value |= BigInt(byte) << BigInt(8 * i);
    }
    return value;
  }

  writeMemory(linear: bigint, size: number, value: bigint): boolean {
    if (!this.canWriteMemory(linear, size)) return false;
    for (let i = 0; i < size; i++) this.data[Number(linear - RECORDED_DATA) + i] = Number((value >> BigInt(8 * i)) & 0xffn);
    return true;
  }

  canWriteMemory(linear: bigint, size: number): boolean {
    for (let at = linear; at < linear + BigInt(size); at++) {
      if (at >= RECORDED_DATA && at < RECORDED_DATA + BigInt(RECORDED_WRITABLE_SIZE)) continue;
      this.#fail(at, Write);
      return false;
    }
    return true;
  }

  readPort(): undefined {
    return undefined;
  }

  writePort(): boolean {
    return false;
  }
}
