import { fetched, PRESENT } from './entry.js';
import type { PhysicalAccess } from './paging-state.js';

/** Bits of a page-directory-pointer-table entry that must be zero, in its low half. */
const PDPTE_RESERVED = 0x1e6;

/** What became of `readPdptes`. */
export const PdpteStatus = {
  Ok: 0,
  /** A present entry has a reserved bit: #GP(0). */
  Reserved: 1,
  /** The table cannot be read. */
  Failed: 2,
} as const;

/** One value of {@link PdpteStatus}. */
export type PdpteStatus = (typeof PdpteStatus)[keyof typeof PdpteStatus];

const pdpteScratch = new Int32Array(8);

/** Reads the four entries that PAE paging holds in registers, as a MOV to CR3 does, into `out` if all of them are in order (SDM vol. 3, 4.4.1). */
export function readPdptes(memory: PhysicalAccess, cr3Lo: number, physicalAddressBits: number, out: Int32Array): PdpteStatus {
  const table = (cr3Lo & ~0x1f) >>> 0;
  for (let i = 0; i < 4; i++) {
    if (!memory.readQword(table + 8 * i, fetched)) return PdpteStatus.Failed;
    const { lo, hi } = fetched;
    if (lo & PRESENT && (lo & PDPTE_RESERVED || hi >>> (physicalAddressBits - 32) !== 0)) return PdpteStatus.Reserved;
    pdpteScratch[2 * i] = lo;
    pdpteScratch[2 * i + 1] = hi;
  }
  out.set(pdpteScratch);
  return PdpteStatus.Ok;
}
