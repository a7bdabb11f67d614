/**
 * Which MSRs a lower VTL reaches without an exit: those whose value is in its VMCS or is switched by the driver around a run. All others exit, synthetic
 * and APIC ones among them, as the module's bitmaps say at reset.
 */
import type { TdvpsAccess } from './l2-field.js';
import { ElementSize, l2MsrBitmapClass, vpFieldHigh } from '../abi/index.js';

/** Read and written freely: SYSENTER, PAT, STAR to SFMASK, segment bases, TSC_AUX. CSTAR is never used by an Intel processor. */
const freeMsrs = [0x174, 0x175, 0x176, 0x277, 0xc0000081, 0xc0000082, 0xc0000083, 0xc0000084, 0xc0000100, 0xc0000101, 0xc0000102, 0xc0000103] as const;
/** Read freely, written with an exit: the TSC, whose writes change nothing, and EFER, whose long-mode bits the backing keeps consistent. */
const readableMsrs = [0x10, 0xc0000080] as const;

const HIGH_MSRS = 0xc0000000;
/** Byte offsets in the 4 KiB: read low, read high, write low, write high (SDM volume 3, 25.6.9). */
const READ = 0;
const WRITE = 2048;
const HIGH = 1024;

function clearBit(words: Map<number, bigint>, half: number, msr: number): void {
  const isHigh = msr >= HIGH_MSRS;
  const bit = 8 * (half + (isHigh ? HIGH : 0)) + (isHigh ? msr - HIGH_MSRS : msr);
  const word = Math.floor(bit / 64);
  words.set(word, (words.get(word) ?? -1n) & ~(1n << BigInt(bit % 64)));
}

/** The 64-bit words of the bitmaps that differ from the module's reset value, all ones. */
function differingWords(): ReadonlyMap<number, bigint> {
  const words = new Map<number, bigint>();
  for (const msr of [...freeMsrs, ...readableMsrs]) clearBit(words, READ, msr);
  for (const msr of freeMsrs) clearBit(words, WRITE, msr);
  return words;
}

/** Start-up: tells the module the policy for L2 VM `vm`. */
export function applyMsrPolicy(access: TdvpsAccess, vm: number): void {
  const idHi = vpFieldHigh(l2MsrBitmapClass(vm), ElementSize.Bytes8);
  for (const [index, word] of differingWords()) access.write(index, idHi, Number(BigInt.asIntN(32, word)), Number(BigInt.asIntN(32, word >> 32n)));
}
