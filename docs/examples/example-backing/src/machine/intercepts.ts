/** What exits from a lower VTL: all that the paravisor emulates, and nothing else. */
import type { Processor } from '@paravisor/x86-cpu';

const MSR_TSC = 0x10;
/** MSRs the processor keeps for the guest: SYSENTER, PAT, EFER, SYSCALL, FS and GS bases, TSC_AUX. */
const passedMsrs = [
  0x174, 0x175, 0x176, 0x277, 0xc0000080, 0xc0000081, 0xc0000082, 0xc0000083, 0xc0000084, 0xc0000100, 0xc0000101, 0xc0000102, 0xc0000103,
] as const;

/** The MSR bitmap has four parts of 1 KiB: read low, read high, write low, write high (SDM volume 3, 25.6.9). */
const PART_BYTES = 1024;
const HIGH_MSRS = 0xc0000000;

function pass(bitmap: Uint8Array, msr: number, write: boolean): void {
  const high = msr >= HIGH_MSRS;
  const at = (write ? 2 * PART_BYTES : 0) + (high ? PART_BYTES : 0) + ((high ? msr - HIGH_MSRS : msr) >>> 3);
  bitmap[at]! &= ~(1 << (msr & 7));
}

/** Once a processor. Everything else of `Intercepts` starts switched off. */
export function configureIntercepts(processor: Processor): void {
  const { intercepts } = processor;
  intercepts.cpuid = true;
  intercepts.hlt = true;
  intercepts.io = true;
  intercepts.vmcall = true;
  intercepts.wbinvd = true;
  intercepts.invd = true;
  // So that an interrupt held back by the task priority is looked at again when that falls.
  intercepts.cr8Load = true;
  intercepts.msrBitmap.fill(0xff);
  for (const msr of passedMsrs) {
    pass(intercepts.msrBitmap, msr, false);
    pass(intercepts.msrBitmap, msr, true);
  }
  pass(intercepts.msrBitmap, MSR_TSC, false);
  processor.interceptsChanged();
}
