/** The exit port of QEMU's `isa-debug-exit`: a guest that writes a value there is done. */
import type { PortDevice } from './chipset.js';

const EXIT_PORT = 0xf4;

/** The status that QEMU's process would end with. */
export const debugExitStatus = (value: number): number => (value >>> 0) * 2 + 1;

/** Tells of the value written, in any width; reads all ones, as of a port without a device. */
export class DebugExit implements PortDevice {
  readonly ports = [[EXIT_PORT, EXIT_PORT + 3]] as const;
  readonly byteWide = false;
  readonly #exit: (value: number) => void;

  constructor(exit: (value: number) => void) {
    this.#exit = exit;
  }

  readPort(_port: number, size: number): number {
    return size === 4 ? -1 : (1 << (8 * size)) - 1;
  }

  writePort(_port: number, _size: number, value: number): void {
    this.#exit(value >>> 0);
  }
}
