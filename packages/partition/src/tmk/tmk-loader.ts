import { ElfError, hex } from '../elf/elf-error.js';
import type { TmkImage } from '../elf/tmk-image.js';
import type { LoaderTarget, PartitionLoader } from '../loader/loader.js';
import { defaultGdt, identityPageTables, placeStartPages, startInput, startRegisters } from './start-state.js';

const MIB = 0x100000;

/**
 * Loads a test microkernel so that it runs the test with number `testIndex`: the image, then start input, identity page tables and GDT on the pages
 * after it. `load` throws `ElfError` (`segment-outside-ram`) when RAM is too small for all of it.
 */
export function tmkLoader(image: TmkImage, testIndex: number): PartitionLoader {
  return {
    load(target: LoaderTarget) {
      const pages = placeStartPages(image.end);
      checkFits(image, pages.end, target.ramBytes);
      for (const { gpa, contents } of image.segments) target.write(gpa, contents);
      target.write(pages.startInput, startInput(testIndex));
      target.write(pages.pageTables, identityPageTables(pages.pageTables));
      target.write(pages.gdt, defaultGdt());
      return startRegisters(image.entry, pages);
    },
  };
}

function checkFits(image: TmkImage, end: number, ramBytes: number): void {
  for (const { gpa, memoryBytes } of image.segments) {
    if (gpa + memoryBytes > ramBytes) {
      throw new ElfError('segment-outside-ram', `its segment at ${hex(gpa)} of ${hex(memoryBytes)} bytes leaves the guest's RAM of ${hex(ramBytes)} bytes: give it ${Math.ceil(end / MIB)} MiB of memory, or link it at 2 MiB`);
    }
  }
  if (end > ramBytes) {
    throw new ElfError('segment-outside-ram', `it ends at ${hex(image.end)}, and its page tables after it do not fit into RAM of ${hex(ramBytes)} bytes: give it ${Math.ceil(end / MIB)} MiB of memory`);
  }
}
