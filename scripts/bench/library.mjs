/** What is measured of the built packages. */
export { snpBacking } from '../../packages/backing-snp/dist/index.js';
export { tdxBacking } from '../../packages/backing-tdx/dist/index.js';
export { TscDeadlineService, TscDeadlineState } from '../../packages/backing-tdx/dist/paravisor/index.js';
export { U64, tdxL2TscDeadlineLayout, viewOf } from '../../packages/hcl-protocol/dist/index.js';
export { createPartition, multibootLoader, pcChipset, readMultibootImage, readTmk, tmkLoader } from '../../packages/partition/dist/index.js';
export * from '../../packages/x86-cpu/dist/index.js';
