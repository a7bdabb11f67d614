/** From what the processor intercepted to what the run page says (SDM volume 3, appendix C), and the name under which it is counted. */
import { CrQualification, ExitReason, IoQualification, U64, VmxExit } from '@paravisor/hcl-protocol';
import type { ExitReasonName } from '@paravisor/hcl-protocol';
import { ExitKind } from '@paravisor/x86-cpu';
import type { ProcessorExit } from '@paravisor/x86-cpu';
import { VMX_EXIT_INVD } from '../abi/context.js';
import type { ExampleExit } from '../abi/context.js';

/** Everything `configureIntercepts` asks for: [what the processor calls it, VMX's number, the name it is counted under]. */
const intercepted: readonly (readonly [kind: number, reason: number, name: ExitReasonName])[] = [
  [ExitKind.InterruptWindow, VmxExit.InterruptWindow, 'interrupt_window'],
  [ExitKind.NmiWindow, VmxExit.NmiWindow, 'nmi_window'],
  [ExitKind.Cpuid, VmxExit.Cpuid, 'cpuid'],
  [ExitKind.Hlt, VmxExit.Hlt, 'hlt'],
  [ExitKind.CrAccess, VmxExit.CrAccess, 'cr_access'],
  [ExitKind.Io, VmxExit.Io, 'io'],
  [ExitKind.MsrRead, VmxExit.MsrRead, 'msr_read'],
  [ExitKind.MsrWrite, VmxExit.MsrWrite, 'msr_write'],
  [ExitKind.NestedPageFault, VmxExit.EptViolation, 'ept_violation'],
  [ExitKind.Vmcall, VmxExit.Vmcall, 'vmcall'],
  [ExitKind.Wbinvd, VmxExit.Wbinvd, 'wbinvd'],
  [ExitKind.Invd, VMX_EXIT_INVD, 'invd'],
];
/** And what comes without an instruction. */
const others: readonly (readonly [reason: number, name: ExitReasonName])[] = [
  [VmxExit.ExternalInterrupt, 'hw_interrupt'],
  [VmxExit.TripleFault, 'other'],
];

const reasonByKind = new Map(intercepted.map(([kind, reason]) => [kind, reason]));
const nameByReason = new Map<number, ExitReasonName>([...intercepted.map(([, reason, name]) => [reason, name] as const), ...others]);

/** Names that reports list even at zero. */
export const exitReasons: readonly ExitReasonName[] = [...new Set(nameByReason.values()), 'cancelled'];

/** Number of `ExitReason` for the reason in the run page. */
export function exitReasonNumber(reason: number): number {
  return ExitReason[nameByReason.get(reason) ?? 'other'];
}

const gpa = new U64();

/** An exit that belongs to no instruction. */
export function writePlainExit(to: ExampleExit, reason: number): void {
  to.reason = reason;
  to.instructionLength = 0;
  to.qualification = 0;
  to.idtVectoring = 0;
  to.idtVectoringErrorCode = 0;
  to.gpa.setParts(0, 0);
}

/** An intercepted instruction or access. */
export function writeIntercept(to: ExampleExit, exit: ProcessorExit): void {
  const reason = reasonByKind.get(exit.kind);
  if (reason === undefined) throw new Error(`processor exit ${exit.kind} was never asked for`);
  writePlainExit(to, reason);
  to.instructionLength = exit.instructionLength;
  to.idtVectoring = exit.idtVectoring;
  to.idtVectoringErrorCode = exit.idtVectoringErrorCode;
  if (exit.kind === ExitKind.Io) to.qualification = ioQualification(exit);
  if (exit.kind === ExitKind.CrAccess) to.qualification = exit.vector | (exit.crAccess << CrQualification.TypeShift) | (exit.register << CrQualification.RegisterShift);
  if (exit.kind === ExitKind.NestedPageFault) to.gpa.set(gpa.setNumber(exit.gpa));
}

function ioQualification({ size, isIn, isString, isRep, port }: ProcessorExit): number {
  const { In, String, Rep, PortShift } = IoQualification;
  return (size - 1) | (isIn === 0 ? 0 : In) | (isString === 0 ? 0 : String) | (isRep === 0 ? 0 : Rep) | (port << PortShift);
}
