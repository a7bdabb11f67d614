import { CodeMode } from '../../src/decode/index.js';
import type { EmulatorCpu } from '../../src/emulate/index.js';
import { CODE, DATA, DATA_SIZE, FS_BASE, GS_BASE, PAGE, WRITABLE_SIZE } from './address-map.js';

/** The emulator's processor over the same map. */
export class ModelCpu implements EmulatorCpu {
  readonly codeMode = CodeMode.Bits64;
  rip = CODE;
  rflags = 2n;
  gprs: bigint[] = [];
  readonly data = new Uint8Array(DATA_SIZE);
  readonly code = new Uint8Array(PAGE);

  readGpr(register: number): bigint {
    return this.gprs[register]!;
  }

  writeGpr(register: number, value: bigint): void {
    this.gprs[register] = value;
  }

  segmentBase(segment: number): bigint {
    return segment === 4 ? FS_BASE : segment === 5 ? GS_BASE : 0n;
  }

  #byteAt(linear: bigint): number | undefined {
    if (linear >= DATA && linear < DATA + BigInt(DATA_SIZE)) return this.data[Number(linear - DATA)];
    return linear >= CODE && linear < CODE + BigInt(PAGE) ? this.code[Number(linear - CODE)] : undefined;
  }

  readMemory(linear: bigint, size: number): bigint | undefined {
    let value = 0n;
    for (let i = size - 1; i >= 0; i--) {
      const byte = this.#byteAt(linear + BigInt(i));
      if (byte === undefined) return undefined;
      value = (value << 8n) | BigInt(byte);
    }
    return value;
  }

  writeMemory(linear: bigint, size: number, value: bigint): boolean {
    if (!this.canWriteMemory(linear, size)) return false;
    for (let i = 0; i < size; i++) this.data[Number(linear - DATA) + i] = Number((value >> BigInt(8 * i)) & 0xffn);
    return true;
  }

  canWriteMemory(linear: bigint, size: number): boolean {
    return linear >= DATA && linear + BigInt(size) <= DATA + BigInt(WRITABLE_SIZE);
  }

  readPort(): undefined {
    return undefined;
  }

  writePort(): boolean {
    return false;
  }
}
