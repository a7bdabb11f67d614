import picomatch from 'picomatch';
import { suggestion } from './cli/suggest.js';
import { UsageError } from './errors.js';

/** A test by its place in the guest's table, which is what the guest is started with. */
export interface SelectedTest<Test> {
  readonly index: number;
  readonly test: Test;
}

/**
 * The tests that `patterns` choose, exact names or globs, in the guest's order and each once; all of them when there are no patterns. Throws
 * `UsageError` for a pattern that chooses none.
 */
export function selectTests<Test extends { readonly name: string }>(tests: readonly Test[], patterns: readonly string[]): SelectedTest<Test>[] {
  const everything = tests.map((test, index) => ({ index, test }));
  if (patterns.length === 0) return everything;
  const chosen = new Set<number>();
  for (const pattern of patterns) {
    for (const index of matching(everything, pattern)) chosen.add(index);
  }
  return everything.filter(({ index }) => chosen.has(index));
}

function matching(tests: readonly SelectedTest<{ readonly name: string }>[], pattern: string): number[] {
  const exact = tests.filter(({ test }) => test.name === pattern);
  if (exact.length > 0) return exact.map(({ index }) => index);
  const names = tests.map(({ test }) => test.name);
  if (!picomatch.scan(pattern).isGlob) throw new UsageError(`unknown test "${pattern}"${suggestion(pattern, names)}`);
  const matches = picomatch(pattern);
  const matched = tests.filter(({ test }) => matches(test.name));
  if (matched.length === 0) throw new UsageError(`no test matches "${pattern}": tmk-vmm list shows the guest's tests`);
  return matched.map(({ index }) => index);
}
