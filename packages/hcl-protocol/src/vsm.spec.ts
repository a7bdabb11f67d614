import { describe, expect, it } from 'vitest';
import type { Fields, Layout } from './index.js';
import {
  HvVpRegister,
  hvEnablePartitionVtlLayout,
  hvGetVpIndexFromApicIdLayout,
  hvInitialVpContextLayout,
  hvRegisterAssocLayout,
  hvSegmentRegisterLayout,
  hvTableRegisterLayout,
  hvVpRegistersHeaderLayout,
  hvVpVtlContextLayout,
} from './index.js';

/** Size, and offset of each field. */
const shape = ({ size, fields }: Layout<Fields>): readonly [number, Record<string, number>] => [size, Object.fromEntries(Object.entries(fields).map(([name, { offset }]) => [name, offset]))];

describe('guest VSM and virtual processors (TLFS; openvmm hvdef)', () => {
  it('every input has the size and the offsets of hvdef', () => {
    expect(shape(hvSegmentRegisterLayout)).toEqual([16, { base: 0, limit: 8, selector: 12, attributes: 14 }]);
    expect(shape(hvTableRegisterLayout)).toEqual([16, { pad: 0, limit: 6, base: 8 }]);
    const context = { rip: 0, rsp: 8, rflags: 16, cs: 24, ds: 40, es: 56, fs: 72, gs: 88, ss: 104, tr: 120, ldtr: 136, idtr: 152, gdtr: 168, efer: 184, cr0: 192, cr3: 200, cr4: 208, pat: 216 };
    expect(shape(hvInitialVpContextLayout)).toEqual([224, context]);
    expect(shape(hvEnablePartitionVtlLayout)).toEqual([16, { partitionId: 0, targetVtl: 8, flags: 9, reserved: 10 }]);
    expect(shape(hvVpVtlContextLayout)).toEqual([240, { partitionId: 0, vpIndex: 8, targetVtl: 12, reserved: 13, context: 16 }]);
    expect(shape(hvVpRegistersHeaderLayout)).toEqual([16, { partitionId: 0, vpIndex: 8, inputVtl: 12, reserved: 13 }]);
    expect(shape(hvRegisterAssocLayout)).toEqual([32, { name: 0, reserved: 4, value: 16 }]);
    expect(shape(hvGetVpIndexFromApicIdLayout)).toEqual([16, { partitionId: 0, targetVtl: 8, reserved: 9 }]);
  });

  it('register names are those of the TLFS', () => {
    const { Rax, Rip, Cr8, Es, Gdtr, Efer, Sint0, Eom, Stimer0Config, VsmCodePageOffsets, VsmVina, VsmPartitionConfig, VsmVpSecureConfigVtl0 } = HvVpRegister;
    expect([Rax, Rip, Cr8, Es, Gdtr, Efer]).toEqual([0x20000, 0x20010, 0x40004, 0x60000, 0x70001, 0x80001]);
    expect([Sint0, Eom, Stimer0Config]).toEqual([0xa0000, 0xa0014, 0xb0000]);
    expect([VsmCodePageOffsets, VsmVina, VsmPartitionConfig, VsmVpSecureConfigVtl0]).toEqual([0xd0002, 0xd0005, 0xd0007, 0xd0010]);
  });
});
