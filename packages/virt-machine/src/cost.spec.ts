import { describe, expect, it } from 'vitest';
import { CostError, costFigures, costNames, defaultCosts, withCosts } from './cost.js';

describe('the cost model', () => {
  it.each(costNames)('gives %s a source, or the reason of an assumption', (name) => {
    const figure = costFigures[name];
    expect(figure.source.length).toBeGreaterThan(10);
    expect(figure.ticks).toBeGreaterThanOrEqual(figure.minimum);
    expect(withCosts(defaultCosts, { [name]: figure.ticks }).ticks).toEqual(defaultCosts.ticks);
  });

  it('replaces figures by name and says so in its own name', () => {
    const costs = withCosts(defaultCosts, { hostTimerArm: 9000 });
    expect(costs.ticks).toEqual({ ...defaultCosts.ticks, hostTimerArm: 9000 });
    expect(costs.name).toBe('paravisor-2ghz with hostTimerArm=9000');
    expect(defaultCosts.ticks.hostTimerArm).toBe(costFigures.hostTimerArm.ticks);
    expect(withCosts(defaultCosts, {})).toBe(defaultCosts);
  });

  it('never lets a user exit, a lower-VTL exit or an interrupt of VTL2 take no time: no loop stands still', () => {
    for (const name of ['kernelToUser', 'vmExit', 'kernelInterrupt']) expect(() => withCosts(defaultCosts, { [name]: 0 })).toThrow(CostError);
  });

  it.each([
    ['hostTimerArmed', 1, 'unknown-cost'],
    ['toString', 1, 'unknown-cost'],
    ['tdcall', 1.5, 'bad-cost'],
    ['tdcall', -1, 'bad-cost'],
    ['tdcall', NaN, 'bad-cost'],
    ['tdcall', 2 ** 41, 'bad-cost'],
  ])('refuses %s = %d', (name, ticks, code) => {
    expect(() => withCosts(defaultCosts, { [name]: ticks })).toThrow(expect.objectContaining({ code }));
  });
});
