/**
 * The registers that a VMSA and the processor hold alike, word by word: every entry and exit copies them, and a loop over a table takes four times as
 * long. RBP to R15, control registers and segments are copied elsewhere.
 */
import { cpu, save } from './register-words.js';

/** What changes no mode, from a VMSA's words into the processor's. */
export function loadRegisters(to: Int32Array, from: Int32Array): void {
  to[cpu.rax] = from[save.rax]!;
  to[cpu.rax + 1] = from[save.rax + 1]!;
  to[cpu.rcx] = from[save.rcx]!;
  to[cpu.rcx + 1] = from[save.rcx + 1]!;
  to[cpu.rdx] = from[save.rdx]!;
  to[cpu.rdx + 1] = from[save.rdx + 1]!;
  to[cpu.rbx] = from[save.rbx]!;
  to[cpu.rbx + 1] = from[save.rbx + 1]!;
  to[cpu.rsp] = from[save.rsp]!;
  to[cpu.rsp + 1] = from[save.rsp + 1]!;
  to[cpu.rip] = from[save.rip]!;
  to[cpu.rip + 1] = from[save.rip + 1]!;
  to[cpu.cr2] = from[save.cr2]!;
  to[cpu.cr2 + 1] = from[save.cr2 + 1]!;
  to[cpu.dr0] = from[save.dr0]!;
  to[cpu.dr0 + 1] = from[save.dr0 + 1]!;
  to[cpu.dr0 + 2] = from[save.dr0 + 2]!;
  to[cpu.dr0 + 3] = from[save.dr0 + 3]!;
  to[cpu.dr0 + 4] = from[save.dr0 + 4]!;
  to[cpu.dr0 + 5] = from[save.dr0 + 5]!;
  to[cpu.dr0 + 6] = from[save.dr0 + 6]!;
  to[cpu.dr0 + 7] = from[save.dr0 + 7]!;
  to[cpu.dr6] = from[save.dr6]!;
  to[cpu.dr6 + 1] = from[save.dr6 + 1]!;
  to[cpu.dr7] = from[save.dr7]!;
  to[cpu.dr7 + 1] = from[save.dr7 + 1]!;
  to[cpu.star] = from[save.star]!;
  to[cpu.star + 1] = from[save.star + 1]!;
  to[cpu.lstar] = from[save.lstar]!;
  to[cpu.lstar + 1] = from[save.lstar + 1]!;
  to[cpu.cstar] = from[save.cstar]!;
  to[cpu.cstar + 1] = from[save.cstar + 1]!;
  to[cpu.sfmask] = from[save.sfmask]!;
  to[cpu.sfmask + 1] = from[save.sfmask + 1]!;
  to[cpu.kernelGsBase] = from[save.kernelGsBase]!;
  to[cpu.kernelGsBase + 1] = from[save.kernelGsBase + 1]!;
  to[cpu.sysenterCs] = from[save.sysenterCs]!;
  to[cpu.sysenterCs + 1] = from[save.sysenterCs + 1]!;
  to[cpu.sysenterEsp] = from[save.sysenterEsp]!;
  to[cpu.sysenterEsp + 1] = from[save.sysenterEsp + 1]!;
  to[cpu.sysenterEip] = from[save.sysenterEip]!;
  to[cpu.sysenterEip + 1] = from[save.sysenterEip + 1]!;
  to[cpu.pat] = from[save.pat]!;
  to[cpu.pat + 1] = from[save.pat + 1]!;
  to[cpu.xcr0] = from[save.xcr0]!;
  to[cpu.xcr0 + 1] = from[save.xcr0 + 1]!;
  to[cpu.gdtrBase] = from[save.gdtrBase]!;
  to[cpu.gdtrBase + 1] = from[save.gdtrBase + 1]!;
  to[cpu.idtrBase] = from[save.idtrBase]!;
  to[cpu.idtrBase + 1] = from[save.idtrBase + 1]!;
  to[cpu.gdtrLimit] = from[save.gdtrLimit]!;
  to[cpu.idtrLimit] = from[save.idtrLimit]!;
  to[cpu.tscAux] = from[save.tscAux]!;
}

/** The same the other way, and the control registers. */
export function storeRegisters(to: Int32Array, from: Int32Array): void {
  to[save.rax] = from[cpu.rax]!;
  to[save.rax + 1] = from[cpu.rax + 1]!;
  to[save.rcx] = from[cpu.rcx]!;
  to[save.rcx + 1] = from[cpu.rcx + 1]!;
  to[save.rdx] = from[cpu.rdx]!;
  to[save.rdx + 1] = from[cpu.rdx + 1]!;
  to[save.rbx] = from[cpu.rbx]!;
  to[save.rbx + 1] = from[cpu.rbx + 1]!;
  to[save.rsp] = from[cpu.rsp]!;
  to[save.rsp + 1] = from[cpu.rsp + 1]!;
  to[save.rip] = from[cpu.rip]!;
  to[save.rip + 1] = from[cpu.rip + 1]!;
  to[save.cr2] = from[cpu.cr2]!;
  to[save.cr2 + 1] = from[cpu.cr2 + 1]!;
  to[save.dr0] = from[cpu.dr0]!;
  to[save.dr0 + 1] = from[cpu.dr0 + 1]!;
  to[save.dr0 + 2] = from[cpu.dr0 + 2]!;
  to[save.dr0 + 3] = from[cpu.dr0 + 3]!;
  to[save.dr0 + 4] = from[cpu.dr0 + 4]!;
  to[save.dr0 + 5] = from[cpu.dr0 + 5]!;
  to[save.dr0 + 6] = from[cpu.dr0 + 6]!;
  to[save.dr0 + 7] = from[cpu.dr0 + 7]!;
  to[save.dr6] = from[cpu.dr6]!;
  to[save.dr6 + 1] = from[cpu.dr6 + 1]!;
  to[save.dr7] = from[cpu.dr7]!;
  to[save.dr7 + 1] = from[cpu.dr7 + 1]!;
  to[save.star] = from[cpu.star]!;
  to[save.star + 1] = from[cpu.star + 1]!;
  to[save.lstar] = from[cpu.lstar]!;
  to[save.lstar + 1] = from[cpu.lstar + 1]!;
  to[save.cstar] = from[cpu.cstar]!;
  to[save.cstar + 1] = from[cpu.cstar + 1]!;
  to[save.sfmask] = from[cpu.sfmask]!;
  to[save.sfmask + 1] = from[cpu.sfmask + 1]!;
  to[save.kernelGsBase] = from[cpu.kernelGsBase]!;
  to[save.kernelGsBase + 1] = from[cpu.kernelGsBase + 1]!;
  to[save.sysenterCs] = from[cpu.sysenterCs]!;
  to[save.sysenterCs + 1] = from[cpu.sysenterCs + 1]!;
  to[save.sysenterEsp] = from[cpu.sysenterEsp]!;
  to[save.sysenterEsp + 1] = from[cpu.sysenterEsp + 1]!;
  to[save.sysenterEip] = from[cpu.sysenterEip]!;
  to[save.sysenterEip + 1] = from[cpu.sysenterEip + 1]!;
  to[save.pat] = from[cpu.pat]!;
  to[save.pat + 1] = from[cpu.pat + 1]!;
  to[save.xcr0] = from[cpu.xcr0]!;
  to[save.xcr0 + 1] = from[cpu.xcr0 + 1]!;
  to[save.gdtrBase] = from[cpu.gdtrBase]!;
  to[save.gdtrBase + 1] = from[cpu.gdtrBase + 1]!;
  to[save.idtrBase] = from[cpu.idtrBase]!;
  to[save.idtrBase + 1] = from[cpu.idtrBase + 1]!;
  to[save.cr0] = from[cpu.cr0]!;
  to[save.cr0 + 1] = from[cpu.cr0 + 1]!;
  to[save.cr3] = from[cpu.cr3]!;
  to[save.cr3 + 1] = from[cpu.cr3 + 1]!;
  to[save.cr4] = from[cpu.cr4]!;
  to[save.cr4 + 1] = from[cpu.cr4 + 1]!;
  to[save.efer] = from[cpu.efer]!;
  to[save.efer + 1] = from[cpu.efer + 1]!;
  to[save.gdtrLimit] = from[cpu.gdtrLimit]!;
  to[save.idtrLimit] = from[cpu.idtrLimit]!;
  to[save.tscAux] = from[cpu.tscAux]!;
}
