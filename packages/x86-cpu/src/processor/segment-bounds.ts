import { Attribute } from './registers.js';

const CODE = 8;
/** Data: expand-down. */
const EXPAND_DOWN = 4;
/** Data: writable; code: readable. */
const ACCESSIBLE = 2;

const result = { low: 0, high: 0 };

/**
 * The first and last offset that an access may touch in a segment of these attributes (SDM volume 3, 5.3 and 3.4.5.1); the first is above the last
 * where it may touch none. Real mode looks at limits only. The record returned is used again by the next call.
 */
export function boundsOf(attributes: number, limit: number, write: boolean, real: boolean): Readonly<typeof result> {
  result.low = 0;
  result.high = limit;
  if (real) return result;
  const isCode = (attributes & CODE) !== 0;
  const allowed = write ? !isCode && (attributes & ACCESSIBLE) !== 0 : !isCode || (attributes & ACCESSIBLE) !== 0;
  if (!(attributes & Attribute.p) || !allowed) {
    result.low = 1;
    result.high = 0;
  } else if (!isCode && attributes & EXPAND_DOWN) {
    // The whole segment may be below the limit: then nothing is left.
    result.low = limit === 0xffffffff ? 1 : limit + 1;
    result.high = limit === 0xffffffff ? 0 : attributes & Attribute.db ? 0xffffffff : 0xffff;
  }
  return result;
}
