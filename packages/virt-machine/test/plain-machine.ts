/** A machine with the thinnest isolation there is, and a guest of a few bytes. */
import { ExitReason } from '@paravisor/hcl-protocol';
import { stateLayout } from '@paravisor/x86-cpu';
import type { Processor } from '@paravisor/x86-cpu';
import { GuestStop, PathOutcome } from '../src/contract.js';
import type { IsolationVp, MachineBacking, VpMachine } from '../src/contract.js';
import { createMachine } from '../src/machine.js';
import type { Machine, MachineOptions } from '../src/machine.js';

export const CODE = 0x1000;
const PML4 = 0x2000;
const PDPT = 0x3000;

/** A lower VTL runs until an intercept, which advances it, or an interrupt for VTL2. */
class PlainVp implements IsolationVp {
  readonly interceptMessagePresent = false;
  readonly #vp: VpMachine;

  constructor(vp: VpMachine) {
    this.#vp = vp;
    startIn64BitMode(vp.processors[0]!, vp.index);
  }

  enter(): PathOutcome {
    const processor = this.#vp.processors[0]!;
    switch (this.#vp.runGuest(processor, Infinity)) {
      case GuestStop.Intercept:
        processor.i32[stateLayout.rip / 4]! += processor.exit.instructionLength;
        this.#vp.clock.charge(this.#vp.costs.ticks.vmExit);
        return PathOutcome.Exit;
      case GuestStop.Horizon:
        return PathOutcome.Pending;
      default:
        return PathOutcome.Again;
    }
  }
  beforeIdle(): void {}
  afterIdle(): PathOutcome {
    return PathOutcome.Again;
  }
  beforeReturn(): void {}
  userExitReason(): number {
    return ExitReason.io;
  }
  tdcall(): number {
    return 0;
  }
  pvalidate(): number {
    return 0;
  }
  rmpadjust(): number {
    return 0;
  }
  vmsa(): Uint8Array | null {
    return null;
  }
  save(): null {
    return null;
  }
  restore(): void {}
}

/** 64-bit mode at `CODE`, the first gigabyte mapped one to one; the VP's number in RBX. */
function startIn64BitMode(processor: Processor, vp: number): void {
  const { bytes, i32, intercepts } = processor;
  const set = (offset: number, lo: number) => (i32[offset / 4] = lo);
  set(stateLayout.rip, CODE);
  set(stateLayout.gpr + 24, vp);
  set(stateLayout.cr0, 0x80000011 | 0);
  set(stateLayout.cr3, PML4);
  set(stateLayout.cr4, 0x20);
  set(stateLayout.efer, 0x500);
  const view = new DataView(bytes.buffer, bytes.byteOffset + stateLayout.segments, 6 * stateLayout.segmentSize);
  for (let segment = 0; segment < 6; segment++) {
    view.setUint16(segment * stateLayout.segmentSize, segment === 1 ? 8 : 0x10, true);
    view.setUint16(segment * stateLayout.segmentSize + 2, segment === 1 ? 0xa09b : 0xc093, true);
    view.setUint32(segment * stateLayout.segmentSize + 4, 0xffffffff, true);
  }
  processor.writeRflags(2);
  processor.stateChanged();
  intercepts.io = true;
  processor.interceptsChanged();
}

export const plainBacking: MachineBacking = {
  processorVendor: 'intel',
  create: () => ({ checkExtension: () => undefined, cpuid: () => false, createVp: (vp) => new PlainVp(vp), save: () => null, restore() {} }),
};

/** Every VP starts at the first byte of `code`. */
export function machineWith(code: readonly number[], options: Partial<MachineOptions> = {}): Machine {
  const machine = createMachine({ backing: plainBacking, ramBytes: 1 << 20, ...options });
  machine.loadImage(CODE, new Uint8Array(code));
  // PML4[0] → PDPT, PDPT[0] → 1 GiB page, both present and writable.
  machine.loadImage(PML4, new Uint8Array([0x03, PDPT >> 8, 0, 0, 0, 0, 0, 0]));
  machine.loadImage(PDPT, new Uint8Array([0x83, 0, 0, 0, 0, 0, 0, 0]));
  return machine;
}

/** Instructions by their bytes in hexadecimal; spaces are for the reader. */
export const machineCode = (...instructions: readonly string[]): number[] =>
  (instructions.join('').replaceAll(' ', '').match(/../g) ?? []).map((pair) => Number.parseInt(pair, 16));
