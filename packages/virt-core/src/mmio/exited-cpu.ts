import { U64 } from '@paravisor/hcl-protocol';
import { CodeMode, PageAccess } from '@paravisor/x86-cpu/emulate';
import type { EmulatorCpu } from '@paravisor/x86-cpu/emulate';
import type { LocalApic } from '../apic/index.js';
import { Segment } from '../contract/index.js';
import type { GuestRegisters, SegmentRegister } from '../contract/index.js';
import type { GuestTranslation } from './guest-translation.js';
import type { PhysicalBus } from './physical-bus.js';

const EFER_LMA = 1 << 10;
/** L and D of CS's access rights. */
const CS_L = 1 << 13;
const CS_D = 1 << 14;
const PAGE_OFFSET_MASK = 0xfffn;
const PAGE_BYTES = 0x1000;

/** A lower VTL's processor after an exit, as the instruction emulator wants it: registers through the backing, memory through its page tables. */
export class ExitedCpu implements EmulatorCpu {
  readonly #translation: GuestTranslation;
  readonly #bus: PhysicalBus;
  readonly #cell = new U64();
  readonly #segment: SegmentRegister = { selector: 0, attributes: 0, limit: 0, base: new U64() };
  codeMode: CodeMode = CodeMode.Bits64;
  #registers!: GuestRegisters;
  #apic!: LocalApic;

  constructor(translation: GuestTranslation, bus: PhysicalBus) {
    this.#translation = translation;
    this.#bus = bus;
  }

  /** The VTL whose instruction is next. */
  begin(registers: GuestRegisters, apic: LocalApic): void {
    this.codeMode = codeModeOf(registers, this.#segment, this.#cell);
    this.#registers = registers;
    this.#apic = apic;
  }

  get rip(): bigint {
    this.#registers.readRip(this.#cell);
    return this.#cell.toBigInt();
  }

  set rip(value: bigint) {
    this.#registers.writeRip(this.#cell.setBigInt(value));
  }

  get rflags(): bigint {
    return BigInt(this.#registers.readRflags() >>> 0);
  }

  set rflags(value: bigint) {
    this.#registers.writeRflags(Number(BigInt.asIntN(32, value)));
  }

  readGpr(register: number): bigint {
    this.#registers.readGpr(register, this.#cell);
    return this.#cell.toBigInt();
  }

  writeGpr(register: number, value: bigint): void {
    this.#registers.writeGpr(register, this.#cell.setBigInt(value));
  }

  /** In 64-bit mode only FS and GS have a base (Intel SDM volume 1, 3.4.4). */
  segmentBase(segment: number): bigint {
    if (this.codeMode === CodeMode.Bits64 && segment !== Segment.Fs && segment !== Segment.Gs) return 0n;
    this.#registers.readSegment(segment, this.#segment);
    return this.#segment.base.toBigInt();
  }

  readMemory(linear: bigint, size: number): bigint | undefined {
    const gpa = this.#translation.translate(linear, PageAccess.Read);
    if (gpa < 0) return undefined;
    const inFirst = bytesInPage(linear, size);
    if (inFirst === size) return this.#bus.read(this.#apic, gpa, size);

    const second = this.#translation.translate(linear + BigInt(inFirst), PageAccess.Read);
    if (second < 0) return undefined;
    let value = 0n;
    for (let i = 0; i < size; i++) value |= this.#bus.read(this.#apic, i < inFirst ? gpa + i : second + i - inFirst, 1) << BigInt(8 * i);
    return value;
  }

  writeMemory(linear: bigint, size: number, value: bigint): boolean {
    const gpa = this.#translation.translate(linear, PageAccess.Write);
    if (gpa < 0) return false;
    const inFirst = bytesInPage(linear, size);
    if (inFirst === size) {
      this.#bus.write(this.#apic, gpa, size, value);
      return true;
    }
    const second = this.#translation.translate(linear + BigInt(inFirst), PageAccess.Write);
    if (second < 0) return false;
    for (let i = 0; i < size; i++) this.#bus.write(this.#apic, i < inFirst ? gpa + i : second + i - inFirst, 1, BigInt.asUintN(8, value >> BigInt(8 * i)));
    return true;
  }

  canWriteMemory(linear: bigint, size: number): boolean {
    if (this.#translation.translate(linear, PageAccess.Write) < 0) return false;
    const inFirst = bytesInPage(linear, size);
    return inFirst === size || this.#translation.translate(linear + BigInt(inFirst), PageAccess.Write) >= 0;
  }

  readPort(port: number, size: number): bigint {
    return this.#bus.readPort(port, size);
  }

  writePort(port: number, size: number, value: bigint): boolean {
    this.#bus.writePort(port, size, value);
    return true;
  }
}

/** What CS and EFER make of code. */
function codeModeOf(registers: GuestRegisters, segment: SegmentRegister, cell: U64): CodeMode {
  registers.readEfer(cell);
  const isLongMode = (cell.lo & EFER_LMA) !== 0;
  registers.readSegment(Segment.Cs, segment);
  if (isLongMode && (segment.attributes & CS_L) !== 0) return CodeMode.Bits64;
  return (segment.attributes & CS_D) === 0 ? CodeMode.Bits16 : CodeMode.Bits32;
}

/** How many of `size` bytes from `linear` lie in its page. An access across two pages goes byte by byte. */
function bytesInPage(linear: bigint, size: number): number {
  return Math.min(size, PAGE_BYTES - Number(linear & PAGE_OFFSET_MASK));
}
