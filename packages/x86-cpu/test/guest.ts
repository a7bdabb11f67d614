import { createMachineMemory, createProcessor, stateLayout, Stop } from '../src/index.js';
import type { MachineMemory, Processor } from '../src/index.js';

/** Where the test guest keeps things; the first 2 MiB are mapped to themselves by 4 KiB pages. */
export const IDT = 0x2000;
export const GDT = 0x3000;
export const TSS = 0x3800;
export const PML4 = 0x4000;
export const PDPT = 0x5000;
export const PD = 0x6000;
export const PT = 0x7000;
/** Sixteen bytes a vector, a HLT each. */
export const HANDLERS = 0x9000;
export const CODE = 0x10000;
export const DATA = 0x40000;
export const STACK = 0x80000;
export const IST1 = 0x90000;
export const RSP0 = 0xa0000;
export const RAM = 0x400000;

/** Selectors of the guest's GDT. */
export const Selector = { kernelCode: 0x08, kernelData: 0x10, userData: 0x18, userCode: 0x20, tss: 0x28, code32: 0x38, code16: 0x40, userCode32: 0x48 } as const;

/** General registers by number. */
export const Reg = { rax: 0, rcx: 1, rdx: 2, rbx: 3, rsp: 4, rbp: 5, rsi: 6, rdi: 7, r8: 8, r9: 9, r10: 10, r11: 11 } as const;

/** Page-table entry bits. */
export const Pte = { p: 1, w: 2, u: 4, a: 0x20, d: 0x40, nxHi: 0x80000000 } as const;

const HLT = 0xf4;
const RET = 0xc3;

/** Bytes of machine code written as hexadecimal. */
export function code(hex: string): Uint8Array {
  return Uint8Array.from(hex.split(' '), (byte) => parseInt(byte, 16));
}

export interface GuestOptions {
  vendor?: 'intel' | 'amd';
  ticks?: (retired: number) => number;
  readable?: () => boolean;
  contexts?: number;
}

/** A machine in 64-bit mode at privilege 0, with a GDT, a TSS and an IDT whose handlers halt. */
export class Guest {
  readonly memory: MachineMemory;
  readonly processor: Processor;
  readonly view: DataView;

  constructor(options: GuestOptions = {}) {
    const { vendor = 'intel', ticks = (retired) => retired, readable = () => true, contexts = 1 } = options;
    this.memory = createMachineMemory({ contexts, ramBytes: RAM, permissionTables: contexts, hostPages: 1 });
    this.processor = this.#createProcessor(0, vendor, ticks, readable);
    this.view = new DataView(this.processor.bytes.buffer, this.processor.bytes.byteOffset, this.processor.bytes.byteLength);
    this.#layOut();
    this.reset();
  }

  #createProcessor(index: number, vendor: 'intel' | 'amd', ticks: (retired: number) => number, readable = () => true): Processor {
    const processor: Processor = createProcessor(this.memory, {
      index,
      permissionTable: index,
      vendor,
      clock: { ticks: () => ticks(processor.retired), readable },
    });
    return processor;
  }

  /** The processor of another context, with the first one's registers. */
  otherProcessor(index: number): Processor {
    const other = this.#createProcessor(index, 'intel', (retired) => retired);
    other.bytes.set(this.processor.bytes);
    other.stateChanged();
    return other;
  }

  #layOut(): void {
    const { memory } = this;
    const entry = (at: number, value: number): void => memory.writeRam32(at, value);
    entry(PML4, PDPT | 7);
    entry(PDPT, PD | 7);
    entry(PD, PT | 7);
    for (let page = 0; page < 512; page++) entry(PT + 8 * page, (page << 12) | Pte.p | Pte.w);
    const descriptor = (selector: number, lo: number, hi: number): void => {
      entry(GDT + selector, lo);
      entry(GDT + selector + 4, hi);
    };
    descriptor(Selector.kernelCode, 0xffff, 0x00af9b00);
    descriptor(Selector.kernelData, 0xffff, 0x00cf9300);
    descriptor(Selector.userData, 0xffff, 0x00cff300);
    descriptor(Selector.userCode, 0xffff, 0x00affb00);
    descriptor(Selector.tss, 0x0067 | (TSS << 16), 0x8b00);
    descriptor(Selector.code32, 0xffff, 0x00cf9b00);
    descriptor(Selector.code16, 0xffff, 0x00009b00);
    descriptor(Selector.userCode32, 0xffff, 0x00cffb00);
    this.quad(TSS + 4, BigInt(RSP0));
    this.quad(TSS + 0x24, BigInt(IST1));
    for (let vector = 0; vector < 256; vector++) {
      this.gate(vector, HANDLERS + 16 * vector);
      memory.writeRam8(HANDLERS + 16 * vector, HLT);
    }
    memory.writeRam8(STACK - 0x1000, RET);
  }

  /** An interrupt gate to ring 0. */
  gate(vector: number, handler: number, options: { ist?: number; dpl?: number; trap?: boolean; present?: boolean } = {}): void {
    const { ist = 0, dpl = 0, trap = false, present = true } = options;
    const type = (trap ? 15 : 14) | (dpl << 5) | (present ? 0x80 : 0);
    this.memory.writeRam32(IDT + 16 * vector, (handler & 0xffff) | (Selector.kernelCode << 16));
    this.memory.writeRam32(IDT + 16 * vector + 4, ist | (type << 8) | (handler & 0xffff0000));
    this.memory.writeRam32(IDT + 16 * vector + 8, 0);
  }

  /** Puts the registers where every test starts. */
  reset(): void {
    const { processor } = this;
    processor.bytes.fill(0);
    this.set(stateLayout.cr0, 0x8001_0033n);
    this.set(stateLayout.cr3, BigInt(PML4));
    this.set(stateLayout.cr4, 0x20n);
    this.set(stateLayout.efer, 0xd01n);
    this.set(stateLayout.gdtrBase, BigInt(GDT));
    this.view.setUint32(stateLayout.gdtrLimit, 0x37, true);
    this.set(stateLayout.idtrBase, BigInt(IDT));
    this.view.setUint32(stateLayout.idtrLimit, 0xfff, true);
    this.segment(1, Selector.kernelCode, 0xa09b);
    for (const data of [0, 2, 3, 4, 5]) this.segment(data, Selector.kernelData, 0xc093);
    this.segment(7, Selector.tss, 0x008b, BigInt(TSS), 0x67);
    this.setReg(Reg.rsp, BigInt(STACK));
    this.rip = CODE;
    processor.writeRflags(2);
    processor.stateChanged();
  }

  /** Puts the processor into real mode as INIT and a start-up IPI leave it (SDM volume 3, table 9-1 and 8.4.4.1): CS names `vector`'s page, IP is 0. */
  startUp(vector: number): this {
    const { processor } = this;
    processor.bytes.fill(0);
    this.set(stateLayout.cr0, 0x10n);
    this.view.setUint32(stateLayout.gdtrLimit, 0xffff, true);
    this.view.setUint32(stateLayout.idtrLimit, 0xffff, true);
    this.segment(1, vector << 8, 0x9b, BigInt(vector << 12), 0xffff);
    for (const data of [0, 2, 3, 4, 5]) this.segment(data, 0, 0x93, 0n, 0xffff);
    this.segment(6, 0, 0x82, 0n, 0xffff);
    this.segment(7, 0, 0x8b, 0n, 0xffff);
    processor.writeRflags(2);
    processor.stateChanged();
    return this;
  }

  /** Makes the GDT long enough for the selectors of 16- and 32-bit code. */
  allSelectors(): this {
    this.view.setUint32(stateLayout.gdtrLimit, 0x4f, true);
    return this;
  }

  /** Goes to 32-bit protected mode without paging, with flat segments; the IDT still has the gates of 64-bit mode. */
  protect(): this {
    this.allSelectors();
    this.set(stateLayout.cr0, 0x31n);
    this.set(stateLayout.cr4, 0n);
    this.set(stateLayout.efer, 0n);
    this.segment(1, Selector.code32, 0xc09b);
    this.processor.stateChanged();
    return this;
  }

  /** Loads a segment descriptor into the GDT at a selector, and makes room for it. */
  describe(selector: number, lo: number, hi: number): this {
    this.memory.writeRam32(GDT + selector, lo);
    this.memory.writeRam32(GDT + selector + 4, hi);
    this.view.setUint32(stateLayout.gdtrLimit, Math.max(this.view.getUint32(stateLayout.gdtrLimit, true), selector + 7), true);
    return this;
  }

  /** A gate of protected mode. */
  gate32(vector: number, handler: number, options: { selector?: number; type?: number; dpl?: number; present?: boolean } = {}): this {
    const { selector = Selector.code32, type = 14, dpl = 0, present = true } = options;
    this.memory.writeRam32(IDT + 8 * vector, (handler & 0xffff) | (selector << 16));
    this.memory.writeRam32(IDT + 8 * vector + 4, ((type | (dpl << 5) | (present ? 0x80 : 0)) << 8) | (handler & 0xffff0000));
    return this;
  }

  /** Goes to ring 3, as if returned to. */
  enterUser(): void {
    this.segment(1, Selector.userCode | 3, 0xa0fb);
    this.segment(2, Selector.userData | 3, 0xc0f3);
    this.processor.stateChanged();
  }

  segment(number: number, selector: number, attributes: number, base = 0n, limit = 0xffffffff): void {
    const at = stateLayout.segments + number * stateLayout.segmentSize;
    this.view.setUint16(at, selector, true);
    this.view.setUint16(at + 2, attributes, true);
    this.view.setUint32(at + 4, limit, true);
    this.set(at + 8, base);
  }

  get(offset: number): bigint {
    return this.view.getBigUint64(offset, true);
  }

  set(offset: number, value: bigint): void {
    this.view.setBigUint64(offset, value, true);
  }

  reg(number: number): bigint {
    return this.get(stateLayout.gpr + 8 * number);
  }

  setReg(number: number, value: bigint): void {
    this.set(stateLayout.gpr + 8 * number, value);
  }

  get rip(): number {
    return Number(this.get(stateLayout.rip));
  }

  set rip(value: number) {
    this.set(stateLayout.rip, BigInt(value));
  }

  /** The vector whose handler has just halted, or -1. */
  get handled(): number {
    const at = this.rip - 1 - HANDLERS;
    return at >= 0 && at % 16 === 0 && at < 256 * 16 ? at / 16 : -1;
  }

  quad(gpa: number, value: bigint): void {
    this.memory.writeRam32(gpa, Number(BigInt.asIntN(32, value)));
    this.memory.writeRam32(gpa + 4, Number(BigInt.asIntN(32, value >> 32n)));
  }

  quadAt(gpa: number): bigint {
    return (BigInt(this.memory.readRam32(gpa + 4) >>> 0) << 32n) | BigInt(this.memory.readRam32(gpa) >>> 0);
  }

  /** The page-table entry of a linear address below 2 MiB. */
  entryOf(linear: number): number {
    return PT + 8 * (linear >> 12);
  }

  /** Changes a page-table entry's low half and flushes. */
  map(linear: number, lo: number, hi = 0): void {
    this.memory.writeRam32(this.entryOf(linear), lo);
    this.memory.writeRam32(this.entryOf(linear) + 4, hi | 0);
    this.processor.flushTlb();
  }

  load(bytes: Uint8Array, at = CODE): this {
    this.memory.writeRam(at, bytes);
    return this;
  }

  /** Runs until something but the budget or a cost stops it. */
  finish(limit = 10_000): Stop {
    for (;;) {
      const stop = this.processor.run(limit);
      if (stop === Stop.Budget) throw new Error('the guest does not stop');
      if (stop !== Stop.Costed) return stop;
    }
  }

  /** Everything a guest can see: registers, flags, and a checksum (FNV-1a by words) of its first MiB. */
  snapshot(): { state: bigint[]; flags: number; memory: number } {
    const bytes = new Uint8Array(1 << 20);
    this.memory.readRam(0, bytes);
    const memory = new Int32Array(bytes.buffer).reduce((hash, word) => Math.imul(hash ^ word, 0x01000193), 0x811c9dc5 | 0);
    const offsets = [...Array.from({ length: 16 }, (_, i) => stateLayout.gpr + 8 * i), stateLayout.rip, stateLayout.cr2, stateLayout.interruptibility];
    return { state: offsets.map((offset) => this.get(offset)), flags: this.processor.readRflags(), memory };
  }
}
