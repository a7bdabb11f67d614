/** A PC without firmware: the devices that a Multiboot kernel finds on the main board. */
import type { Board } from './board.js';
import type { BusDevice } from './chipset.js';
import { DebugExit, debugExitStatus } from './debug-exit.js';
import { HypervTestdev } from './hyperv-testdev.js';
import { sharedLines } from './interrupt-lines.js';
import type { InterruptLines } from './interrupt-lines.js';
import { IoApic } from './io-apic.js';
import { PcTestdev } from './pc-testdev.js';
import { Pic8259 } from './pic-8259.js';
import { Pit8254 } from './pit-8254.js';
import { PostCode } from './post-code.js';
import { RtcCmos } from './rtc-cmos.js';
import { Serial16550 } from './serial-16550.js';

/** QEMU's test devices by the names QEMU has for them. */
export const testDeviceNames = ['isa-debug-exit', 'pc-testdev', 'hyperv-testdev'] as const;
export type TestDeviceName = (typeof testDeviceNames)[number];

export interface PcOptions {
  /** Takes what the guest sends through COM1, byte by byte. */
  readonly serial: (byte: number) => void;
  /** Default: isa-debug-exit. */
  readonly testDevices?: readonly TestDeviceName[];
  /** What the real-time clock says at the start, seconds since 1970-01-01, UTC. Default: 2000-01-01. */
  readonly rtcSeconds?: number;
}

/** 2000-01-01 00:00:00 UTC. */
const YEAR_2000 = 946684800;

/** For `PartitionOptions.chipset`. */
export function pcChipset({ serial, testDevices = ['isa-debug-exit'], rtcSeconds = YEAR_2000 }: PcOptions): (board: Board) => readonly BusDevice[] {
  return (board) => {
    const ioApic = new IoApic((address, data) => board.signalMsi(address, data));
    board.onLevelEoi((vector) => ioApic.endOfInterrupt(vector));
    const pic = new Pic8259(() => board.pulseLint(0, 0));
    const lines = sharedLines(ioApic, pic);
    const devices = [new Serial16550(serial, lines), new PostCode(), ioApic, pic, new Pit8254(board, lines), new RtcCmos(board, lines, rtcSeconds)];
    return [...devices, ...testDevices.map((name) => testDevice(name, board, lines))];
  };
}

function testDevice(name: TestDeviceName, board: Board, lines: InterruptLines): BusDevice {
  switch (name) {
    case 'isa-debug-exit':
      return new DebugExit((value) => {
        const exitStatus = debugExitStatus(value);
        board.end(value === 0 ? { kind: 'passed', reason: null, exitStatus } : { kind: 'failed', reason: `the guest exited with ${value}`, exitStatus });
      });
    case 'pc-testdev':
      return new PcTestdev(lines);
    case 'hyperv-testdev':
      return new HypervTestdev(board);
  }
}
