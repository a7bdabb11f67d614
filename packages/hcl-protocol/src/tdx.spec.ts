import { describe, expect, it } from 'vitest';
import { L2_VMCS_CLASS, MetadataFieldId, METADATA_CONTEXT_VP, TdvpsField } from './tdx.js';

const part = (code: bigint, { first, bits }: { first: number; bits: number }): number => Number((code >> BigInt(first)) & ((1n << BigInt(bits)) - 1n));
const codeOf = ({ hi, lo }: { hi: number; lo: number }): bigint => (BigInt(hi >>> 0) << 32n) | BigInt(lo >>> 0);

describe('TDX metadata field codes (TDX module ABI, MD_FIELD_ID)', () => {
  it('TSC_DEADLINE is 0xA020000300000058, eight bytes of a VP, non-architectural', () => {
    const code = codeOf(TdvpsField.TscDeadline);
    expect(code).toBe(0xa020000300000058n);
    expect(part(code, MetadataFieldId.elementSize)).toBe(3);
    expect(part(code, MetadataFieldId.context)).toBe(METADATA_CONTEXT_VP);
    expect(part(code, MetadataFieldId.nonArch)).toBe(1);
    expect(part(code, MetadataFieldId.fieldCode)).toBe(0x58);
  });

  it('each L2 VM has its own VMCS class', () => {
    expect(L2_VMCS_CLASS.slice(1)).toEqual([36, 44, 52]);
  });
});
