/** Guests of a few bytes: what the contract runs in a lower VTL. 64-bit mode, everything mapped to itself, a handler for every vector. */
import type { InitialRegisters } from '@paravisor/virt-core';
import type { PartitionLoader } from '../loader/loader.js';

const PML4 = 0x1000;
const DIRECTORY_POINTERS = 0x2000;
const GDT = 0x3000;
const IDT = 0x4000;
const TSS = 0x5000;
/** Code of VTL0 and what else a clause wants to enter, 64 KiB apart; the stack grows down from the next. */
const CODE = 0x1_0000;
const HANDLERS = 0xf_0000;
/** Room of a handler. */
const HANDLER_BYTES = 64;

/** Ports by which a guest reports: a number, and that it has ended. */
export const Port = { Report: 0x500, End: 0x501 } as const;

/** Instructions by their bytes in hexadecimal; spaces are for the reader. */
export function code(...instructions: readonly string[]): Uint8Array {
  return Uint8Array.from(instructions.join('').replaceAll(' ', '').match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}

/** A number as the bytes of an immediate operand. */
export function littleEndian(value: number, bytes: number): string {
  return Array.from({ length: bytes }, (_, index) => (Math.floor(value / 256 ** index) & 0xff).toString(16).padStart(2, '0')).join('');
}

/** mov ecx, `msr`; mov eax, `low`; mov edx, `high`; wrmsr. */
export const wrmsr = (msr: number, low: number, high = 0): string => `b9 ${littleEndian(msr, 4)} b8 ${littleEndian(low, 4)} ba ${littleEndian(high, 4)} 0f30`;
/** mov ecx, `msr`; rdmsr. */
export const rdmsr = (msr: number): string => `b9 ${littleEndian(msr, 4)} 0f32`;
/** mov eax, `value`; out Port.Report, eax. */
export const report = (value: number): string => `b8 ${littleEndian(value, 4)} ${REPORT_EAX}`;
/** mov dx, Port.Report; out dx, eax. DX is lost. */
export const REPORT_EAX = `66ba ${littleEndian(Port.Report, 2)} ef`;
/** mov dx, Port.End; out dx, eax; jmp . */
export const END = `66ba ${littleEndian(Port.End, 2)} ef ebfe`;
/** jmp . */
export const SPIN = 'ebfe';
export const CLI = 'fa';
export const STI = 'fb';
export const NOP = '90';
export const CPUID = '0fa2';
export const IRETQ = '48cf';
/** push and pop of RAX, RCX and RDX, around a handler that uses them. */
export const SAVE = '50 51 52';
export const RESTORE = '5a 59 58';

/** What a guest consists of. */
export interface ContractGuest {
  /** Code, by place: 0 is where VTL0 starts. */
  readonly programs: readonly (readonly string[])[];
  /** Handlers by vector; any other vector reports `UNEXPECTED` + vector and ends. */
  readonly handlers?: Readonly<Record<number, readonly string[]>>;
}

/** Reported by the handler of a vector that no guest of the clause expects. */
export const UNEXPECTED = 0xbad0_0000;

/** First byte of a program's code. */
export const programAddress = (place: number): number => CODE * (place + 1);

const words = (values: readonly bigint[]): Uint8Array => new Uint8Array(BigUint64Array.from(values).buffer);

/** A present 64-bit interrupt gate, DPL 0. */
function gate(vector: number): readonly bigint[] {
  const offset = BigInt(HANDLERS + HANDLER_BYTES * vector);
  return [(offset & 0xffffn) | (8n << 16n) | (0x8e00n << 32n) | ((offset >> 16n) << 48n), 0n];
}

/** Registers to start a program with, interrupts off: its own stack, and `rbx` for a clause to tell starts apart. */
export function startOf(place: number, rbx = 0n): InitialRegisters {
  const RBX = 3;
  const RSP = 4;
  const gpr = Array.from({ length: 16 }, (_, index) => (index === RBX ? rbx : index === RSP ? BigInt(programAddress(place) + CODE - 16) : 0n));
  const data = { selector: 0x10, attributes: 0xc093, limit: 0xffffffff, base: 0n };
  return {
    gpr,
    rip: BigInt(programAddress(place)),
    rflags: 2n,
    cr0: 0x8000_0011n,
    cr3: BigInt(PML4),
    cr4: 0x20n,
    efer: 0xd01n,
    pat: 0x0007_0406_0007_0406n,
    gdtr: { base: BigInt(GDT), limit: 23 },
    idtr: { base: BigInt(IDT), limit: 0xfff },
    segments: [
      data,
      { selector: 8, attributes: 0xa09b, limit: 0xffffffff, base: 0n },
      data,
      data,
      data,
      data,
      { selector: 0, attributes: 0x82, limit: 0xffff, base: 0n },
      { selector: 0, attributes: 0x8b, limit: 0x67, base: BigInt(TSS) },
    ],
  };
}

/** Loads the guest; VTL0 starts with its first program. */
export function contractLoader({ programs, handlers = {} }: ContractGuest): PartitionLoader {
  return {
    load(target) {
      target.write(PML4, words([BigInt(DIRECTORY_POINTERS) | 3n]));
      // 1 GiB pages: present, writable, large.
      target.write(DIRECTORY_POINTERS, words([0n, 1n, 2n, 3n].map((gib) => (gib << 30n) | 0x83n)));
      target.write(GDT, words([0n, 0x00af_9b00_0000_ffffn, 0x00cf_9300_0000_ffffn]));
      target.write(IDT, words(Array.from({ length: 256 }, (_, vector) => gate(vector)).flat()));
      for (const [place, program] of programs.entries()) target.write(programAddress(place), code(...program));
      for (let vector = 0; vector < 256; vector++) target.write(HANDLERS + HANDLER_BYTES * vector, code(...(handlers[vector] ?? [report(UNEXPECTED + vector), END])));
      return startOf(0);
    },
  };
}
