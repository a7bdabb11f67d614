/** Guest RAM in the hands of SNP user mode: accepted before any VP exists, and opened to lower VTLs page by page. */
import type { Hcl } from '@paravisor/hcl-protocol';
import { StartupError } from '@paravisor/virt-core';
import { RmpPermission, VMPL_OF_VTL } from '../abi/index.js';

const PAGE_BYTES = 4096;
const VTL0 = 0;

/** A partition's RAM. VTL0 has it from the start, VTL1 from the moment it is enabled. */
export class GuestPages {
  readonly #hcl: Hcl;
  #openToVtl1 = false;

  /**
   * Accepts guest RAM and hands it to VTL0: validates each page, then gives VMPL2 every access to it.
   * @throws {StartupError} when the driver refuses a page.
   */
  constructor(hcl: Hcl) {
    this.#hcl = hcl;
    const vp = hcl.vps[0]!;
    for (let gpa = 0; gpa < hcl.memory.ramBytes; gpa += PAGE_BYTES) {
      const validated = vp.pvalidate(gpa, true);
      if (validated !== 0) throw new StartupError('pvalidate', `PVALIDATE of guest page 0x${gpa.toString(16)} failed with errno ${validated}`);
      const adjusted = vp.rmpadjust(gpa, VMPL_OF_VTL[VTL0], RmpPermission.All);
      if (adjusted !== 0) throw new StartupError('rmpadjust', `RMPADJUST of guest page 0x${gpa.toString(16)} failed with errno ${adjusted}`);
    }
  }

  /**
   * Gives VMPL1 every access too, by VP `index`; nothing the second time. openvmm does so when the guest enables VTL1 for the partition, here with the
   * first VP whose VTL1 gets registers. Returns 0, or the errno with which the driver refused a page.
   */
  openToVtl1(index: number): number {
    if (this.#openToVtl1) return 0;
    const vp = this.#hcl.vps[index]!;
    for (let gpa = 0; gpa < this.#hcl.memory.ramBytes; gpa += PAGE_BYTES) {
      const errno = vp.rmpadjust(gpa, VMPL_OF_VTL[1], RmpPermission.All);
      if (errno !== 0) return errno;
    }
    this.#openToVtl1 = true;
    return 0;
  }

  save(): GuestPagesState {
    return { openToVtl1: this.#openToVtl1 };
  }

  /** Makes no call: the driver and the hardware have their own state. */
  restore({ openToVtl1 }: GuestPagesState): void {
    this.#openToVtl1 = openToVtl1;
  }
}

export type GuestPagesState = { readonly openToVtl1: boolean };
