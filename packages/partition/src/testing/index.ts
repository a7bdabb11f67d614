/** The contract suite for backings, one's own and the built-in ones. Needs vitest. */
import type { Backing } from '@paravisor/virt-core';
import type { MachineBacking } from '@paravisor/virt-machine';
import { describe, it } from 'vitest';
import { backingContract } from './contract.js';

export { ContractViolation } from './clause.js';
export type { ContractClause } from './clause.js';
export { backingContract } from './contract.js';

/**
 * Declares the contract suite for a backing, to be called in a spec: one test a clause, named `tdx › clear-before-scans: …`. Every clause makes fresh
 * partitions with the backing.
 */
export function describeBackingContract(backing: Backing<MachineBacking>): void {
  describe(`${backing.name}`, () => {
    for (const { name, claim, check } of backingContract) it(`${name}: ${claim}`, () => check(backing));
  });
}
