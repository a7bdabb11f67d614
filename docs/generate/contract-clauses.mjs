/** The clauses of the contract suite. */
import { backingContract } from '../../packages/partition/dist/testing/index.js';
import { cell, code, table } from './markdown.mjs';

export const contractClauses = () => table(['clause', 'what it claims'], backingContract.map(({ name, claim }) => [code(name), cell(claim)]));
