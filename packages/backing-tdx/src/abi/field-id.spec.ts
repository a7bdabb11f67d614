import { TdvpsField, U64, VmcsField } from '@paravisor/hcl-protocol';
import { describe, expect, it } from 'vitest';
import { ElementSize, MANAGEMENT_CLASS, classCodeOf, elementSizeOf, fieldCodeOf, isVpField, l2MsrBitmapClass, l2VmcsFieldHigh, vmcsElementSize } from './field-id.js';

const tscDeadline = new U64().setParts(TdvpsField.TscDeadline.lo + 1, TdvpsField.TscDeadline.hi);

describe('metadata field identifiers (TDX module ABI, MD_FIELD_ID)', () => {
  it('TSC_DEADLINE of VM 1 is 0xA020000300000059: class 32, per VP, eight bytes', () => {
    expect(tscDeadline.toBigInt()).toBe(0xa020000300000059n);
    expect(isVpField(tscDeadline)).toBe(true);
    expect(classCodeOf(tscDeadline)).toBe(MANAGEMENT_CLASS);
    expect(elementSizeOf(tscDeadline)).toBe(ElementSize.Bytes8);
    expect(fieldCodeOf(tscDeadline)).toBe(0x59);
  });

  it('an L2 VMCS field has the class 36, 44 or 52 of its VM, and its encoding as field code', () => {
    for (const [vm, classCode] of [[1, 36], [2, 44], [3, 52]] as const) {
      const id = new U64().setParts(VmcsField.Cr3, l2VmcsFieldHigh(vm, VmcsField.Cr3));
      expect(isVpField(id)).toBe(true);
      expect(classCodeOf(id)).toBe(classCode);
      expect(fieldCodeOf(id)).toBe(VmcsField.Cr3);
      expect(l2MsrBitmapClass(vm)).toBe(classCode + 1);
    }
  });

  it('the element size follows the width in the VMCS encoding (SDM volume 3, 25.11.2)', () => {
    expect(vmcsElementSize(VmcsField.CsSelector)).toBe(ElementSize.Bytes2);
    expect(vmcsElementSize(VmcsField.ProcessorControls)).toBe(ElementSize.Bytes4);
    expect(vmcsElementSize(VmcsField.VirtualApicPage)).toBe(ElementSize.Bytes8);
    expect(vmcsElementSize(VmcsField.Cr0)).toBe(ElementSize.Bytes8);
  });

  it.each([
    ['a reserved bit of the low half', 1 << 24, tscDeadline.hi],
    ['a reserved bit of the high half', tscDeadline.lo, tscDeadline.hi | (1 << 17)],
    ['a context other than the VP', tscDeadline.lo, tscDeadline.hi & ~(7 << 20)],
  ])('a code with %s names no field of a VP', (_, lo, hi) => {
    expect(isVpField(new U64().setParts(lo, hi))).toBe(false);
  });
});
