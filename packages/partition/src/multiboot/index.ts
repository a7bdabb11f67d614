/** Kernels in the Multiboot 1 style: found, read, and put into a partition's memory. */
export { findMultibootHeader } from './header.js';
export type { AddressFields, MultibootHeader } from './header.js';
export { readMultibootImage } from './image.js';
export type { KernelSegment, MultibootImage } from './image.js';
export type { MultibootModule } from './information.js';
export { multibootLoader } from './loader.js';
export type { MultibootOptions } from './loader.js';
export { MultibootError } from './multiboot-error.js';
export type { MultibootErrorCode } from './multiboot-error.js';
