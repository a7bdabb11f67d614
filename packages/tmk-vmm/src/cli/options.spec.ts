import { describe, expect, it } from 'vitest';
import { UsageError } from '../errors.js';
import { runOptions } from './options.js';

const options = (given: Record<string, string | string[]>) => runOptions(new Map(Object.entries(given).map(([name, value]) => [name, [value].flat()])), 'tdx');

function refusal(given: Record<string, string | string[]>): string {
  try {
    options(given);
  } catch (error) {
    expect(error).toBeInstanceOf(UsageError);
    return (error as UsageError).message;
  }
  throw new Error('the options were accepted');
}

describe('runOptions', () => {
  it('has the defaults of the design', () => {
    expect(options({})).toEqual({
      backings: ['tdx'],
      guestTimer: 'auto',
      settings: [],
      machine: { seed: 0, tscHz: 2_000_000_000, ips: 20_000_000, vps: 1, memoryMiB: 4, cpu: 'auto', timeoutNs: 10_000_000_000, costs: {} },
      reporter: 'pretty',
      output: undefined,
      trace: undefined,
      plugins: [],
    });
  });

  it('takes backings repeated, comma-separated or both', () => {
    expect(options({ backing: ['tdx, snp', 'other'] }).backings).toEqual(['tdx', 'snp', 'other']);
  });

  it('reads settings and costs', () => {
    expect(options({ set: 'snp.rearm=off' }).settings).toEqual([{ backing: 'snp', option: 'rearm', value: 'off' }]);
    expect(options({ cost: ['vmEntry=0', 'vmExit=12'] }).machine.costs).toEqual({ vmEntry: 0, vmExit: 12 });
  });

  it('takes fractions of a second for the timeout, and keeps it within what the clock can count', () => {
    expect(options({ timeout: '0.25' }).machine.timeoutNs).toBe(250_000_000);
    expect(refusal({ timeout: '4600000' })).toContain('longer than the virtual clock can count');
    expect(options({ timeout: '4600000', 'tsc-hz': '1000000000' }).machine.timeoutNs).toBe(4.6e15);
  });

  it.each([
    [{ seed: '-1' }, '--seed "-1" is not a whole number'],
    [{ ips: '1e6' }, '--ips "1e6" is not a whole number'],
    [{ ips: '' }, '--ips "" is not a whole number'],
    [{ memory: '4.5' }, '--memory "4.5"'],
    [{ 'tsc-hz': '99999999999999999999' }, '--tsc-hz'],
    [{ timeout: '0' }, '--timeout "0"'],
    [{ timeout: 'never' }, '--timeout "never"'],
    [{ 'guest-timer': 'hardwre' }, 'did you mean "hardware"?'],
    [{ reporter: 'xml' }, '--reporter "xml" is unknown'],
    [{ reporter: 'junitt' }, 'did you mean "junit"?'],
    [{ backing: 'tdx,,snp' }, 'empty name'],
    [{ set: 'rearm=off' }, '<backing>.<option>=<value>'],
    [{ cost: 'vmEntry' }, '<name>=<ticks>'],
    [{ cost: 'vmEntry=-1' }, 'not a whole number of ticks'],
  ])('refuses %j', (given, expected) => {
    expect(refusal(given)).toContain(expected);
  });
});
