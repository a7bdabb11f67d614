/** Start-up on a machine the backing cannot use. */
import { Errno } from '@paravisor/hcl-protocol';
import type { Hcl } from '@paravisor/hcl-protocol';
import { StartupError } from '@paravisor/virt-core';
import { createMachine } from '@paravisor/virt-machine';
import type { MachineBacking } from '@paravisor/virt-machine';
import { clause } from '../clause.js';
import type { ContractClause } from '../clause.js';

const RAM_BYTES = 0x10_0000;

/** A machine whose driver knows no isolation: no capability, no VMSA, no TDCALL, no page that could be validated. */
const foreign = (processorVendor: MachineBacking['processorVendor']): MachineBacking => ({
  processorVendor,
  create: () => ({
    checkExtension: () => undefined,
    cpuid: () => false,
    createVp: () => ({
      interceptMessagePresent: false,
      enter: () => {
        throw new Error('a lower VTL was entered on a machine that has none');
      },
      beforeIdle: () => {},
      afterIdle: () => 1,
      beforeReturn: () => {},
      userExitReason: () => 0,
      tdcall: () => Errno.ENOTTY,
      pvalidate: () => Errno.ENOTTY,
      rmpadjust: () => Errno.ENOTTY,
      vmsa: () => null,
      save: () => null,
      restore: () => {},
    }),
    save: () => null,
    restore: () => {},
  }),
});

export const startUpClauses: readonly ContractClause[] = [
  clause('start-up-refuses', 'createShared, or at the latest createVp, throws StartupError with a code and a message on a machine that cannot carry the backing', ({ backing, require }) => {
    const { hcl, tscHz } = createMachine({ backing: foreign(backing.machine.processorVendor), ramBytes: RAM_BYTES });
    const error = errorOf(() => void backing.createShared({ hcl: hcl satisfies Hcl, disableLowerVtlTimerVirt: false, tscFrequency: tscHz }));
    require(error !== null, 'it starts on a machine whose driver knows nothing of it');
    require(error instanceof StartupError, `it fails with ${String(error)} instead of a StartupError`);
    const { code = '', message = '' } = error instanceof StartupError ? error : {};
    require(code !== '' && message !== '', 'its StartupError has no code or no message');
  }),
];

/** What a call throws, or null. */
function errorOf(call: () => void): unknown {
  try {
    call();
    return null;
  } catch (error) {
    return error;
  }
}
