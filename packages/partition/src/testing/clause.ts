/** What a clause of the contract is, and how it says that a backing breaks it. */
import type { Backing } from '@paravisor/virt-core';
import type { MachineBacking } from '@paravisor/virt-machine';

/** One claim about every backing. */
export interface ContractClause {
  /** Stable, for reports and for those who look for one. */
  readonly name: string;
  /** The claim, one sentence. */
  readonly claim: string;
  /** Returns when the backing keeps the clause. Throws `ContractViolation` when it breaks it; a backing that cannot run a guest at all may throw what it wants. */
  check(backing: Backing<MachineBacking>): void;
}

/** A backing breaks a clause. The message names the backing and the clause. */
export class ContractViolation extends Error {
  /** The clause's name. */
  readonly clause: string;

  constructor(clauseName: string, backing: string, message: string) {
    super(`the backing ${backing} breaks the clause ${clauseName}: ${message}`);
    this.name = 'ContractViolation';
    this.clause = clauseName;
  }
}

/** The backing under test, and where to complain about it. */
export interface Subject {
  readonly backing: Backing<MachineBacking>;
  /** Throws `ContractViolation` unless `holds`. */
  require(holds: boolean, message: string): void;
}

/** Makes a clause of its body. What the body lets through as another error, because the guest could not even run, is a violation as well. */
export function clause(name: string, claim: string, body: (subject: Subject) => void): ContractClause {
  return {
    name,
    claim,
    check(backing) {
      const subject: Subject = {
        backing,
        require(holds, message) {
          if (!holds) throw new ContractViolation(name, backing.name, message);
        },
      };
      try {
        body(subject);
      } catch (error) {
        if (error instanceof ContractViolation) throw error;
        throw new ContractViolation(name, backing.name, error instanceof Error ? `${error.name}: ${error.message}` : String(error));
      }
    },
  };
}
