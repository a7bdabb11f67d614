/** The state a lower VTL starts with: the loader's registers, and the controls the backing runs it under. */
import { U64, l2VmOfVtl } from '@paravisor/hcl-protocol';
import type { TdxRunPage } from '@paravisor/hcl-protocol';
import type { InitialRegisters } from '@paravisor/virt-core';
import { Cr0, Cr4, Efer, EntryControl } from '../abi/index.js';
import type { L2Field, TdvpsAccess } from './l2-field.js';
import type { LowerVtl } from './lower-vtl.js';
import { applyMsrPolicy } from './msr-policy.js';

/** The module keeps CR0.NE and CR4.MCE set in an L2 VM; the guest sees its own values. */
export const CR0_FIXED = Cr0.Ne;
export const CR4_FIXED = Cr4.Mce;
/** Bits whose change exits: what is fixed, what changes the paging mode, and what a confidential guest must not have its way with. */
const CR0_MASK = Cr0.Pe | Cr0.Ne | Cr0.Nw | Cr0.Cd | Cr0.Pg;
const CR4_MASK = Cr4.Pae | Cr4.Mce | Cr4.Vmxe | Cr4.Smxe;
const DR7_RESET = 0x400;
const RSP = 4;

const cell = new U64();
const write = (field: L2Field, value: bigint | number): void => field.write(typeof value === 'bigint' ? cell.setBigInt(value) : cell.setNumber(value));

function writeControls({ vmcs }: LowerVtl, registers: InitialRegisters): void {
  const longMode = (registers.efer & BigInt(Efer.Lma)) !== 0n ? EntryControl.Ia32eModeGuest : 0;
  write(vmcs.entryControls, longMode | EntryControl.LoadPat | EntryControl.LoadEfer);
  write(vmcs.exceptionBitmap, 0);
  write(vmcs.tprThreshold, 0);
  write(vmcs.cr0Mask, CR0_MASK >>> 0);
  write(vmcs.cr4Mask, CR4_MASK);
  write(vmcs.cr0Shadow, registers.cr0);
  write(vmcs.cr4Shadow, registers.cr4);
}

function writeGuestState({ vmcs }: LowerVtl, registers: InitialRegisters): void {
  write(vmcs.cr0, registers.cr0 | BigInt(CR0_FIXED));
  write(vmcs.cr3, registers.cr3);
  write(vmcs.cr4, registers.cr4 | BigInt(CR4_FIXED));
  write(vmcs.efer, registers.efer);
  write(vmcs.pat, registers.pat);
  write(vmcs.dr7, DR7_RESET);
  write(vmcs.gdtrBase, registers.gdtr.base);
  write(vmcs.gdtrLimit, registers.gdtr.limit);
  write(vmcs.idtrBase, registers.idtr.base);
  write(vmcs.idtrLimit, registers.idtr.limit);
  for (const [index, { selector, attributes, limit, base }] of registers.segments.entries()) {
    const fields = vmcs.segments[index]!;
    write(fields.selector, selector);
    write(fields.attributes, attributes);
    write(fields.limit, limit);
    write(fields.base, base);
  }
  write(vmcs.interruptibility, 0);
}

/** Once per VTL, before its first run. General registers are one set for all VTLs of a VP: the VTL initialized last gives their values. */
export function initializeLowerVtl(vtl: LowerVtl, access: TdvpsAccess, page: TdxRunPage, registers: InitialRegisters): void {
  const vm = l2VmOfVtl(vtl.vtl);
  vtl.apicPage.writeCr8(0);
  applyMsrPolicy(access, vm);
  writeControls(vtl, registers);
  writeGuestState(vtl, registers);
  const { gpr } = page.context.gprList;
  for (const [index, value] of registers.gpr.entries()) {
    if (index === RSP) vtl.registers.rsp.setBigInt(value);
    else gpr[index]!.set(cell.setBigInt(value));
  }
  vtl.registers.rip.setBigInt(registers.rip);
  vtl.registers.rflags.setBigInt(registers.rflags);
}
