/** A PC without firmware: the devices that a Multiboot kernel finds on the main board. */
import type { Board } from './board.js';
import type { BusDevice } from './chipset.js';
import { DebugExit, debugExitStatus } from './debug-exit.js';
import { PostCode } from './post-code.js';
import { Serial16550 } from './serial-16550.js';

/** QEMU's test devices by the names QEMU has for them. */
export const testDeviceNames = ['isa-debug-exit'] as const;
export type TestDeviceName = (typeof testDeviceNames)[number];

export interface PcOptions {
  /** Takes what the guest sends through COM1, byte by byte. */
  readonly serial: (byte: number) => void;
  /** Default: isa-debug-exit. */
  readonly testDevices?: readonly TestDeviceName[];
}

/** For `PartitionOptions.chipset`. */
export function pcChipset({ serial, testDevices = ['isa-debug-exit'] }: PcOptions): (board: Board) => readonly BusDevice[] {
  return (board) => [new Serial16550(serial), new PostCode(), ...testDevices.map((name) => testDevice(name, board))];
}

function testDevice(name: TestDeviceName, board: Board): BusDevice {
  switch (name) {
    case 'isa-debug-exit':
      return new DebugExit((value) => {
        const exitStatus = debugExitStatus(value);
        board.end(value === 0 ? { kind: 'passed', reason: null, exitStatus } : { kind: 'failed', reason: `the guest exited with ${value}`, exitStatus });
      });
  }
}
