/** What the host lets a lower VMPL do without an exit: intercept bits and MSR permission map (APM volume 2, 15.9 to 15.11). */
import type { Processor } from '@paravisor/x86-cpu';

const MSR_TSC = 0x10;

/** MSRs that live in the VMSA and pass: SYSENTER, PAT, EFER, SYSCALL, FS/GS bases, TSC_AUX. */
const passedMsrs = [
  0x174, 0x175, 0x176, 0x277, 0xc0000080, 0xc0000081, 0xc0000082, 0xc0000083, 0xc0000084, 0xc0000100, 0xc0000101, 0xc0000102, 0xc0000103,
] as const;

/** First MSR of the bitmap's high range. */
const HIGH_RANGE = 0xc0000000;
const QUARTER_BYTES = 1024;

/** Clears the bit of `msr` in the read or the write half. */
function pass(bitmap: Uint8Array, msr: number, write: boolean): void {
  const isHigh = msr >= HIGH_RANGE;
  const index = isHigh ? msr - HIGH_RANGE : msr;
  const at = (write ? 2 * QUARTER_BYTES : 0) + (isHigh ? QUARTER_BYTES : 0) + (index >>> 3);
  bitmap[at]! &= ~(1 << (index & 7));
}

/**
 * Sets what exits from a lower VTL's processor. HLT is not among it: it retires, and its exit is made from the halted processor, RIP behind it. TSC can be
 * read as with RDTSC, but not written.
 */
export function configureIntercepts(processor: Processor): void {
  const { intercepts } = processor;
  intercepts.cpuid = true;
  intercepts.hlt = false;
  intercepts.pause = false;
  intercepts.rdtsc = false;
  intercepts.rdpmc = true;
  intercepts.wbinvd = true;
  intercepts.invd = true;
  intercepts.xsetbv = true;
  intercepts.vmcall = true;
  intercepts.tdcall = false;
  intercepts.descriptorTables = false;
  intercepts.monitor = false;
  intercepts.io = true;
  intercepts.exceptions = 0;
  intercepts.cr0Mask = 0;
  intercepts.cr4Mask = 0;
  intercepts.cr3Load = false;
  intercepts.cr3Store = false;
  intercepts.cr8Load = false;
  intercepts.cr8Store = false;
  intercepts.drAccess = false;
  intercepts.interruptWindow = false;
  intercepts.nmiWindow = false;
  intercepts.msrBitmap.fill(0xff);
  for (const msr of passedMsrs) {
    pass(intercepts.msrBitmap, msr, false);
    pass(intercepts.msrBitmap, msr, true);
  }
  pass(intercepts.msrBitmap, MSR_TSC, false);
  processor.interceptsChanged();
}
