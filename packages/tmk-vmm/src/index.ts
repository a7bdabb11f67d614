/** The command `tmk-vmm`: runs test microkernels under confidential-VM backings and counts every exit. */
export { main } from './main.js';
export type { Environment, Terminal, TextStream } from './terminal.js';
