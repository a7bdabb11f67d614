import { VmsaSelector, u64ToBigInt, viewVmsa } from '@paravisor/hcl-protocol';
import { createMachineMemory, createProcessor, createRegisterImage, stateLayout } from '@paravisor/x86-cpu';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { accessRightsOf } from '../abi/index.js';
import { vmsaRegisters } from './vmsa-registers.js';

const memory = createMachineMemory({ contexts: 1, ramBytes: 4096, permissionTables: 1, hostPages: 1 });
const processor = createProcessor(memory, { index: 0, permissionTable: 0, vendor: 'amd', clock: { ticks: () => 0 } });
const page = memory.hostPage(0);
const vmsa = viewVmsa(page);
const image = createRegisterImage(memory, processor, page, vmsaRegisters);
const state = new DataView(processor.bytes.buffer, processor.bytes.byteOffset, processor.bytes.byteLength);

const SEGMENTS = [VmsaSelector.Es, VmsaSelector.Cs, VmsaSelector.Ss, VmsaSelector.Ds, VmsaSelector.Fs, VmsaSelector.Gs, VmsaSelector.Ldtr, VmsaSelector.Tr];
/** 64-bit registers that both name alike. */
const NAMES = ['rip', 'cr0', 'cr2', 'cr3', 'cr4', 'efer', 'dr6', 'dr7', 'star', 'lstar', 'cstar', 'sfmask', 'kernelGsBase', 'sysenterCs', 'sysenterEsp', 'sysenterEip', 'pat', 'xcr0'] as const;
/** Access rights have no bits 11:8, and a VMSA's attributes no bits 15:12. */
const RIGHTS = 0xf0ff;

/** The bytes of the page that a register has. */
const isRegister = Array.from(page, (_, at) => vmsaRegisters.some(({ image: first, bytes }) => at >= first && at < first + bytes));

const word = (offset: number): bigint => state.getBigUint64(offset, true);

/** Each register in the VMSA and in the processor, by name. */
function pairs(): readonly (readonly [string, bigint | number, bigint | number])[] {
  const { rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi, r8to15, dr0to3, selectors, xmm, x87Registers } = vmsa;
  const gprs = [rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi, ...r8to15];
  return [
    ...gprs.map((field, n) => [`gpr ${n}`, u64ToBigInt(field), word(stateLayout.gpr + 8 * n)] as const),
    ...NAMES.map((name) => [name, u64ToBigInt(vmsa[name]), word(stateLayout[name])] as const),
    ...dr0to3.map((field, n) => [`dr${n}`, u64ToBigInt(field), word(stateLayout.dr0 + 8 * n)] as const),
    ...SEGMENTS.flatMap((selector, n) => {
      const at = stateLayout.segments + n * stateLayout.segmentSize;
      const field = selectors[selector]!;
      return [
        [`selector ${n}`, field.selector, state.getUint16(at, true)],
        [`rights ${n}`, accessRightsOf(field.attributes) & RIGHTS, state.getUint16(at + 2, true)],
        [`limit ${n}`, field.limit, state.getUint32(at + 4, true)],
        [`base ${n}`, u64ToBigInt(field.base), word(at + 8)],
      ] as const;
    }),
    ['gdtr limit', selectors[VmsaSelector.Gdtr]!.limit, state.getUint32(stateLayout.gdtrLimit, true)],
    ['gdtr base', u64ToBigInt(selectors[VmsaSelector.Gdtr]!.base), word(stateLayout.gdtrBase)],
    ['idtr limit', selectors[VmsaSelector.Idtr]!.limit, state.getUint32(stateLayout.idtrLimit, true)],
    ['idtr base', u64ToBigInt(selectors[VmsaSelector.Idtr]!.base), word(stateLayout.idtrBase)],
    ['tsc_aux', vmsa.tscAux, state.getUint32(stateLayout.tscAux, true)],
    ...xmm.map((field, n) => [`xmm half ${n}`, u64ToBigInt(field), word(stateLayout.xmm + 8 * n)] as const),
    ...Array.from(x87Registers, (byte, n) => [`x87 byte ${n}`, byte, processor.bytes[stateLayout.x87 + 16 * Math.floor(n / 10) + (n % 10)]!] as const),
    ['mxcsr', vmsa.mxcsr, state.getUint32(stateLayout.mxcsr, true)],
    ['x87 control', vmsa.x87Fcw, state.getUint16(stateLayout.x87Control, true)],
    ['x87 status', vmsa.x87Fsw, state.getUint16(stateLayout.x87Status, true)],
    ['x87 tags', vmsa.x87Ftw, state.getUint16(stateLayout.x87Tag, true)],
  ];
}

const same = (): void => {
  const all = pairs();
  expect(all.map(([name, , cpu]) => [name, cpu])).toEqual(all.map(([name, saved]) => [name, saved]));
};

const contents = fc.uint8Array({ minLength: 4096, maxLength: 4096 });

describe('the registers of a VMSA (APM volume 2, table B-4)', () => {
  it('are the processor’s after they were loaded, each by its name, whatever the page holds', () => {
    fc.assert(
      fc.property(contents, (bytes) => {
        page.set(bytes);
        image.load();
        same();
      }),
      { numRuns: 30 },
    );
  });

  it('are in the page again after they were stored, and nothing else of it changes', () => {
    fc.assert(
      fc.property(contents, contents, (bytes, others) => {
        page.set(bytes);
        image.load();
        page.set(others);
        image.store();
        same();
        expect(page.filter((_, at) => !isRegister[at])).toEqual(others.filter((_, at) => !isRegister[at]));
      }),
      { numRuns: 30 },
    );
  });
});
