/** A guest of a few instructions, and a machine to run it on. */
import { EntryRcx, viewTdxRunPage } from '@paravisor/hcl-protocol';
import type { HclVp, TdxRunPage } from '@paravisor/hcl-protocol';
import { LocalApic, LocalApicSet, VmTimeAccess, silentTimerObserver } from '@paravisor/virt-core';
import type { InitialRegisters } from '@paravisor/virt-core';
import { createMachine } from '@paravisor/virt-machine';
import type { Machine, MachineOptions } from '@paravisor/virt-machine';
import { tdxMachine } from '../src/machine/index.js';
import { TdxApicPage } from '../src/paravisor/apic-page.js';
import { initializeLowerVtl } from '../src/paravisor/initial-state.js';
import { TdvpsAccess } from '../src/paravisor/l2-field.js';
import { LowerVtl } from '../src/paravisor/lower-vtl.js';

/** Guest physical addresses. */
export const At = { handler: 0x1000, busy: 0x1200, idle: 0x1280, spin: 0x1300, snippet: 0x1400, idt: 0x3000, pml4: 0x4000, pdpt: 0x5000, counter: 0x8000, stack: 0x20000 } as const;
/** The vector of `handler`, and how many ticks `busy` and `idle` wait for. */
export const TIMER_VECTOR = 0x50;
export const GUEST_TICKS = 20;
/** Written with 1 when `busy` or `idle` have seen their ticks. */
export const DONE_PORT = 0x80;

/**
 * handler: inc qword [0x8000]; x2APIC EOI; iretq.
 * setup (0x1100): x2APIC on, SVR 0x1ff, STIMER0_CONFIG 0x1503 (enabled, periodic, direct, vector 0x50), STIMER0_COUNT 10000 (1 ms); sti; ret.
 * busy: call setup; 1: cmp qword [0x8000], 20; jb 1b; mov al, 1; out 0x80, al; jmp .
 * idle: call setup; 1: cli; cmp qword [0x8000], 20; jae 2f; sti; hlt; jmp 1b; 2: mov al, 1; out 0x80, al; jmp .
 */
const code: readonly [at: number, bytes: string][] = [
  [At.handler, '48ff04250080000050515231c031d2b90b0800000f305a595848cf'],
  [0x1100, 'b91b0000000f320d000c00000f30b90f080000b8ff01000031d20f30b9b0000040b8031500000f30b9b1000040b8102700000f30fbc3'],
  [At.busy, 'e8fbfeffff48833c25008000001472f5b001e680ebfe'],
  [At.idle, 'e87bfefffffa48833c2500800000147304fbf4ebf0b001e680ebfe'],
  [At.spin, 'ebfe'],
];

export const bytesOf = (hex: string): Uint8Array => Uint8Array.from(hex.match(/../g)!, (pair) => Number.parseInt(pair, 16));

function quadwords(...values: readonly bigint[]): Uint8Array {
  return new Uint8Array(BigUint64Array.from(values).buffer);
}

/** The guest's code, identity page tables for 4 GiB, and an IDT with one gate. */
export function loadSmallGuest(machine: Machine): void {
  for (const [at, hex] of code) machine.loadImage(at, bytesOf(hex));
  machine.loadImage(At.pml4, quadwords(BigInt(At.pdpt) | 3n));
  machine.loadImage(At.pdpt, quadwords(0x83n, 0x40000083n, 0x80000083n, 0xc0000083n));
  // A 64-bit interrupt gate for code selector 8 (SDM volume 3, 6.14.1).
  machine.loadImage(At.idt + 16 * TIMER_VECTOR, quadwords(BigInt(At.handler) | (8n << 16n) | (0x8en << 40n), 0n));
  // The GDT that IRETQ and the gate load CS from: null, 64-bit code, data.
  machine.loadImage(0x6000, quadwords(0n, 0x00af9b000000ffffn, 0x00cf93000000ffffn));
}

/** 64-bit mode at `rip`, as the TMK loader starts a guest; interrupts off. */
export function startAt(rip: number): InitialRegisters {
  const segment = (selector: number, attributes: number, limit = 0xffffffff) => ({ selector, attributes, limit, base: 0n });
  const data = segment(0x10, 0xc093);
  const gpr = Array.from({ length: 16 }, (_, index) => (index === 4 ? BigInt(At.stack) : 0n));
  return {
    gpr,
    rip: BigInt(rip),
    rflags: 2n,
    cr0: 0x80000001n,
    cr3: BigInt(At.pml4),
    cr4: 0x20n,
    efer: 0xd01n,
    pat: 0x0007040600070406n,
    gdtr: { base: 0x6000n, limit: 23 },
    idtr: { base: BigInt(At.idt), limit: 0xfff },
    segments: [data, segment(8, 0xa09b), data, data, data, data, segment(0, 0x10082), segment(0, 0x8b, 0xffff)],
  };
}

export interface SmallMachine {
  readonly machine: Machine;
  readonly vp: HclVp;
  readonly page: TdxRunPage;
}

/** A machine with one VP and the guest loaded, at 2 GHz and 20 million instructions a second. */
export function smallMachine(options: Partial<MachineOptions> = {}): SmallMachine {
  const machine = createMachine({ backing: tdxMachine('supported'), ramBytes: 4 << 20, ...options });
  loadSmallGuest(machine);
  const vp = machine.hcl.vps[0]!;
  return { machine, vp, page: viewTdxRunPage(vp.runPage) };
}

/** Everything a lower VTL needs to be entered, by the paravisor's own start-up code. */
export function startVtl0({ vp, page }: SmallMachine, rip: number): LowerVtl {
  const vmTime = new VmTimeAccess(vp);
  const apic = new LocalApic({ vp: 0, vtl: 0, apicId: 0, set: new LocalApicSet({ wake: () => {} }), vmTime, x2apicCapable: true, observer: silentTimerObserver });
  const access = new TdvpsAccess(vp);
  const vtl = new LowerVtl(0, access, apic, () => new TdxApicPage(vp.apicPage));
  initializeLowerVtl(vtl, access, page, startAt(rip));
  vtl.registers.toRunPage(page);
  page.context.entryRcx.setParts(0, 1 << EntryRcx.HighVmShift);
  return vtl;
}
