import { createMachineMemory, createProcessor, EventType, ExitKind, stateLayout, Stop } from '../../src/index.js';
import type { Executor, Processor } from '../../src/index.js';
import { Dice } from './dice.js';
import { CODE, CODE_BYTES, RAM, SYSTEM_END } from './layout.js';
import { enter } from './program.js';
import type { Program } from './program.js';

/** What became of a program. */
export interface Outcome {
  retired: number;
  /** How often the processor came back, by `Stop`. */
  readonly stops: number[];
  /** Of everything that could be seen on the way, and of registers and memory at the end. */
  digest: number;
}

/** Most instructions between two things that happen from outside. */
export const STRETCH = 120;
/** Returns without an instruction retired after which the program is entered anew. */
const STUCK = 12;
const KNOWN_STOPS: ReadonlySet<number> = new Set(Object.values(Stop));
/** Words of registers and state that a guest can see, XMM and x87 registers among them. */
const VISIBLE: readonly (readonly [offset: number, words: number])[] = [
  [stateLayout.gpr, 32], [stateLayout.rip, 2], [stateLayout.cr0, 1], [stateLayout.cr2, 2], [stateLayout.cr3, 2], [stateLayout.cr4, 1], [stateLayout.cr8, 1], [stateLayout.efer, 1],
  [stateLayout.dr0, 8], [stateLayout.dr6, 1], [stateLayout.dr7, 1], [stateLayout.segments, 8 * (stateLayout.segmentSize >> 2)], [stateLayout.gdtrBase, 2], [stateLayout.idtrBase, 2],
  [stateLayout.star, 2], [stateLayout.lstar, 2], [stateLayout.sfmask, 1], [stateLayout.kernelGsBase, 2], [stateLayout.interruptibility, 1], [stateLayout.xmm, 64], [stateLayout.x87, 32],
  [stateLayout.mxcsr, 1],
];

/** A processor for random programs, one after the other; what one leaves behind in caches is there when the next begins. */
export class ProgramMachine {
  readonly #memory = createMachineMemory({ contexts: 1, ramBytes: RAM, permissionTables: 1, hostPages: 0 });
  readonly #processor: Processor;
  readonly #words = new Int32Array(RAM >> 2);
  readonly #bytes = new Uint8Array(this.#words.buffer);
  #digest = 0;

  constructor(vendor: 'intel' | 'amd', executor: Executor) {
    const processor: Processor = createProcessor(this.#memory, { index: 0, permissionTable: 0, vendor, executor, clock: { ticks: () => processor.retired - this.#start } });
    this.#processor = processor;
  }

  #start = 0;

  /**
   * Runs a program until it has retired `budget` instructions or come back `budget` times. With `slice` every stretch is cut into shorter ones, which must not
   * show anywhere.
   */
  run(program: Program, seed: number, budget: number, slice?: () => number): Outcome {
    const processor = this.#processor;
    const dice = new Dice(seed);
    const stops = Array.from(KNOWN_STOPS, () => 0);
    this.#digest = 0;
    this.#start = processor.retired;
    this.#memory.writeRam(0, program.image);
    this.#intercept(program);
    this.#enter(program, dice);
    let stuck = 0;
    let last: Stop = Stop.Budget;
    for (let returns = 0; returns < budget && processor.retired - this.#start < budget; returns++) {
      if (last === Stop.Budget) this.#disturb(dice);
      const before = processor.retired;
      const stop = this.#stretch(Math.min(1 + dice.below(STRETCH), budget - (before - this.#start)), slice);
      if (!KNOWN_STOPS.has(stop)) throw new Error(`stop ${stop}`);
      stops[stop]!++;
      this.#note(stop);
      this.#note(processor.retired - this.#start);
      this.#note(processor.i32[stateLayout.rip >> 2]!);
      stuck = processor.retired === before ? stuck + 1 : 0;
      if (stop === Stop.Shutdown || stuck > STUCK) this.#enter(program, dice);
      else if (stop === Stop.Intercept) this.#goOn(dice);
      last = stop;
    }
    for (const [offset, words] of VISIBLE) for (let i = 0; i < words; i++) this.#note(processor.i32[(offset >> 2) + i]!);
    this.#note(processor.readRflags());
    this.#memory.readRam(0, this.#bytes);
    for (let i = 0; i < this.#words.length; i++) this.#note(this.#words[i]!);
    return { retired: processor.retired - this.#start, stops, digest: this.#digest };
  }

  /** FNV-1a by words. */
  #note(word: number): void {
    this.#digest = Math.imul(this.#digest ^ word, 0x01000193);
  }

  /** At most `count` instructions; what stopped them. */
  #stretch(count: number, slice: (() => number) | undefined): Stop {
    const processor = this.#processor;
    const end = processor.retired + count;
    for (;;) {
      const left = end - processor.retired;
      const stop = processor.run(slice === undefined ? left : Math.min(left, slice()));
      if (processor.retired > end) throw new Error(`${processor.retired - end} instructions too many`);
      if (stop !== Stop.Budget || processor.retired === end) return stop;
    }
  }

  #intercept({ exceptions, intercepted }: Program): void {
    const { intercepts } = this.#processor;
    intercepts.exceptions = exceptions;
    for (const name of ['cpuid', 'hlt', 'pause', 'rdtsc', 'rdpmc', 'wbinvd', 'invd', 'xsetbv', 'descriptorTables', 'monitor', 'io', 'cr3Load', 'cr8Store', 'drAccess'] as const) intercepts[name] = intercepted;
    for (const name of ['vmcall', 'tdcall'] as const) intercepts[name] = true;
    intercepts.cr0Mask = intercepted ? 0x2000_0020 : 0;
    intercepts.cr0Shadow = intercepted ? 0x20 : 0;
    intercepts.cr4Mask = intercepted ? 0x2000 : 0;
    intercepts.interruptWindow = false;
    intercepts.nmiWindow = false;
    intercepts.msrBitmap.fill(intercepted ? 0x11 : 0);
    this.#processor.interceptsChanged();
  }

  /** Puts tables and handlers back, and begins somewhere in the code. */
  #enter({ image, mode }: Program, dice: Dice): void {
    const processor = this.#processor;
    this.#memory.writeRam(0, image.subarray(0, SYSTEM_END));
    enter(processor.i32, mode, dice);
    processor.virtualInterrupt = -1;
    processor.writeRflags(2 | mode.flags);
    processor.stateChanged();
    processor.flushTlb();
  }

  /** Steps over what was intercepted, by its length where there is one. */
  #goOn(dice: Dice): void {
    const processor = this.#processor;
    const { exit, i32, intercepts } = processor;
    this.#note(exit.kind);
    switch (exit.kind) {
      case ExitKind.ApicWrite:
        return;
      case ExitKind.InterruptWindow:
        intercepts.interruptWindow = false;
        processor.interceptsChanged();
        return;
      case ExitKind.Exception:
        this.#note(exit.vector);
        this.#note(exit.hasErrorCode ? exit.errorCode : -1);
        break;
      case ExitKind.NestedPageFault:
        this.#note(exit.gpa);
        this.#note(exit.access);
        break;
      default:
        this.#note(exit.instructionLength);
    }
    const known = exit.kind !== ExitKind.Exception && exit.kind !== ExitKind.NestedPageFault && exit.instructionLength > 0;
    i32[stateLayout.rip >> 2]! += known ? exit.instructionLength : 1 + dice.below(6);
  }

  /** What a hypervisor, a device or another processor may do between two instructions. */
  #disturb(dice: Dice): void {
    const processor = this.#processor;
    switch (dice.below(12)) {
      case 0:
        processor.virtualInterrupt = 32 + dice.below(224);
        break;
      case 1:
        processor.inject(EventType.External, 32 + dice.below(224), -1, 0);
        break;
      case 2:
        processor.inject(EventType.Nmi, 2, -1, 0);
        break;
      case 3:
        processor.inject(EventType.Exception, 13, dice.below(16), 0);
        break;
      case 4:
        processor.intercepts.interruptWindow = true;
        processor.interceptsChanged();
        break;
      case 5:
        this.#memory.writeRam8(CODE + dice.below(CODE_BYTES), dice.next() & 0xff);
        break;
      case 6:
        processor.flushTlb();
        break;
      default:
    }
  }
}
