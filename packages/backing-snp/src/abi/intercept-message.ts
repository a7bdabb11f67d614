/** The host's message about a guest physical access it intercepted (TLFS "HV_X64_MEMORY_INTERCEPT_MESSAGE"). */
import { HvMessageType, bytesAt, defineLayout, u16At, u32At, u64At, u8At, viewHvMessage, viewOf } from '@paravisor/hcl-protocol';
import type { HvMessage, ReadonlyU64, View } from '@paravisor/hcl-protocol';
import { Vector } from './vectors.js';

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

/** HV_X64_EXCEPTION_INTERCEPT_MESSAGE, as far as it is looked at: the vector follows the 40 bytes every intercept message starts with. */
const exceptionInterceptLayout = defineLayout({
  name: 'HV_X64_EXCEPTION_INTERCEPT_MESSAGE',
  size: 48,
  fields: { header: bytesAt(0, 40), vector: u16At(40), rest: bytesAt(42, 6) },
});
type ExceptionIntercept = View<(typeof exceptionInterceptLayout)['fields']>;

/** HV_MESSAGE_TYPE of the two that are only received here. */
export const UNACCEPTED_GPA = 0x80000003;
export const EXCEPTION_INTERCEPT = 0x80010003;

/** HV_INTERCEPT_ACCESS_TYPE. */
export const InterceptAccess = { Read: 0, Write: 1, Execute: 2 } as const;

/** The run page's `exit_message`, and its payload read as what it may be. */
export interface ExitMessage {
  readonly message: HvMessage;
  readonly memory: MemoryIntercept;
  /** The same payload read as an intercepted exception. */
  readonly exception: ExceptionIntercept;
}

const EXIT_MESSAGE_OFFSET = 16;

export function viewExitMessage(runPage: Uint8Array): ExitMessage {
  const message = viewHvMessage(runPage, EXIT_MESSAGE_OFFSET);
  return { message, memory: viewOf(memoryInterceptLayout, message.payload), exception: viewOf(exceptionInterceptLayout, message.payload) };
}

/**
 * Whether the message vouches for a nested page fault at `gpa` (openvmm `run_vp_snp`): a memory intercept of the same page, or an intercepted #VC, as
 * which the host may present an access to memory that is not mapped.
 */
export function matchesNestedPageFault({ message, memory, exception }: ExitMessage, gpa: ReadonlyU64): boolean {
  switch (message.type) {
    case HvMessageType.GpaIntercept:
    case HvMessageType.UnmappedGpa:
    case UNACCEPTED_GPA: {
      const named = memory.guestPhysicalAddress;
      return named.hi === gpa.hi && named.lo >>> 12 === gpa.lo >>> 12;
    }
    case EXCEPTION_INTERCEPT:
      return exception.vector === Vector.VmmCommunication;
    default:
      return false;
  }
}
