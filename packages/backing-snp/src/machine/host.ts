/** The host hypervisor's answer to a nested page fault: the intercept message it sends to VTL2 (TLFS, "Intercept messages"). */
import { HvMessageType, SvmExit, SvmNpfInfo } from '@paravisor/hcl-protocol';
import type { Vmsa } from '@paravisor/hcl-protocol';
import { InterceptAccess, MEMORY_INTERCEPT_SIZE } from '../abi/index.js';
import type { ExitMessage } from '../abi/index.js';

/**
 * Puts the host's message about the exit in `vmsa`, if it has one, into the run page. True when there is one. The host cannot read the guest's registers:
 * only the access and its address are told. An address outside RAM is unmapped, one the RMP denied is intercepted.
 */
export function sendInterceptMessage({ message, memory }: ExitMessage, vmsa: Vmsa, vpIndex: number, ramBytes: number): boolean {
  if (vmsa.guestErrorCode.lo !== SvmExit.Npf) return false;
  const { exitInfo1, exitInfo2 } = vmsa;
  const gpa = (exitInfo2.hi >>> 0) * 4294967296 + (exitInfo2.lo >>> 0);
  message.type = gpa < ramBytes ? HvMessageType.GpaIntercept : HvMessageType.UnmappedGpa;
  message.payloadSize = MEMORY_INTERCEPT_SIZE;
  message.flags = 0;
  message.sender.setParts(0, 0);
  message.payload.fill(0);
  memory.vpIndex = vpIndex;
  const isFetch = (exitInfo1.lo & SvmNpfInfo.Fetch) !== 0;
  memory.interceptAccess = (exitInfo1.lo & SvmNpfInfo.Write) !== 0 ? InterceptAccess.Write : isFetch ? InterceptAccess.Execute : InterceptAccess.Read;
  memory.guestPhysicalAddress.set(exitInfo2);
  return true;
}
