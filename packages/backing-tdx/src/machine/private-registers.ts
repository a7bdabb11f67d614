/** Registers the driver switches itself around a lower-VTL run (`tdx_vp_state`), between run page and processor. */
import { TdxVpStateFlag, tdxVpStateLayout, wordsOf } from '@paravisor/hcl-protocol';
import type { View } from '@paravisor/hcl-protocol';
import { stateLayout } from '@paravisor/x86-cpu';
import type { Processor } from '@paravisor/x86-cpu';

type TdxVpState = View<(typeof tdxVpStateLayout)['fields']>;

const { msrKernelGsBase, msrStar, msrLstar, msrSfmask, cr2, msrTscAux, flags } = tdxVpStateLayout.fields;

const FLAGS = flags.offset >> 2;

/** Copies two words. */
function copy(to: Int32Array, at: number, from: Int32Array, offset: number): void {
  to[at] = from[offset]!;
  to[at + 1] = from[offset + 1]!;
}

/** Before an entry. IA32_XSS has no state behind it in the processor, and WBINVD has nothing to write back: its flags are taken. */
export function loadPrivateRegisters(state: TdxVpState, { i32 }: Processor): void {
  const words = wordsOf(state);
  copy(i32, stateLayout.kernelGsBase >> 2, words, msrKernelGsBase.offset >> 2);
  copy(i32, stateLayout.star >> 2, words, msrStar.offset >> 2);
  copy(i32, stateLayout.lstar >> 2, words, msrLstar.offset >> 2);
  copy(i32, stateLayout.sfmask >> 2, words, msrSfmask.offset >> 2);
  copy(i32, stateLayout.cr2 >> 2, words, cr2.offset >> 2);
  copy(i32, stateLayout.tscAux >> 2, words, msrTscAux.offset >> 2);
  words[FLAGS]! &= ~(TdxVpStateFlag.Wbinvd | TdxVpStateFlag.Wbnoinvd);
}

/** After an exit. */
export function storePrivateRegisters(state: TdxVpState, { i32 }: Processor): void {
  const words = wordsOf(state);
  copy(words, msrKernelGsBase.offset >> 2, i32, stateLayout.kernelGsBase >> 2);
  copy(words, msrStar.offset >> 2, i32, stateLayout.star >> 2);
  copy(words, msrLstar.offset >> 2, i32, stateLayout.lstar >> 2);
  copy(words, msrSfmask.offset >> 2, i32, stateLayout.sfmask >> 2);
  copy(words, cr2.offset >> 2, i32, stateLayout.cr2 >> 2);
  copy(words, msrTscAux.offset >> 2, i32, stateLayout.tscAux >> 2);
}
