import { U64 } from '@paravisor/hcl-protocol';
import type { GuestRegisters } from '@paravisor/virt-core';

const GPR_NAMES = ['rax', 'rcx', 'rdx', 'rbx', 'rsp', 'rbp', 'rsi', 'rdi', 'r8', 'r9', 'r10', 'r11', 'r12', 'r13', 'r14', 'r15'];

/** A lower VTL's registers as one line, for the report of a fault. */
export function registerLine(registers: GuestRegisters): string {
  const value = new U64();
  const read = (name: string, fill: (out: U64) => void): string => {
    fill(value);
    return `${name} ${value}`;
  };
  return [
    read('rip', (out) => registers.readRip(out)),
    `rflags 0x${(registers.readRflags() >>> 0).toString(16)}`,
    ...GPR_NAMES.map((name, index) => read(name, (out) => registers.readGpr(index, out))),
    ...([0, 2, 3, 4] as const).map((number) => read(`cr${number}`, (out) => registers.readCr(number, out))),
    read('efer', (out) => registers.readEfer(out)),
  ].join(' ');
}
