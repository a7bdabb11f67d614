/** From an intercept of the guest processor to what TDG.VP.ENTER returns in registers (TD partitioning; SDM volume 3, chapter 28). */
import {
  CrQualification,
  EptQualification,
  InterruptionInfo,
  InterruptionType,
  IoQualification,
  VmxExit,
  tdxExitInfoLayout,
  wordsOf,
} from '@paravisor/hcl-protocol';
import type { View } from '@paravisor/hcl-protocol';
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

// Exit qualifications, low half, of the kinds that have one.

const ioQualification = (exit: ProcessorExit): number =>
  (exit.size - 1) |
  (exit.isIn !== 0 ? IoQualification.In : 0) |
  (exit.isString !== 0 ? IoQualification.String : 0) |
  (exit.isRep !== 0 ? IoQualification.Rep : 0) |
  (exit.port << IoQualification.PortShift);

const crQualification = (exit: ProcessorExit): number =>
  exit.vector |
  (exit.crAccess << CrQualification.TypeShift) |
  (exit.crAccess === CrQualification.TypeLmsw ? exit.register << CrQualification.SourceShift : exit.register << CrQualification.RegisterShift);

/** SDM table 28-4: register 2:0, direction 4, general register 11:8. */
const drQualification = (exit: ProcessorExit): number => exit.vector | (exit.crAccess << 4) | (exit.register << CrQualification.RegisterShift);

const nestedPageFaultQualification = (exit: ProcessorExit): number =>
  ((exit.access & Access.Read) !== 0 ? EptQualification.Read : 0) |
  ((exit.access & Access.Write) !== 0 ? EptQualification.Write : 0) |
  ((exit.access & Access.Execute) !== 0 ? EptQualification.Execute : 0) |
  EptQualification.LinearValid |
  ((exit.access & Access.PageWalk) !== 0 ? 0 : EptQualification.Translated);

/** Vectors whose exceptions are software exceptions (SDM 25.9.2): INT3 and INTO. */
const isSoftwareException = (vector: number): boolean => vector === 3 || vector === 4;

function interruptionInfoOf(exit: ProcessorExit): number {
  const type = isSoftwareException(exit.vector) ? InterruptionType.SoftwareException : InterruptionType.Exception;
  return exit.vector | (type << InterruptionInfo.TypeShift) | (exit.hasErrorCode !== 0 ? InterruptionInfo.ErrorCodeValid : 0) | InterruptionInfo.Valid;
}

/** Instruction information (SDM table 28-14) as far as string port I/O has it: address size in bits 9:7. */
function ioInstructionInfo(exit: ProcessorExit): number {
  if (exit.isString === 0) return 0;
  return (exit.addressSize === 8 ? 2 : exit.addressSize === 4 ? 1 : 0) << 7;
}

/** Words of the registers. */
const { rax, rcx, rdx, rsi, rdi, r8, r9, r10, r11, r12, r13 } = tdxExitInfoLayout.fields;
const RAX = rax.offset >> 2;
const RCX = rcx.offset >> 2;
const RDX = rdx.offset >> 2;
const RSI = rsi.offset >> 2;
const RDI = rdi.offset >> 2;
const R8 = r8.offset >> 2;
const R9 = r9.offset >> 2;
const R10 = r10.offset >> 2;
const R11 = r11.offset >> 2;
const R12 = r12.offset >> 2;
const R13 = r13.offset >> 2;
/** Words of the processor's segment records. */
const CS = (stateLayout.segments + stateLayout.segmentSize) >> 2;
const SS = CS + (stateLayout.segmentSize >> 2);
const TWO_32 = 2 ** 32;

/** Fills the run page's exit information for one VCPU's L2 VMs. */
export class ExitInformation {
  readonly #words: Int32Array;

  constructor(info: TdxExitInfo) {
    this.#words = wordsOf(info);
  }

  /** An exit without an instruction: `status` and basic reason, all else zero but the guest's CS and CPL. */
  setPlain({ i32 }: Processor, status: number, reason: number): void {
    const words = this.#words;
    words[RCX] = words[RCX + 1] = words[RDX] = words[RDX + 1] = 0;
    words[R8] = words[R8 + 1] = words[R9] = words[R9 + 1] = 0;
    words[R10] = words[R10 + 1] = words[R11] = words[R11 + 1] = 0;
    words[R12 + 1] = words[R13] = words[R13 + 1] = 0;
    words[RAX] = reason;
    words[RAX + 1] = status;
    // Selector, attributes and limit of CS; its base; the DPL of SS.
    words[RSI] = i32[CS]!;
    words[RSI + 1] = i32[CS + 1]!;
    words[RDI] = i32[CS + 2]!;
    words[RDI + 1] = i32[CS + 3]!;
    words[R12] = (i32[SS]! >> 21) & 3;
  }

  /** An intercept of `processor`, with status SUCCESS. */
  setIntercept(processor: Processor): void {
    const words = this.#words;
    const { exit } = processor;
    this.setPlain(processor, 0, exitReasonOf(exit));
    words[R10] = exit.idtVectoring;
    words[R10 + 1] = exit.idtVectoringErrorCode;
    words[R11 + 1] = exit.instructionLength;
    switch (exit.kind) {
      case ExitKind.Exception:
        words[R9] = interruptionInfoOf(exit);
        words[R9 + 1] = exit.hasErrorCode !== 0 ? exit.errorCode : 0;
        break;
      case ExitKind.NestedPageFault:
        words[RCX] = nestedPageFaultQualification(exit);
        words[RDX] = exit.gvaLo;
        words[RDX + 1] = exit.gvaHi;
        words[R8] = exit.gpa | 0;
        words[R8 + 1] = Math.floor(exit.gpa / TWO_32) | 0;
        break;
      case ExitKind.Io:
        words[RCX] = ioQualification(exit);
        words[R11] = ioInstructionInfo(exit);
        break;
      case ExitKind.CrAccess:
        words[RCX] = crQualification(exit);
        break;
      case ExitKind.DrAccess:
        words[RCX] = drQualification(exit);
        break;
    }
  }
}
