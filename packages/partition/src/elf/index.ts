/** Guest files in the ELF-64 format: checked reading, and what a test microkernel's file says. */
export { ElfError } from './elf-error.js';
export type { ElfErrorCode } from './elf-error.js';
export { readTmk } from './tmk-image.js';
export type { ImageSegment, TmkImage, TmkTest } from './tmk-image.js';
