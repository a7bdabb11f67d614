import { RunStatus, VIntr, viewSnpRunPage, viewVmsa } from '@paravisor/hcl-protocol';
import type { ExitReasonName, HclVp, Vmsa } from '@paravisor/hcl-protocol';
import type { InitialRegisters } from '@paravisor/virt-core';
import { createMachine } from '@paravisor/virt-machine';
import type { Machine } from '@paravisor/virt-machine';
import { viewExitMessage } from '../src/abi/index.js';
import type { ExitMessage } from '../src/abi/index.js';
import { snpMachine } from '../src/machine/index.js';
import { initializeVmsa } from '../src/paravisor/initial-state.js';
import { GuestPages } from '../src/paravisor/guest-memory.js';

const RAM_BYTES = 0x10_0000;
const PML4 = 0x1000;
const PDPT = 0x2000;
const GDT = 0x3000;
const IDT = 0x4000;
const TSS = 0x5000;
/** Where a program lies, its stack ends, and its handlers lie, one every 16 bytes by vector. */
export const CODE = 0x1_0000;
const STACK = 0x2_0000;
export const HANDLERS = 0x3_0000;
/** A page that the paravisor does not accept. */
export const UNACCEPTED = 0x8_0000;

const u64s = (values: readonly bigint[]): Uint8Array => new Uint8Array(BigUint64Array.from(values).buffer);

/** A present 64-bit interrupt gate to `HANDLERS + 16 × vector`. */
function gate(vector: number): readonly bigint[] {
  const offset = BigInt(HANDLERS + 16 * vector);
  return [(offset & 0xffffn) | (8n << 16n) | (0x8e00n << 32n) | ((offset >> 16n) << 48n), 0n];
}

const registers: InitialRegisters = {
  gpr: Array.from({ length: 16 }, (_, index) => (index === 4 ? BigInt(STACK) : 0n)),
  rip: BigInt(CODE),
  rflags: 2n,
  cr0: 0x8000_0011n,
  cr3: BigInt(PML4),
  cr4: 0x20n,
  efer: 0xd01n,
  pat: 0x0007_0406_0007_0406n,
  gdtr: { base: BigInt(GDT), limit: 23 },
  idtr: { base: BigInt(IDT), limit: 0xfff },
  segments: [
    ...[0x10, 8, 0x10, 0x10, 0x10, 0x10].map((selector) => ({ selector, attributes: selector === 8 ? 0xa09b : 0xc093, limit: 0xffffffff, base: 0n })),
    { selector: 0, attributes: 0x10000, limit: 0, base: 0n },
    { selector: 0, attributes: 0x8b, limit: 0x67, base: BigInt(TSS) },
  ],
};

/** A machine with a program in VTL0, below the paravisor: tests act as user mode. */
export class GuestProgram {
  readonly machine: Machine;
  readonly hcl: HclVp;
  readonly vmsa: Vmsa;
  readonly exitMessage: ExitMessage;
  readonly pages: GuestPages;

  /** `code` is 64-bit machine code at `CODE`; `handlers` by vector. Interrupts are off at the start. */
  constructor(code: readonly number[], handlers: Readonly<Record<number, readonly number[]>> = {}) {
    this.machine = createMachine({ backing: snpMachine(), ramBytes: RAM_BYTES });
    const { machine } = this;
    this.hcl = machine.hcl.vps[0]!;
    this.pages = new GuestPages(machine.hcl);
    this.hcl.pvalidate(UNACCEPTED, false);
    machine.loadImage(PML4, u64s([BigInt(PDPT) | 3n]));
    machine.loadImage(PDPT, u64s([0n, 1n, 2n, 3n].map((gib) => (gib << 30n) | 0x83n)));
    machine.loadImage(GDT, u64s([0n, 0x00af_9b00_0000_ffffn, 0x00cf_9300_0000_ffffn]));
    machine.loadImage(IDT, u64s(Array.from({ length: 256 }, (_, vector) => gate(vector)).flat()));
    machine.loadImage(CODE, Uint8Array.from(code));
    for (const [vector, bytes] of Object.entries(handlers)) machine.loadImage(HANDLERS + 16 * Number(vector), Uint8Array.from(bytes));
    this.vmsa = viewVmsa(this.hcl.vmsa(0)!);
    initializeVmsa(this.vmsa, 0, registers);
    this.exitMessage = viewExitMessage(this.hcl.runPage);
  }

  /** Gives VTL1 the same registers, but its own program, and opens RAM to it. Returns its VMSA. */
  enableVtl1(at: number, code: readonly number[]): Vmsa {
    this.machine.loadImage(at, Uint8Array.from(code));
    const vmsa = viewVmsa(this.hcl.vmsa(1)!);
    initializeVmsa(vmsa, 1, { ...registers, rip: BigInt(at) });
    this.pages.openToVtl1(0);
    return vmsa;
  }

  /** Frees the VMSA of a VTL and runs it, as user mode does. Returns the exit code. */
  run(vtl = 0): number {
    viewSnpRunPage(this.hcl.runPage).targetVtl = vtl;
    const { vIntrCntrl, guestErrorCode } = viewVmsa(this.hcl.vmsa(vtl)!);
    vIntrCntrl.setParts(vIntrCntrl.lo, vIntrCntrl.hi & ~VIntr.HighGuestBusy);
    const status = this.hcl.run();
    if (status !== RunStatus.Finished) throw new Error(`run returned ${status}`);
    return guestErrorCode.lo;
  }

  get rip(): number {
    return this.vmsa.rip.lo;
  }

  get busy(): boolean {
    return (this.vmsa.vIntrCntrl.hi & VIntr.HighGuestBusy) !== 0;
  }

  /** Exits counted, by destination and name; those never counted are left out. */
  get exits(): Record<'paravisor' | 'user' | 'hypervisor', Partial<Record<ExitReasonName, number>>> {
    const { byReason } = this.machine.ledger.snapshot();
    const counted = (counts: Partial<Record<ExitReasonName, number>>) => Object.fromEntries(Object.entries(counts).filter(([, count]) => count !== 0));
    return { paravisor: counted(byReason.paravisor), user: counted(byReason.user), hypervisor: counted(byReason.hypervisor) };
  }
}
