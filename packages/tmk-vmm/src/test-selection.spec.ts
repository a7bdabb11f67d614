import { describe, expect, it } from 'vitest';
import { selectTests } from './test-selection.js';

const tests = ['timers::one', 'timers::two', 'apic::one', 'odd[1]'].map((name) => ({ name }));
const chosen = (...patterns: string[]) => selectTests(tests, patterns).map(({ index }) => index);

describe('selectTests', () => {
  it('chooses all tests when none is named', () => expect(chosen()).toEqual([0, 1, 2, 3]));
  it('keeps the order of the guest and chooses a test once', () => expect(chosen('apic::one', 'timers::*', 'timers::one')).toEqual([0, 1, 2]));
  it('understands globs', () => expect([chosen('*::one'), chosen('{apic,timers}::o?e')]).toEqual([[0, 2], [0, 2]]));
  it('takes an exact name for itself before it takes it for a glob', () => expect(chosen('odd[1]')).toEqual([3]));
  it('suggests a name for one that is mistyped', () => expect(() => chosen('timers::on')).toThrow('did you mean "timers::one"?'));
  it('refuses a glob that matches nothing', () => expect(() => chosen('snp::*')).toThrow('no test matches "snp::*"'));
});
