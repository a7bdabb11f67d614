/** Accesses to the xAPIC page (SDM volume 3, 11.4.1), which may be narrower or wider than its 32-bit registers. */
import { ApicRegister } from '@paravisor/hcl-protocol';

const PAGE_BYTES = 4096;
const REGISTER_BYTES = 4;

export function pageOffset(gpa: number): number {
  return gpa % PAGE_BYTES;
}

/** Accesses aligned to 16 bytes; and the top byte of ID, LDR and DFR, which some guests touch alone. */
export function isValidAccess(offset: number): boolean {
  if ((offset & 0xf) === 0) return true;
  const register = offset >>> 4;
  return (offset & 0xf) === 3 && (register === ApicRegister.Id || register === ApicRegister.Ldr || register === ApicRegister.Dfr);
}

/** The bytes of a register an access of `size` at `offset` sees; beyond the register, zeros. */
export function readField(register: number, offset: number, size: number): number {
  const byte = offset & 3;
  return (register >>> (8 * byte)) & mask(byte, size);
}

/** The register value an access of `size` at `offset` makes: zeros where it writes nothing. */
export function writeField(value: number, offset: number, size: number): number {
  const byte = offset & 3;
  return (value & mask(byte, size)) << (8 * byte);
}

function mask(byte: number, size: number): number {
  const bytes = Math.min(size, REGISTER_BYTES - byte);
  return bytes === REGISTER_BYTES ? -1 : (1 << (8 * bytes)) - 1;
}
