/** The machine half: VMSAs, the SNP hardware that runs them, and the mshv_vtl driver's SNP path. What user mode decides lives in the paravisor half. */
export { snpMachine } from './snp-machine.js';
