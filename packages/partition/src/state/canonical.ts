/** One text, and one hash, for plain data, whatever order its keys are in. */
import type { Plain } from '@paravisor/hcl-protocol';
import { sha256 } from './sha256.js';

const isList = (value: Plain): value is readonly Plain[] => Array.isArray(value);

/** JSON with sorted keys, in ASCII. */
export function canonicalText(value: Plain): string {
  if (value === null || typeof value !== 'object') return JSON.stringify(value).replace(/[\u0080-\uffff]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
  if (isList(value)) return `[${value.map(canonicalText).join()}]`;
  const keys = Object.keys(value).sort();
  return `{${keys.map((key) => `${canonicalText(key)}:${canonicalText(value[key]!)}`).join()}}`;
}

/** SHA-256 of the data. */
export function digestOf(value: Plain): string {
  const text = canonicalText(value);
  const bytes = new Uint8Array(text.length);
  for (let at = 0; at < text.length; at++) bytes[at] = text.charCodeAt(at);
  return sha256(bytes);
}
