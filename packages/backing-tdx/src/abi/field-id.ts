/** Metadata field identifiers (TDX module ABI, MD_FIELD_ID): how VTL2 names a field of the TDVPS in TDG.VP.RD and TDG.VP.WR. */
import { L2_VMCS_CLASS, METADATA_CONTEXT_VP, MetadataFieldId } from '@paravisor/hcl-protocol';
import type { ReadonlyU64 } from '@paravisor/hcl-protocol';

/** Element size codes, bits 33:32. */
export const ElementSize = { Bytes1: 0, Bytes2: 1, Bytes4: 2, Bytes8: 3 } as const;

/** TDVPS class of the VCPU's management fields, TSC_DEADLINE and L2_CTLS among them; not architectural. */
export const MANAGEMENT_CLASS = 32;

/** Class of an L2 VM's MSR bitmaps: the one after its VMCS's. A field is one 64-bit word of the 4 KiB in VMX layout. */
export const l2MsrBitmapClass = (vm: number): number => L2_VMCS_CLASS[vm]! + 1;

const HIGH_WORD = 32;
const maskOf = ({ bits }: { bits: number }): number => 2 ** bits - 1;
const shiftOf = (field: { first: number }): number => field.first - HIGH_WORD;
const bitsOf = (field: { first: number; bits: number }): number => maskOf(field) << shiftOf(field);

// Of constants, since each TDCALL takes a code apart.
const FIELD_CODE_MASK = maskOf(MetadataFieldId.fieldCode);
const ELEMENT_SIZE_SHIFT = shiftOf(MetadataFieldId.elementSize);
const ELEMENT_SIZE_MASK = maskOf(MetadataFieldId.elementSize);
const CLASS_CODE_SHIFT = shiftOf(MetadataFieldId.classCode);
const CLASS_CODE_MASK = maskOf(MetadataFieldId.classCode);
const CONTEXT_SHIFT = shiftOf(MetadataFieldId.context);
const CONTEXT_MASK = maskOf(MetadataFieldId.context);

/** Field code of a low half: bits 23:0. */
export const fieldCodeOf = (id: ReadonlyU64): number => id.lo & FIELD_CODE_MASK;
export const elementSizeOf = (id: ReadonlyU64): number => (id.hi >>> ELEMENT_SIZE_SHIFT) & ELEMENT_SIZE_MASK;
export const classCodeOf = (id: ReadonlyU64): number => (id.hi >>> CLASS_CODE_SHIFT) & CLASS_CODE_MASK;
const contextOf = (id: ReadonlyU64): number => (id.hi >>> CONTEXT_SHIFT) & CONTEXT_MASK;

const KNOWN_HIGH_BITS =
  bitsOf(MetadataFieldId.elementSize) |
  bitsOf(MetadataFieldId.lastElement) |
  bitsOf(MetadataFieldId.lastField) |
  bitsOf(MetadataFieldId.increment) |
  bitsOf(MetadataFieldId.writeMaskValid) |
  bitsOf(MetadataFieldId.context) |
  bitsOf(MetadataFieldId.classCode) |
  bitsOf(MetadataFieldId.nonArch);

/** Whether `id` is the code of one field kept per VP, with reserved bits clear: what the VP leaves take. */
export function isVpField(id: ReadonlyU64): boolean {
  return (id.hi & ~KNOWN_HIGH_BITS) === 0 && fieldCodeOf(id) === id.lo && contextOf(id) === METADATA_CONTEXT_VP;
}

/** Element size code of a VMCS field: its width is in bits 14:13 of the encoding (SDM 25.11.2: 16-bit, 64-bit, 32-bit, natural). */
export function vmcsElementSize(encoding: number): number {
  const width = (encoding >> 13) & 3;
  return width === 0 ? ElementSize.Bytes2 : width === 2 ? ElementSize.Bytes4 : ElementSize.Bytes8;
}

/** High half of the identifier of a field kept per VP; the low half is the field code. */
export function vpFieldHigh(classCode: number, elementSize: number): number {
  return (elementSize << ELEMENT_SIZE_SHIFT) | (METADATA_CONTEXT_VP << CONTEXT_SHIFT) | (classCode << CLASS_CODE_SHIFT);
}

/** High half of the identifier of a field of an L2 VM's VMCS; the low half is the VMCS encoding. */
export const l2VmcsFieldHigh = (vm: number, encoding: number): number => vpFieldHigh(L2_VMCS_CLASS[vm]!, vmcsElementSize(encoding));
