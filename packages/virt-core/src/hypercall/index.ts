/** Hypercalls a lower VTL makes to its paravisor. VTL2's own calls to the host go through the ioctl line instead. */
export * from './control.js';
export * from './dispatch.js';
export * from './handler.js';
export * from './long-spin-wait.js';
