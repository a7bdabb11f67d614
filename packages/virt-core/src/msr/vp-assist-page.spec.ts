import { U64 } from '@paravisor/hcl-protocol';
import { beforeEach, describe, expect, it } from 'vitest';
import { FlatMemory } from '../conformance/flat-memory.js';
import { MsrStatus } from '../contract/status.js';
import { VpAssistPage } from './vp-assist-page.js';

const GPA = 0x2000;
let memory: FlatMemory;
let page: VpAssistPage;

beforeEach(() => {
  memory = new FlatMemory(0x4000);
  page = new VpAssistPage(memory);
});

const write = (value: number | bigint): MsrStatus => page.writeRegister(U64.of(value));

describe('the VP assist page (TLFS "Virtual Processor Assist Page"; openvmm hv.rs)', () => {
  it.each([
    ['reserved bit 1', 0x2003],
    ['reserved bit 11', 0x2801],
    ['a page outside RAM', 0x4001],
  ])('%s is #GP, and nothing changes', (_, value) => {
    expect(write(value)).toBe(MsrStatus.GeneralProtection);
    expect(page.register.lo).toBe(0);
  });

  it('is a page of the hypervisor: enabling lays it over RAM, disabling takes its contents along, and RAM does not come back', () => {
    memory.bytes.fill(0xaa);
    page.setEntryReason(2);
    write(GPA | 1);
    expect([...memory.bytes.subarray(GPA, GPA + 16)]).toEqual([0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0]);
    memory.bytes[GPA + 12] = 1;
    write(0);
    memory.bytes.fill(0xbb, GPA, GPA + 0x1000);
    expect(page.vinaAsserted).toBe(true);
    write(0x3001);
    expect([memory.bytes[0x300c], memory.bytes[GPA]]).toEqual([1, 0xbb]);
  });

  it('holds what a VTL switch leaves and takes: entry reason, VINA, return registers', () => {
    write(GPA | 1);
    page.setEntryReason(1);
    page.setVinaAsserted(true);
    expect([memory.bytes[GPA + 8], memory.bytes[GPA + 12], memory.bytes[GPA + 13]]).toEqual([1, 1, 0]);
    memory.bytes[GPA + 12] = 0;
    expect(page.vinaAsserted).toBe(false);
    memory.bytes.set([0x11, 0, 0, 0, 0, 0, 0, 0x80, 0x22], GPA + 16);
    const [rax, rcx] = [new U64(), new U64()];
    page.readReturnRegisters(rax, rcx);
    expect([rax.toBigInt(), rcx.toBigInt()]).toEqual([0x8000_0000_0000_0011n, 0x22n]);
  });

  it('is not offered for lazy EOI while it is disabled', () => {
    expect(page.offerLazyEoi()).toBe(false);
  });

  it('an offered EOI that the guest did not use is taken back', () => {
    write(GPA | 1);
    expect(page.offerLazyEoi()).toBe(true);
    expect(memory.bytes[GPA]).toBe(1);
    expect(page.takeLazyEoi()).toBe(false);
    expect(memory.bytes[GPA]).toBe(0);
  });

  it('a guest that clears the bit has done its EOI', () => {
    write(GPA | 1);
    page.offerLazyEoi();
    memory.bytes[GPA] = 0;
    expect(page.takeLazyEoi()).toBe(true);
  });

  it('reset makes it a private page of zeros again', () => {
    write(GPA | 1);
    page.setEntryReason(3);
    page.reset();
    expect(page.register.lo).toBe(0);
    write(0x3001);
    expect(memory.bytes[0x3008]).toBe(0);
  });

  it.each([0, GPA | 1])('saved and restored, has register and contents, wherever it was (register %i)', (register) => {
    write(register);
    page.setEntryReason(3);
    const other = new VpAssistPage(memory);
    other.restore(JSON.parse(JSON.stringify(page.save())) as ReturnType<VpAssistPage['save']>);
    expect(other.save()).toEqual(page.save());
    other.writeRegister(U64.of(0x3001));
    expect(memory.bytes[0x3008]).toBe(3);
  });
});
