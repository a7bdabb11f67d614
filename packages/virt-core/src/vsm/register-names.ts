/** Which register of a VTL a name of the TLFS means, and what may be done with it (openvmm `get_vp_register`, `set_vp_register`). */
import { HvMsr, HvVpRegister, MSR_APIC_BASE, SINT_COUNT, STIMER_COUNT } from '@paravisor/hcl-protocol';

/** How a register is reached. */
export const RegisterKind = {
  Unknown: 0,
  Gpr: 1,
  Rip: 2,
  Rflags: 3,
  Cr: 4,
  Cr8: 5,
  Efer: 6,
  Segment: 7,
  Table: 8,
  /** An MSR the VTL has for itself. */
  OwnMsr: 9,
  /** An MSR the hypervisor keeps. */
  HypervisorMsr: 10,
  ApicBase: 11,
  PendingEvent: 12,
  CodePageOffsets: 13,
  Vina: 14,
  Capabilities: 15,
  PartitionConfig: 16,
  SecureConfig: 17,
} as const;
export type RegisterKind = (typeof RegisterKind)[keyof typeof RegisterKind];

/** One register; `index` numbers it within its kind. */
export interface VpRegister {
  readonly kind: RegisterKind;
  readonly index: number;
  /** A register of the processor: only a higher VTL may have it. */
  readonly architectural: boolean;
  readonly readable: boolean;
  readonly writable: boolean;
}

const registers = new Map<number, VpRegister>();
const add = (name: number, kind: RegisterKind, index: number, access: 'r' | 'w' | 'rw', architectural: boolean): void => {
  registers.set(name, { kind, index, architectural, readable: access !== 'w', writable: access !== 'r' });
};

const RSP = 4;
const LDTR = 6;
const SEGMENTS = 8;
for (let index = 0; index < 16; index++) add(HvVpRegister.Rax + index, RegisterKind.Gpr, index, index === RSP ? 'rw' : 'r', true);
for (let index = 0; index < SEGMENTS; index++) add(HvVpRegister.Es + index, RegisterKind.Segment, index, index === LDTR ? 'rw' : 'r', true);
add(HvVpRegister.Rip, RegisterKind.Rip, 0, 'rw', true);
add(HvVpRegister.Rflags, RegisterKind.Rflags, 0, 'rw', true);
add(HvVpRegister.Cr0, RegisterKind.Cr, 0, 'rw', true);
add(HvVpRegister.Cr2, RegisterKind.Cr, 2, 'r', true);
add(HvVpRegister.Cr3, RegisterKind.Cr, 3, 'r', true);
add(HvVpRegister.Cr4, RegisterKind.Cr, 4, 'rw', true);
add(HvVpRegister.Cr8, RegisterKind.Cr8, 0, 'rw', true);
add(HvVpRegister.Efer, RegisterKind.Efer, 0, 'rw', true);
add(HvVpRegister.Gdtr, RegisterKind.Table, 0, 'rw', true);
add(HvVpRegister.Idtr, RegisterKind.Table, 1, 'rw', true);
const ownMsrs = [
  [HvVpRegister.Star, 0xc0000081, 'rw'],
  [HvVpRegister.Lstar, 0xc0000082, 'rw'],
  [HvVpRegister.Cstar, 0xc0000083, 'rw'],
  [HvVpRegister.Sfmask, 0xc0000084, 'rw'],
  [HvVpRegister.KernelGsBase, 0xc0000102, 'r'],
  [HvVpRegister.TscAux, 0xc0000103, 'rw'],
  [HvVpRegister.SysenterCs, 0x174, 'rw'],
  [HvVpRegister.SysenterEsp, 0x175, 'rw'],
  [HvVpRegister.SysenterEip, 0x176, 'rw'],
  [HvVpRegister.Pat, 0x277, 'rw'],
] as const;
for (const [name, msr, access] of ownMsrs) add(name, RegisterKind.OwnMsr, msr, access, true);
for (let sint = 0; sint < SINT_COUNT; sint++) add(HvVpRegister.Sint0 + sint, RegisterKind.HypervisorMsr, HvMsr.Sint0 + sint, 'rw', false);
for (let name: number = HvVpRegister.Scontrol; name <= HvVpRegister.Eom; name++) {
  add(name, RegisterKind.HypervisorMsr, HvMsr.Scontrol + name - HvVpRegister.Scontrol, 'rw', false);
}
for (let register = 0; register < 2 * STIMER_COUNT; register++) {
  add(HvVpRegister.Stimer0Config + register, RegisterKind.HypervisorMsr, HvMsr.Stimer0Config + register, 'rw', false);
}
add(HvVpRegister.VpAssistPage, RegisterKind.HypervisorMsr, HvMsr.VpAssistPage, 'rw', false);
add(HvVpRegister.ApicBase, RegisterKind.ApicBase, MSR_APIC_BASE, 'rw', false);
add(HvVpRegister.PendingEvent0, RegisterKind.PendingEvent, 0, 'w', false);
add(HvVpRegister.VsmCodePageOffsets, RegisterKind.CodePageOffsets, 0, 'r', false);
add(HvVpRegister.VsmVina, RegisterKind.Vina, 0, 'rw', false);
add(HvVpRegister.VsmCapabilities, RegisterKind.Capabilities, 0, 'r', false);
add(HvVpRegister.VsmPartitionConfig, RegisterKind.PartitionConfig, 0, 'w', false);
add(HvVpRegister.VsmVpSecureConfigVtl0, RegisterKind.SecureConfig, 0, 'rw', false);

const unknown: VpRegister = { kind: RegisterKind.Unknown, index: 0, architectural: false, readable: false, writable: false };

/** The register of that name; of kind Unknown when there is none. */
export const vpRegister = (name: number): VpRegister => registers.get(name) ?? unknown;
