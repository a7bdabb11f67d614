/** What hardware writes into the VMSA about an exit (APM volume 2, 15.9 to 15.15, 15.25.6 and 15.36). */
import { EventInject, EventInjectType, SvmExit, SvmIoInfo, SvmNpfInfo, VIntr } from '@paravisor/hcl-protocol';
import type { Vmsa } from '@paravisor/hcl-protocol';
import { Access, EventType, ExitKind } from '@paravisor/x86-cpu';
import type { ProcessorExit } from '@paravisor/x86-cpu';
import { isAutomaticExit } from './exit-reason.js';

/** NPF information, high half: the access was to the final address, or to a page table on the way. */
const NpfHigh = { FinalAddress: 1 << 0, PageTable: 1 << 1, VmplCheck: 1 << 4 } as const;
/** NPF information, low half: the RMP denied it. */
const NPF_RMP = 1 << 31;
/** IOIO information: address size 16, 32, 64 in bits 9:7. */
const IO_ADDRESS_SHIFT = 7;

/** SVM exit code of a processor exit that is an instruction; others are made elsewhere, or never asked for. */
function codeOfInstruction(kind: number): number {
  switch (kind) {
    case ExitKind.Cpuid:
      return SvmExit.Cpuid;
    case ExitKind.Io:
      return SvmExit.Ioio;
    case ExitKind.MsrRead:
    case ExitKind.MsrWrite:
      return SvmExit.Msr;
    case ExitKind.Vmmcall:
      return SvmExit.Vmmcall;
    case ExitKind.Vmgexit:
      return SvmExit.Vmgexit;
    case ExitKind.Xsetbv:
      return SvmExit.Xsetbv;
    case ExitKind.Wbinvd:
      return SvmExit.Wbinvd;
    case ExitKind.Invd:
      return SvmExit.Invd;
    case ExitKind.Rdpmc:
      return SvmExit.Rdpmc;
    default:
      throw new Error(`the processor reports an exit of kind ${kind}, which no intercept of a lower VMPL asks for`);
  }
}

function ioInformation(exit: ProcessorExit): number {
  const direction = exit.isIn !== 0 ? SvmIoInfo.In : 0;
  const form = (exit.isString !== 0 ? SvmIoInfo.String : 0) | (exit.isRep !== 0 ? SvmIoInfo.Rep : 0);
  const size = exit.size === 1 ? SvmIoInfo.Size8 : exit.size === 2 ? SvmIoInfo.Size16 : SvmIoInfo.Size32;
  const addressSize = (exit.addressSize >>> 1) << IO_ADDRESS_SHIFT;
  return direction | form | size | addressSize | (exit.port << SvmIoInfo.PortShift);
}

/** Writes an exit code that names no instruction, and marks the VMSA busy when the exit is not automatic. */
export function writeExitCode(vmsa: Vmsa, code: number): void {
  vmsa.guestErrorCode.setParts(code, 0);
  if (!isAutomaticExit(code)) vmsa.vIntrCntrl.setParts(vmsa.vIntrCntrl.lo, vmsa.vIntrCntrl.hi | VIntr.HighGuestBusy);
}

/** An intercepted instruction. The state is stored already; RIP is the instruction's, the next RIP comes with the exit. */
export function writeInstructionExit(vmsa: Vmsa, exit: ProcessorExit): void {
  const code = codeOfInstruction(exit.kind);
  const { lo, hi } = vmsa.rip;
  const low = (lo >>> 0) + exit.instructionLength;
  vmsa.nextRip.setParts(low, hi + (low >= 4294967296 ? 1 : 0));
  vmsa.exitInfo1.setParts(exit.kind === ExitKind.MsrWrite ? 1 : code === SvmExit.Ioio ? ioInformation(exit) : 0, 0);
  vmsa.exitInfo2.setParts(0, 0);
  if (code === SvmExit.Ioio) vmsa.exitInfo2.set(vmsa.nextRip);
  // VMGEXIT completes by leaving.
  if (code === SvmExit.Vmgexit) vmsa.rip.set(vmsa.nextRip);
  writeExitCode(vmsa, code);
}

/** A nested page fault: error code and guest physical address; no next RIP. `isRam`: the RMP denied it, else nothing is there. */
export function writeNestedPageFault(vmsa: Vmsa, exit: ProcessorExit, isRam: boolean): void {
  const { access, gpa } = exit;
  const write = (access & Access.Write) !== 0 ? SvmNpfInfo.Write : 0;
  const fetch = (access & Access.Execute) !== 0 ? SvmNpfInfo.Fetch : 0;
  const user = vmsa.cpl === 3 ? SvmNpfInfo.User : 0;
  const denied = isRam ? SvmNpfInfo.Present | NPF_RMP : 0;
  const place = (access & Access.PageWalk) !== 0 ? NpfHigh.PageTable : NpfHigh.FinalAddress;
  vmsa.exitInfo1.setParts(denied | write | user | fetch, place | (isRam ? NpfHigh.VmplCheck : 0));
  vmsa.exitInfo2.setParts(gpa, Math.floor(gpa / 4294967296));
  vmsa.nextRip.setParts(0, 0);
  writeExitCode(vmsa, SvmExit.Npf);
}

/** The event whose delivery this exit cut off, from the processor's VMX form to SVM's, which has no types for INT1, INT3 and INTO. */
export function writeInterruptedEvent(vmsa: Vmsa, exit: ProcessorExit): void {
  const info = exit.idtVectoring;
  if ((info & EventInject.Valid) === 0) {
    vmsa.exitIntInfo.setParts(0, 0);
    return;
  }
  const type = (info & EventInject.TypeMask) >>> EventInject.TypeShift;
  const svmType = type === EventType.SoftwareException || type === EventType.PrivilegedSoftware ? EventInjectType.Exception : type;
  const errorCode = (info & EventInject.ErrorCodeValid) === 0 ? 0 : exit.idtVectoringErrorCode;
  vmsa.exitIntInfo.setParts((info & ~EventInject.TypeMask) | (svmType << EventInject.TypeShift), errorCode);
}
