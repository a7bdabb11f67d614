/** Registers the driver switches itself around a lower-VTL run (`tdx_vp_state`), between run page and processor. */
import { TdxVpStateFlag } from '@paravisor/hcl-protocol';
import type { U64Field, View , tdxVpStateLayout } from '@paravisor/hcl-protocol';
import { stateLayout } from '@paravisor/x86-cpu';
import type { Processor } from '@paravisor/x86-cpu';

type TdxVpState = View<(typeof tdxVpStateLayout)['fields']>;

function load({ i32 }: Processor, offset: number, from: U64Field): void {
  i32[offset >> 2] = from.lo;
  i32[(offset >> 2) + 1] = from.hi;
}

function store({ i32 }: Processor, offset: number, to: U64Field): void {
  to.setParts(i32[offset >> 2]!, i32[(offset >> 2) + 1]!);
}

/** Before an entry. IA32_XSS has no state behind it in the processor, and WBINVD has nothing to write back: its flags are taken. */
export function loadPrivateRegisters(state: TdxVpState, processor: Processor): void {
  load(processor, stateLayout.kernelGsBase, state.msrKernelGsBase);
  load(processor, stateLayout.star, state.msrStar);
  load(processor, stateLayout.lstar, state.msrLstar);
  load(processor, stateLayout.sfmask, state.msrSfmask);
  load(processor, stateLayout.cr2, state.cr2);
  load(processor, stateLayout.tscAux, state.msrTscAux);
  const { flags } = state;
  flags.setParts(flags.lo & ~(TdxVpStateFlag.Wbinvd | TdxVpStateFlag.Wbnoinvd), flags.hi);
}

/** After an exit. */
export function storePrivateRegisters(state: TdxVpState, processor: Processor): void {
  store(processor, stateLayout.kernelGsBase, state.msrKernelGsBase);
  store(processor, stateLayout.star, state.msrStar);
  store(processor, stateLayout.lstar, state.msrLstar);
  store(processor, stateLayout.sfmask, state.msrSfmask);
  store(processor, stateLayout.cr2, state.cr2);
  store(processor, stateLayout.tscAux, state.msrTscAux);
}
