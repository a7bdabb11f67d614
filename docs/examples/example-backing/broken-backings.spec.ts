import { exampleBacking } from '@paravisor/example-backing';
import { ContractViolation, backingContract } from '@paravisor/partition/testing';
import { describe, expect, it } from 'vitest';
import { brokenBackings } from './broken-backings.js';

describe('a backing that breaks a clause of the contract fails it, and is told which', () => {
  it.each(backingContract.map((clause) => [clause.name, clause] as const))('%s', (name, clause) => {
    expect(() => clause.check(exampleBacking())).not.toThrow();
    const backing = brokenBackings[name];
    expect(backing, 'a broken backing for this clause').toBeDefined();
    expect(() => clause.check(backing!)).toThrow(ContractViolation);
    expect(() => clause.check(backing!)).toThrow(`the backing example breaks the clause ${name}: `);
  });
});
