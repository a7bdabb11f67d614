import type { InitialRegisters } from '@paravisor/virt-core';
import { hex } from '../elf/elf-error.js';
import type { LoaderTarget, PartitionLoader } from '../loader/loader.js';
import type { MultibootImage } from './image.js';
import { multibootInformation } from './information.js';
import type { MultibootModule, PlacedModule } from './information.js';
import { MultibootError } from './multiboot-error.js';

/** What goes with a kernel. */
export interface MultibootOptions {
  readonly commandLine?: string;
  readonly modules?: readonly MultibootModule[];
}

const PAGE = 4096;
const MIB = 0x100000;
/** Where the loader's own structures go, the GDT in a page before the information structure, unless the kernel lies there. */
const OWN_STRUCTURES = 0x8000;
const LOW_MEMORY_END = 0xa0000;

/** EAX at the start: a Multiboot loader was here. */
const BOOTLOADER_MAGIC = 0x2badb002n;
/** Null, and at 8 and 0x10 flat 32-bit code and data, which the start state's segments are too. */
const GDT_ENTRIES = [0n, 0x00cf9b000000ffffn, 0x00cf93000000ffffn];
const CODE = { selector: 8, attributes: 0xc09b, limit: 0xffffffff, base: 0n };
const DATA = { selector: 0x10, attributes: 0xc093, limit: 0xffffffff, base: 0n };
/** After a reset (SDM volume 3, table 10-1): a kernel that goes back to real mode finds the vectors at 0. */
const INTERRUPT_TABLE = { base: 0n, limit: 0xffff };
const LDT = { selector: 0, attributes: 0x82, limit: 0xffff, base: 0n };
const TASK = { selector: 0, attributes: 0x8b, limit: 0xffff, base: 0n };
/** CR0.PE and ET; PAT after a reset. */
const CR0 = 0x11n;
const PAT = 0x0007040600070406n;

/**
 * Loads a Multiboot 1 kernel: its segments, each module on a page of its own behind them, and the information structure. It starts in flat 32-bit
 * protected mode, paging and interrupts off (Multiboot Specification 0.6.96, 3.2). `load` throws `MultibootError` when RAM is too small.
 */
export function multibootLoader(image: MultibootImage, { commandLine = '', modules = [] }: MultibootOptions = {}): PartitionLoader {
  return {
    load(target: LoaderTarget) {
      for (const { gpa, contents, memoryBytes } of image.segments) {
        requireRam(target, gpa, memoryBytes, 'its segment');
        target.write(gpa, contents);
      }
      const placed: PlacedModule[] = [];
      let next = alignUp(Math.max(image.end, MIB));
      for (const module of modules) {
        requireRam(target, next, module.contents.length, `module ${placed.length}`);
        target.write(next, module.contents);
        placed.push({ start: next, end: next + module.contents.length, commandLine: module.commandLine });
        next = alignUp(next + module.contents.length);
      }
      const own = lowRoom(image, PAGE + multibootInformation(0, target.ramBytes, commandLine, placed).length);
      const information = multibootInformation(own + PAGE, target.ramBytes, commandLine, placed);
      requireRam(target, own + PAGE, information.length, 'its information structure');
      target.write(own, gdt());
      target.write(own + PAGE, information);
      return startRegisters(image.entry, own);
    },
  };
}

/** The first page of low memory from which `bytes` bytes are clear of the kernel. */
function lowRoom(image: MultibootImage, bytes: number): number {
  let at = OWN_STRUCTURES;
  for (;;) {
    if (at + bytes > LOW_MEMORY_END) throw new MultibootError('overlap', `its segments leave no ${hex(bytes)} bytes below 640 KiB for the loader's own structures: link the kernel at 1 MiB or above`);
    const inTheWay = image.segments.find(({ gpa, memoryBytes }) => gpa < at + bytes && gpa + memoryBytes > at);
    if (inTheWay === undefined) return at;
    at = alignUp(inTheWay.gpa + inTheWay.memoryBytes);
  }
}

/** The state at the entry point; `own` is where the loader's own structures are. */
function startRegisters(entry: number, own: number): InitialRegisters {
  const gpr = Array.from({ length: 16 }, () => 0n);
  gpr[0] = BOOTLOADER_MAGIC;
  gpr[3] = BigInt(own + PAGE);
  return {
    gpr,
    rip: BigInt(entry),
    rflags: 2n,
    cr0: CR0,
    cr3: 0n,
    cr4: 0n,
    efer: 0n,
    pat: PAT,
    gdtr: { base: BigInt(own), limit: 8 * GDT_ENTRIES.length - 1 },
    idtr: INTERRUPT_TABLE,
    segments: [DATA, CODE, DATA, DATA, DATA, DATA, LDT, TASK],
  };
}

function gdt(): Uint8Array {
  const view = new DataView(new ArrayBuffer(8 * GDT_ENTRIES.length));
  for (const [index, descriptor] of GDT_ENTRIES.entries()) view.setBigUint64(8 * index, descriptor, true);
  return new Uint8Array(view.buffer);
}

const alignUp = (address: number): number => Math.ceil(address / PAGE) * PAGE;

function requireRam({ ramBytes }: LoaderTarget, gpa: number, bytes: number, what: string): void {
  if (gpa + bytes <= ramBytes) return;
  throw new MultibootError('outside-ram', `${what} at ${hex(gpa)} of ${hex(bytes)} bytes leaves the guest's RAM of ${hex(ramBytes)} bytes: give it ${Math.ceil((gpa + bytes) / MIB)} MiB of memory`);
}
