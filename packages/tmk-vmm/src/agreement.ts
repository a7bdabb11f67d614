import { runTitle } from './report-model.js';
import type { Agreement, RunReport } from './report-model.js';

/** Compares every run with the first: the same guest must not be able to tell them apart by outcome or log. */
export function compareRuns(runs: readonly RunReport[]): Agreement {
  const [first, ...others] = runs;
  const differences: string[] = [];
  if (!first) return { same: true, differences };
  for (const run of others) {
    for (const [index, test] of run.tests.entries()) {
      const reference = first.tests[index]!;
      const between = `${test.name}: ${runTitle(first, runs)} and ${runTitle(run, runs)}`;
      if (test.outcome !== reference.outcome) differences.push(`${between} end as ${reference.outcome} and ${test.outcome}`);
      const line = firstDifference(reference.log, test.log);
      if (line !== null) differences.push(`${between} differ in log line ${line + 1}`);
    }
  }
  return { same: differences.length === 0, differences };
}

function firstDifference(a: readonly string[], b: readonly string[]): number | null {
  for (let i = 0; i < Math.max(a.length, b.length); i++) if (a[i] !== b[i]) return i;
  return null;
}
