/** Whether plain data has the shape of other plain data. */
import type { Plain } from '@paravisor/hcl-protocol';

const isList = (value: Plain): value is readonly Plain[] => Array.isArray(value);
type Fields = { readonly [key: string]: Plain };

/**
 * Where `actual` is shaped otherwise than `model`, in one clause, or null. Objects have the same keys, and lists of objects, lists or texts the same length.
 * Lists of numbers have any length, and nothing is known of what the model has empty or null: null stands for anything, since what is absent in one may be
 * there in the other.
 */
export function shapeDifference(model: Plain, actual: Plain, path = 'state'): string | null {
  if (model === null || actual === null) return null;
  if (isList(model)) {
    if (!isList(actual)) return `${path} is no list`;
    return listDifference(model, actual, path);
  }
  if (typeof model !== 'object') return typeof actual === typeof model ? null : `${path} is no ${typeof model}`;
  if (typeof actual !== 'object' || isList(actual)) return `${path} is no object`;
  return fieldsDifference(model, actual, path);
}

function listDifference(model: readonly Plain[], actual: readonly Plain[], path: string): string | null {
  const [first] = model;
  if (first === undefined || first === null) return null;
  if (typeof first === 'number') {
    const wrong = actual.findIndex((item) => item !== null && typeof item !== 'number');
    return wrong < 0 ? null : `${path}[${wrong}] is no number`;
  }
  if (actual.length !== model.length) return `${path} has ${actual.length} items, not ${model.length}`;
  for (const [index, item] of model.entries()) {
    const difference = shapeDifference(item, actual[index]!, `${path}[${index}]`);
    if (difference !== null) return difference;
  }
  return null;
}

function fieldsDifference(model: Fields, actual: Fields, path: string): string | null {
  const keys = Object.keys(model);
  if (keys.length === 0) return null;
  for (const key of keys) if (!Object.hasOwn(actual, key)) return `${path}.${key} is missing`;
  for (const key of Object.keys(actual)) if (!Object.hasOwn(model, key)) return `${path}.${key} is unknown`;
  for (const key of keys) {
    const difference = shapeDifference(model[key]!, actual[key]!, `${path}.${key}`);
    if (difference !== null) return difference;
  }
  return null;
}
