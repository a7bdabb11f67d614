/** The host's message about a guest physical access it intercepted (TLFS "HV_X64_MEMORY_INTERCEPT_MESSAGE"). */
import { HvMessageType, bytesAt, defineLayout, u16At, u32At, u64At, u8At, viewHvMessage, viewOf } from '@paravisor/hcl-protocol';
import type { HvMessage, View } from '@paravisor/hcl-protocol';

const memoryInterceptLayout = defineLayout({
  name: 'HV_X64_MEMORY_INTERCEPT_MESSAGE',
  size: 80,
  fields: {
    vpIndex: u32At(0),
    instructionLengthAndCr8: u8At(4),
    /** `InterceptAccess`. */
    interceptAccess: u8At(5),
    executionState: u16At(6),
    csSegment: bytesAt(8, 16),
    rip: u64At(24),
    rflags: u64At(32),
    cacheType: u32At(40),
    instructionByteCount: u8At(44),
    memoryAccessInfo: u8At(45),
    tprPriority: u8At(46),
    reserved: u8At(47),
    guestVirtualAddress: u64At(48),
    guestPhysicalAddress: u64At(56),
    instructionBytes: bytesAt(64, 16),
  },
});
type MemoryIntercept = View<(typeof memoryInterceptLayout)['fields']>;
export const MEMORY_INTERCEPT_SIZE = memoryInterceptLayout.size;

/** HV_INTERCEPT_ACCESS_TYPE. */
export const InterceptAccess = { Read: 0, Write: 1, Execute: 2 } as const;

/** The run page's `exit_message`, and its payload read as a memory intercept. */
export interface ExitMessage {
  readonly message: HvMessage;
  readonly memory: MemoryIntercept;
}

const EXIT_MESSAGE_OFFSET = 16;

export function viewExitMessage(runPage: Uint8Array): ExitMessage {
  const message = viewHvMessage(runPage, EXIT_MESSAGE_OFFSET);
  return { message, memory: viewOf(memoryInterceptLayout, message.payload) };
}

/** Whether the message is a memory intercept of the page that `gpa` (two halves) lies in: page numbers are compared, as openvmm does. */
export function matchesNestedPageFault(exitMessage: ExitMessage, gpa: { readonly lo: number; readonly hi: number }): boolean {
  const { type } = exitMessage.message;
  if (type !== HvMessageType.GpaIntercept && type !== HvMessageType.UnmappedGpa) return false;
  const named = exitMessage.memory.guestPhysicalAddress;
  return named.hi === gpa.hi && named.lo >>> 12 === gpa.lo >>> 12;
}
