/**
 * Remote flushes of guest translations (TLFS "HvCallFlushVirtualAddressSpace" and its kin; openvmm `hcvm_validate_flush_inputs`). Whatever is named, all
 * of the caller's VTL on a VP is forgotten: openvmm, too, flushes everything when a list is long, and a flush too many is no harm.
 */
import { HvStatus, U64 } from '@paravisor/hcl-protocol';
import { HvCallCode } from './control.js';
import type { HypercallContext, HypercallHandler } from './handler.js';
import { VpSet } from './vp-set.js';

/** Input: address space, flags, and the VPs: a mask, or a set in the variable header. A list has a range an element. */
const Input = { Flags: 8, Processors: 16, Bytes: 24, BytesEx: 16, RangeBytes: 8 } as const;
const Flag = { AllProcessors: 1, AllAddressSpaces: 2, NonGlobalOnly: 4, ExtendedRanges: 8 } as const;
const KNOWN = Flag.AllProcessors | Flag.AllAddressSpaces | Flag.NonGlobalOnly;
const KNOWN_OF_LIST = KNOWN | Flag.ExtendedRanges;

/** What a flush does at the VPs it reaches. */
export interface FlushTargets {
  readonly vpCount: number;
  /** Guest translations of that VTL are forgotten before the VP executes its next instruction in it. */
  flushTlb(vp: number, vtl: number): void;
}

interface Variant {
  readonly code: number;
  readonly list: boolean;
  readonly sparse: boolean;
}

const variants: readonly Variant[] = [
  { code: HvCallCode.FlushVirtualAddressSpace, list: false, sparse: false },
  { code: HvCallCode.FlushVirtualAddressList, list: true, sparse: false },
  { code: HvCallCode.FlushVirtualAddressSpaceEx, list: false, sparse: true },
  { code: HvCallCode.FlushVirtualAddressListEx, list: true, sparse: true },
];

/** All four: a space or a list of ranges, VPs by mask or by set. */
export function flushCalls(targets: FlushTargets): readonly HypercallHandler[] {
  return variants.map(({ code, list, sparse }): HypercallHandler => {
    const processors = new VpSet();
    const flags = new U64();
    const known = list ? KNOWN_OF_LIST : KNOWN;
    return {
      code,
      inputBytes: sparse ? Input.BytesEx : Input.Bytes,
      outputBytes: 0,
      takesVariableHeader: sparse,
      rep: list ? { inputBytes: Input.RangeBytes, outputBytes: 0 } : null,
      call(context) {
        if (!readProcessors(context, processors, sparse)) return HvStatus.InvalidParameter;
        const { input } = context;
        flags.setParts(input.getInt32(Input.Flags, true), input.getInt32(Input.Flags + 4, true));
        const all = (flags.lo & Flag.AllProcessors) !== 0;
        if ((flags.lo & ~known) !== 0 || flags.hi !== 0 || (processors.isEmpty && !all)) return HvStatus.InvalidParameter;
        for (let vp = 0; vp < targets.vpCount; vp++) if (all || processors.has(vp)) targets.flushTlb(vp, context.vtl);
        context.repsDone = context.repCount;
        return HvStatus.Success;
      },
    };
  });
}

function readProcessors(context: HypercallContext, processors: VpSet, sparse: boolean): boolean {
  if (sparse) return processors.readSparse(context.input, Input.BytesEx, context.variableHeaderBytes);
  processors.readMask(context.input, Input.Processors);
  return true;
}
