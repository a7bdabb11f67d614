import type { U64Field, Vmsa } from '@paravisor/hcl-protocol';
import { gprFields } from './guest-registers.js';

const RSP = 4;

/** The 64-bit registers of a VMSA that a VP's VTLs share (openvmm `switch_vtl` of its SNP backing; TLFS 15.11.1). DR6 is not among them on AMD. */
function sharedFields(vmsa: Vmsa): readonly U64Field[] {
  const gpr = gprFields(vmsa).filter((_field, index) => index !== RSP);
  const { cr2, xcr0, dr0to3, plSsp, uCet, xmm, ymmHigh, x87Dp, x87Rip } = vmsa;
  return [...gpr, cr2, xcr0, ...dr0to3, ...plSsp, uCet, x87Dp, x87Rip, ...xmm, ...ymmHigh];
}

const narrowX87 = ['mxcsr', 'x87Ftw', 'x87Fsw', 'x87Fcw', 'x87Fop', 'x87Ds', 'x87Cs'] as const;

/** A VMSA whose shared registers are copied to and from another's. */
export class SharedRegisters {
  readonly #vmsa: Vmsa;
  readonly #fields: readonly U64Field[];

  constructor(vmsa: Vmsa) {
    this.#vmsa = vmsa;
    this.#fields = sharedFields(vmsa);
  }

  /** Takes the registers of the VTL that ran before. */
  copyFrom(source: SharedRegisters): void {
    for (let index = 0; index < this.#fields.length; index++) this.#fields[index]!.set(source.#fields[index]!);
    for (const name of narrowX87) this.#vmsa[name] = source.#vmsa[name];
    this.#vmsa.x87Registers.set(source.#vmsa.x87Registers);
  }
}
