/** What SNP user mode does with guest RAM before any VP exists. */
import type { Hcl } from '@paravisor/hcl-protocol';
import { StartupError } from '@paravisor/virt-core';
import { RmpPermission, VMPL_OF_VTL } from '../abi/index.js';

const PAGE_BYTES = 4096;
const VTL0 = 0;

/**
 * Accepts guest RAM and hands it to VTL0: validates each page, then gives VMPL2 every access to it.
 * @throws {StartupError} when the driver refuses a page.
 */
export function acceptGuestMemory(hcl: Hcl): void {
  const vp = hcl.vps[0]!;
  for (let gpa = 0; gpa < hcl.memory.ramBytes; gpa += PAGE_BYTES) {
    const validated = vp.pvalidate(gpa, true);
    if (validated !== 0) throw new StartupError('pvalidate', `PVALIDATE of guest page 0x${gpa.toString(16)} failed with errno ${validated}`);
    const adjusted = vp.rmpadjust(gpa, VMPL_OF_VTL[VTL0], RmpPermission.All);
    if (adjusted !== 0) throw new StartupError('rmpadjust', `RMPADJUST of guest page 0x${gpa.toString(16)} failed with errno ${adjusted}`);
  }
}
