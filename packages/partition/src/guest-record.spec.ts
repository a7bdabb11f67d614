import { describe, expect, it } from 'vitest';
import { GuestRecord } from './guest-record.js';

describe('GuestRecord', () => {
  it('keeps a bounded number of lines and says where it stopped', () => {
    const { log } = new GuestRecord();
    for (let i = 0; i < 20_000; i++) log.add(`line ${i}`);
    expect(log.lines.length).toBe(10_001);
    expect(log.lines.slice(-2)).toEqual(['line 9999', '… the rest is not kept']);
  });

  it('keeps a bounded number of characters', () => {
    const { log } = new GuestRecord();
    for (let i = 0; i < 200; i++) log.add('x'.repeat(65_536));
    expect(log.lines.length).toBe(65);
    expect(log.lines.at(-1)).toBe('… the rest is not kept');
  });

  it('lets the first end stand', () => {
    const record = new GuestRecord();
    record.end({ kind: 'failed', reason: 'first' });
    expect(record.end({ kind: 'passed', reason: null })).toEqual({ kind: 'failed', reason: 'first' });
  });
});
