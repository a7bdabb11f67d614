import { U64 } from '@paravisor/hcl-protocol';
import type { GuestMemoryLine, HclVp } from '@paravisor/hcl-protocol';
import { CodeMode, emulate, EmulateStatus, PageAccess } from '@paravisor/x86-cpu/emulate';
import type { EmulateOutcome } from '@paravisor/x86-cpu/emulate';
import type { LocalApic } from '../apic/index.js';
import { EmulationStatus, Segment } from '../contract/index.js';
import type { BackingVp, Chipset } from '../contract/index.js';
import { ExitedCpu } from './exited-cpu.js';
import { GuestTranslation } from './guest-translation.js';
import { PhysicalBus } from './physical-bus.js';

const INSTRUCTION_BYTES = 15;
const PAGE_BYTES = 0x1000;
const VECTOR_DB = 1;
const VECTOR_UD = 6;
const VECTOR_PF = 14;
const NO_ERROR_CODE = -1;
const RFLAGS_TF = 0x100;
const PAGE_OFFSET_MASK = 0xfffn;
const LEAF_ADDRESS_SIZES = 0x80000008;
/** MAXPHYADDR where CPUID has no leaf for it (Intel SDM volume 3, 4.1.4). */
const DEFAULT_PHYSICAL_ADDRESS_BITS = 36;

/** What emulation on one VP works with. */
export interface MmioEmulatorOptions {
  readonly backing: BackingVp;
  readonly hclVp: HclVp;
  readonly memory: GuestMemoryLine;
  /** [VTL0, VTL1]. */
  readonly apics: readonly LocalApic[];
  readonly chipset: Chipset;
  readonly fatal: (vtl: number, reason: string) => void;
}

/**
 * Finishes the instruction at RIP for a lower VTL that may not do it itself: memory accesses that lead to the APIC page or the chipset, and string port
 * I/O. The exit's own address is not trusted: the guest's page tables say where each access goes.
 */
export class MmioEmulator {
  readonly #options: MmioEmulatorOptions;
  readonly #translation: GuestTranslation;
  readonly #cpu: ExitedCpu;
  readonly #code = new Uint8Array(INSTRUCTION_BYTES);
  readonly #register = new U64();

  constructor(options: MmioEmulatorOptions) {
    this.#options = options;
    this.#translation = new GuestTranslation(options.memory, physicalAddressBits(options.hclVp));
    this.#cpu = new ExitedCpu(this.#translation, new PhysicalBus(options.memory, options.chipset));
  }

  /** One instruction, or one iteration of a REP: RIP then still points at it, and the guest goes on with the next. */
  emulate(vtl: number): EmulationStatus {
    const registers = this.#options.backing.registers(vtl);
    this.#translation.begin(registers);
    this.#cpu.begin(registers, this.#options.apics[vtl]!);

    registers.readRip(this.#register);
    const rip = this.#register.toBigInt();
    const long = this.#cpu.codeMode === CodeMode.Bits64;
    const linear = long ? rip : BigInt.asUintN(32, rip + this.#cpu.segmentBase(Segment.Cs));
    const inFirstPage = Math.min(INSTRUCTION_BYTES, PAGE_BYTES - Number(linear & PAGE_OFFSET_MASK));
    if (!this.#fetch(linear, 0, inFirstPage)) return this.#accessFailed(vtl);
    const outcome = emulate(this.#cpu, this.#code, inFirstPage);
    if (outcome.status !== EmulateStatus.Truncated) return this.#finish(vtl, outcome);

    if (!this.#fetch(linear, inFirstPage, INSTRUCTION_BYTES)) return this.#accessFailed(vtl);
    return this.#finish(vtl, emulate(this.#cpu, this.#code, INSTRUCTION_BYTES));
  }

  /** Fetches the instruction's bytes from `from` to `to`, which lie in one page. */
  #fetch(linear: bigint, from: number, to: number): boolean {
    const gpa = this.#translation.translate(BigInt.asUintN(64, linear + BigInt(from)), PageAccess.Fetch);
    if (gpa < 0) return false;
    const whole = from === 0 && to === INSTRUCTION_BYTES;
    if (this.#options.memory.read(gpa, whole ? this.#code : this.#code.subarray(from, to))) return true;
    this.#translation.failure.pageFault = false;
    this.#translation.failure.gpa = gpa;
    return false;
  }

  #finish(vtl: number, outcome: EmulateOutcome): EmulationStatus {
    switch (outcome.status) {
      case EmulateStatus.Done:
        this.#singleStep(vtl);
        return EmulationStatus.Done;
      case EmulateStatus.Repeat:
        return EmulationStatus.Done;
      case EmulateStatus.AccessFailed:
        return this.#accessFailed(vtl);
      case EmulateStatus.Exception:
        this.#options.backing.injectException(vtl, outcome.vector, outcome.errorCode);
        return EmulationStatus.Faulted;
      default:
        // What cannot be decoded or emulated is the guest's #UD, valid or not (openvmm `emulate`).
        this.#options.backing.injectException(vtl, VECTOR_UD, NO_ERROR_CODE);
        return EmulationStatus.Faulted;
    }
  }

  /** The single-step trap behind an instruction, as openvmm's x86emu has it: TF is gone from the flags that the handler returns to, and DR6 is left alone. */
  #singleStep(vtl: number): void {
    const { backing } = this.#options;
    const registers = backing.registers(vtl);
    const rflags = registers.readRflags();
    if (!(rflags & RFLAGS_TF)) return;
    registers.writeRflags(rflags & ~RFLAGS_TF);
    backing.injectException(vtl, VECTOR_DB, NO_ERROR_CODE);
  }

  /** A page fault is the guest's own; anything else cannot be answered. */
  #accessFailed(vtl: number): EmulationStatus {
    const { pageFault, linear, errorCode, gpa } = this.#translation.failure;
    if (!pageFault) return this.#fatal(vtl, `code or a page table at guest physical address 0x${gpa.toString(16)} lies outside RAM`);
    const { backing } = this.#options;
    backing.registers(vtl).writeCr(2, this.#register.setBigInt(linear));
    backing.injectException(vtl, VECTOR_PF, errorCode);
    return EmulationStatus.Faulted;
  }

  #fatal(vtl: number, reason: string): EmulationStatus {
    this.#options.fatal(vtl, reason);
    return EmulationStatus.Fatal;
  }
}

/** MAXPHYADDR of the guest's processor: EAX 7:0 of leaf 80000008H. */
function physicalAddressBits(hcl: HclVp): number {
  const registers = new Int32Array(4);
  hcl.cpuid(0x80000000, 0, registers);
  if (registers[0]! >>> 0 < LEAF_ADDRESS_SIZES) return DEFAULT_PHYSICAL_ADDRESS_BITS;
  hcl.cpuid(LEAF_ADDRESS_SIZES, 0, registers);
  return registers[0]! & 0xff;
}
