import { describe, expect, it } from 'vitest';
import { shapeDifference } from './shape.js';

const model = { list: [{ a: 1, b: 'x' }], numbers: [1, 2], names: [] as string[], none: null, flag: true, any: {} };

describe('the shape of a saved state', () => {
  it.each([
    ['itself', model],
    ['other values', { ...model, list: [{ a: -5, b: '' }], flag: false }],
    ['a list of numbers of any length', { ...model, numbers: [] }],
    ['a list that was empty', { ...model, names: ['one'] }],
    ['null where there is something, and something where there is null', { ...model, list: null, none: { at: 3 } }],
  ])('is the same with %s', (_name, other) => {
    expect(shapeDifference(model, other)).toBeNull();
  });

  it.each([
    ['a missing key', { ...model, list: [{ a: 1 }] }, 'state.list[0].b is missing'],
    ['a key too many', { ...model, more: 1 }, 'state.more is unknown'],
    ['another type', { ...model, flag: 1 }, 'state.flag is no boolean'],
    ['a text among numbers', { ...model, numbers: [1, '2'] }, 'state.numbers[1] is no number'],
    ['another number of objects', { ...model, list: [] }, 'state.list has 0 items, not 1'],
    ['an object for a list', { ...model, list: {} }, 'state.list is no list'],
    ['a list for an object', { ...model, list: [[]] }, 'state.list[0] is no object'],
  ])('differs by %s', (_name, other, difference) => {
    expect(shapeDifference(model, other)).toBe(difference);
  });
});
