import type { ReadonlyU64 } from '@paravisor/hcl-protocol';

/** One hypercall as its handler sees it. One record a VP, reused: valid during the call. */
export interface HypercallContext {
  /** VP index and VTL of the caller. */
  readonly vp: number;
  readonly vtl: number;
  readonly control: ReadonlyU64;
  /** One page: header, variable header and elements as the guest gave them, from offset 0; zero behind them. Little-endian. */
  readonly input: DataView;
  /** One page. `outputBytes` of it, or the elements done, are given to the guest. */
  readonly output: DataView;
  /** Bytes of the variable header, behind the fixed one. */
  readonly variableHeaderBytes: number;
  /** First element to do, and how many elements there are in all; both 0 for a simple call. */
  readonly repStart: number;
  readonly repCount: number;
  /** Elements done so far, `repStart` when the handler begins: it counts on. */
  repsDone: number;
}

/** A hypercall with an input and perhaps an output, in memory or in registers. */
export interface HypercallHandler {
  /** `HvCallCode`. */
  readonly code: number;
  /** Bytes of the fixed header. */
  readonly inputBytes: number;
  /** Output of a simple call, bytes; 0 for a rep call, whose output is its elements. */
  readonly outputBytes: number;
  readonly takesVariableHeader: boolean;
  /** Bytes of one element of input and of output; null for a simple call. */
  readonly rep: { readonly inputBytes: number; readonly outputBytes: number } | null;
  /** Does it and returns an `HvStatus`. `HvStatus.Timeout` makes the guest execute the call again, from element `repsDone` on. */
  readonly call: (context: HypercallContext) => number;
}

/** A VTL call or return: no input page and no result. */
export interface VtlSwitchHandler {
  readonly code: number;
  /** False when the caller may not do this now: #UD. `input` is the guest's RAX, or ECX outside 64-bit mode. */
  readonly switchVtl: (context: HypercallContext, input: ReadonlyU64) => boolean;
}

/** The hypercalls of a partition, by call code. */
export type HypercallTable = ReadonlyMap<number, HypercallHandler | VtlSwitchHandler>;

/** Puts handlers into a table. Throws `RangeError` when a code is there twice. */
export function hypercallTable(handlers: readonly (HypercallHandler | VtlSwitchHandler)[]): HypercallTable {
  const table = new Map<number, HypercallHandler | VtlSwitchHandler>();
  for (const handler of handlers) {
    if (table.has(handler.code)) throw new RangeError(`hypercall 0x${handler.code.toString(16)} has two handlers`);
    table.set(handler.code, handler);
  }
  return table;
}
