/** From an intercept of the guest processor to what TDG.VP.ENTER returns in registers (TD partitioning; SDM volume 3, chapter 28). */
import {
  CrQualification,
  EptQualification,
  InterruptionInfo,
  InterruptionType,
  IoQualification,
  U64,
  VmxExit
} from '@paravisor/hcl-protocol';
import type { View ,
  tdxExitInfoLayout} from '@paravisor/hcl-protocol';
import { Access, ExitKind, stateLayout } from '@paravisor/x86-cpu';
import type { Processor, ProcessorExit } from '@paravisor/x86-cpu';

/** The registers as the driver stores them in the run page. */
export type TdxExitInfo = View<(typeof tdxExitInfoLayout)['fields']>;

/** Basic exit reasons the module passes on that no paravisor of ours handles. */
const VmxUnhandledExit = { Invd: 13, Invlpg: 14, Rdpmc: 15, Rdtsc: 16, DrAccess: 29, Mwait: 36, Monitor: 39 } as const;

/** Basic exit reason of each `ExitKind`; a number with no case stays one, and is fatal at the paravisor. */
function exitReasonOf(exit: ProcessorExit): number {
  switch (exit.kind) {
    case ExitKind.Exception:
      return VmxExit.Exception;
    case ExitKind.InterruptWindow:
      return VmxExit.InterruptWindow;
    case ExitKind.NmiWindow:
      return VmxExit.NmiWindow;
    case ExitKind.Cpuid:
      return VmxExit.Cpuid;
    case ExitKind.Hlt:
      return VmxExit.Hlt;
    case ExitKind.Io:
      return VmxExit.Io;
    case ExitKind.MsrRead:
      return VmxExit.MsrRead;
    case ExitKind.MsrWrite:
      return VmxExit.MsrWrite;
    case ExitKind.CrAccess:
      return VmxExit.CrAccess;
    case ExitKind.DrAccess:
      return VmxUnhandledExit.DrAccess;
    case ExitKind.DescriptorTable:
      return exit.tableAccess < 4 ? VmxExit.GdtrIdtr : VmxExit.LdtrTr;
    case ExitKind.NestedPageFault:
      return VmxExit.EptViolation;
    case ExitKind.Vmcall:
      return VmxExit.Vmcall;
    case ExitKind.Tdcall:
      return VmxExit.Tdcall;
    case ExitKind.Xsetbv:
      return VmxExit.Xsetbv;
    case ExitKind.Wbinvd:
      return VmxExit.Wbinvd;
    case ExitKind.Invd:
      return VmxUnhandledExit.Invd;
    case ExitKind.Rdpmc:
      return VmxUnhandledExit.Rdpmc;
    case ExitKind.Pause:
      return VmxExit.Pause;
    case ExitKind.Rdtsc:
      return VmxUnhandledExit.Rdtsc;
    case ExitKind.Monitor:
      return VmxUnhandledExit.Monitor;
    case ExitKind.Mwait:
      return VmxUnhandledExit.Mwait;
    case ExitKind.Invlpg:
      return VmxUnhandledExit.Invlpg;
    default:
      throw new Error(`processor exit ${exit.kind} has no VMX exit reason: VMMCALL and VMGEXIT belong to another vendor`);
  }
}

/** Exit qualification, low half, of every kind that has one. */
function qualificationOf(exit: ProcessorExit): number {
  switch (exit.kind) {
    case ExitKind.Io:
      return (
        (exit.size - 1) |
        (exit.isIn !== 0 ? IoQualification.In : 0) |
        (exit.isString !== 0 ? IoQualification.String : 0) |
        (exit.isRep !== 0 ? IoQualification.Rep : 0) |
        (exit.port << IoQualification.PortShift)
      );
    case ExitKind.CrAccess:
      return (
        exit.vector |
        (exit.crAccess << CrQualification.TypeShift) |
        (exit.crAccess === CrQualification.TypeLmsw ? exit.register << CrQualification.SourceShift : exit.register << CrQualification.RegisterShift)
      );
    case ExitKind.DrAccess:
      // SDM table 28-4: register 2:0, direction 4, general register 11:8.
      return exit.vector | (exit.crAccess << 4) | (exit.register << CrQualification.RegisterShift);
    case ExitKind.NestedPageFault:
      return (
        ((exit.access & Access.Read) !== 0 ? EptQualification.Read : 0) |
        ((exit.access & Access.Write) !== 0 ? EptQualification.Write : 0) |
        ((exit.access & Access.Execute) !== 0 ? EptQualification.Execute : 0) |
        EptQualification.LinearValid |
        ((exit.access & Access.PageWalk) !== 0 ? 0 : EptQualification.Translated)
      );
    default:
      return 0;
  }
}

/** Vectors whose exceptions are software exceptions (SDM 25.9.2): INT3 and INTO. */
const isSoftwareException = (vector: number): boolean => vector === 3 || vector === 4;

function interruptionInfoOf(exit: ProcessorExit): number {
  if (exit.kind !== ExitKind.Exception) return 0;
  const type = isSoftwareException(exit.vector) ? InterruptionType.SoftwareException : InterruptionType.Exception;
  return exit.vector | (type << InterruptionInfo.TypeShift) | (exit.hasErrorCode !== 0 ? InterruptionInfo.ErrorCodeValid : 0) | InterruptionInfo.Valid;
}

/** Instruction information (SDM table 28-14) as far as string port I/O has it: address size in bits 9:7. */
function instructionInfoOf(exit: ProcessorExit): number {
  if (exit.kind !== ExitKind.Io || exit.isString === 0) return 0;
  return (exit.addressSize === 8 ? 2 : exit.addressSize === 4 ? 1 : 0) << 7;
}

/** Fills the run page's exit information for one VCPU's L2 VMs. Cells are reused. */
export class ExitInformation {
  readonly #info: TdxExitInfo;
  readonly #gpa = new U64();

  constructor(info: TdxExitInfo) {
    this.#info = info;
  }

  /** An exit without an instruction: `status` and basic reason, all else zero but the guest's CS and CPL. */
  setPlain(processor: Processor, status: number, reason: number): void {
    const info = this.#info;
    info.rax.setParts(reason, status);
    info.rcx.setParts(0, 0);
    info.rdx.setParts(0, 0);
    info.r8.setParts(0, 0);
    info.r9.setParts(0, 0);
    info.r10.setParts(0, 0);
    info.r11.setParts(0, 0);
    info.r13.setParts(0, 0);
    this.#setCodeSegment(processor);
  }

  /** An intercept of `processor`, with status SUCCESS. */
  setIntercept(processor: Processor): void {
    const info = this.#info;
    const { exit } = processor;
    this.setPlain(processor, 0, exitReasonOf(exit));
    info.rcx.setParts(qualificationOf(exit), 0);
    info.r9.setParts(interruptionInfoOf(exit), exit.kind === ExitKind.Exception && exit.hasErrorCode !== 0 ? exit.errorCode : 0);
    this.setIdtVectoring(exit.idtVectoring, exit.idtVectoringErrorCode);
    info.r11.setParts(instructionInfoOf(exit), exit.instructionLength);
    if (exit.kind === ExitKind.NestedPageFault) {
      info.rdx.setParts(exit.gvaLo, exit.gvaHi);
      info.r8.set(this.#gpa.setNumber(exit.gpa));
    }
  }

  /** An event whose delivery the exit cut off. */
  setIdtVectoring(info: number, errorCode: number): void {
    this.#info.r10.setParts(info, errorCode);
  }

  #setCodeSegment({ bytes, i32 }: Processor): void {
    const cs = stateLayout.segments + stateLayout.segmentSize;
    const ss = cs + stateLayout.segmentSize;
    this.#info.rsi.setParts(i32[cs >> 2]!, i32[(cs >> 2) + 1]!);
    this.#info.rdi.setParts(i32[(cs >> 2) + 2]!, i32[(cs >> 2) + 3]!);
    this.#info.r12.setParts((bytes[ss + 2]! >> 5) & 3, 0);
  }
}
