/** The Multiboot header inside a kernel file (Multiboot Specification 0.6.96, 3.1). */
import { hex } from '../elf/elf-error.js';
import { MultibootError } from './multiboot-error.js';

const MAGIC = 0x1badb002;
/** The header lies within the first so many bytes, 4-byte aligned. */
const SEARCHED_BYTES = 8192;
const ALIGNMENT = 4;

/** Bits of the flags; those below 16 must be obeyed. */
const HeaderFlag = { PageAlignModules: 1 << 0, MemoryInformation: 1 << 1, VideoMode: 1 << 2, AddressFields: 1 << 16 } as const;
const UNDERSTOOD = HeaderFlag.PageAlignModules | HeaderFlag.MemoryInformation | HeaderFlag.VideoMode;

/** Where to load a kernel that is no ELF file. */
export interface AddressFields {
  readonly loadStart: number;
  /** First byte behind the loaded ones; 0 for the end of the file. */
  readonly loadEnd: number;
  /** First byte behind the zeros that follow; 0 for none. */
  readonly bssEnd: number;
  readonly entry: number;
  /** Offset in the file of the byte that goes to `loadStart`. */
  readonly fileOffset: number;
}

/** A header that was found. */
export interface MultibootHeader {
  /** Offset in the file. */
  readonly offset: number;
  readonly flags: number;
  /** Present when the header says where to load. */
  readonly addresses: AddressFields | null;
}

/** Finds the header. Throws `MultibootError` when there is none, or it asks for what no loader of this version offers. */
export function findMultibootHeader(file: Uint8Array): MultibootHeader {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const end = Math.min(SEARCHED_BYTES, file.byteLength) - 12;
  for (let offset = 0; offset <= end; offset += ALIGNMENT) {
    if (view.getUint32(offset, true) !== MAGIC) continue;
    const flags = view.getUint32(offset + 4, true);
    if (((MAGIC + flags + view.getUint32(offset + 8, true)) | 0) !== 0) continue;
    const unknown = flags & 0xffff & ~UNDERSTOOD;
    if (unknown !== 0) {
      throw new MultibootError('unsupported-feature', `its Multiboot header at offset ${hex(offset)} requires features ${hex(unknown)} that Multiboot 1 does not define: build it for Multiboot 1`);
    }
    return { offset, flags, addresses: addressFields(view, offset, flags) };
  }
  throw new MultibootError('not-multiboot', `it has no Multiboot 1 header (magic number ${hex(MAGIC)} with a right checksum) in its first ${SEARCHED_BYTES} bytes: give a Multiboot 1 kernel`);
}

function addressFields(view: DataView, offset: number, flags: number): AddressFields | null {
  if ((flags & HeaderFlag.AddressFields) === 0) return null;
  if (offset + 32 > view.byteLength) throw new MultibootError('malformed', `its Multiboot header at offset ${hex(offset)} is cut off before its address fields`);
  const field = (index: number): number => view.getUint32(offset + 4 * index, true);
  const headerAddress = field(3);
  const loadStart = field(4);
  const fileOffset = offset - (headerAddress - loadStart);
  if (headerAddress < loadStart || fileOffset < 0) {
    throw new MultibootError('malformed', `its Multiboot header says it lies at ${hex(headerAddress)} and loading starts at ${hex(loadStart)}, which the file does not hold`);
  }
  return { loadStart, loadEnd: field(5), bssEnd: field(6), entry: field(7), fileOffset };
}
