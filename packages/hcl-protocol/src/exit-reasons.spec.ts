import { describe, expect, it } from 'vitest';
import { ExitReason, exitReasonNames, exitReasonsOf } from './exit-reasons.js';

describe('exit reasons', () => {
  it('number every name of every family exactly once', () => {
    const families = new Set(Object.values(exitReasonsOf).flat());
    expect(new Set(exitReasonNames)).toEqual(families);
    expect(exitReasonNames.length).toBe(families.size);
    for (const name of exitReasonNames) expect(exitReasonNames[ExitReason[name]]).toBe(name);
  });
});
