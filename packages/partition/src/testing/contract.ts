/** The contract of every backing, clause by clause. */
import type { ContractClause } from './clause.js';
import { alwaysTicking, eventClauses } from './clauses/events.js';
import { exitClauses } from './clauses/exits.js';
import { startUpClauses } from './clauses/start-up.js';
import { stateClauses } from './clauses/state.js';
import { timerClauses } from './clauses/timer.js';

/** All clauses, in the order of reports. Names are stable; clauses are added with the contract. */
export const backingContract: readonly ContractClause[] = [...timerClauses, ...exitClauses, ...eventClauses, ...stateClauses(alwaysTicking), ...startUpClauses];
