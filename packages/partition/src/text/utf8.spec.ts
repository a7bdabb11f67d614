import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeUtf8 } from './utf8.js';

describe('decodeUtf8', () => {
  it('agrees with the platform decoder on every text and on arbitrary bytes, replacement characters included', () => {
    const platform = new TextDecoder('utf-8', { ignoreBOM: true });
    const pieces = fc.oneof(fc.string({ unit: 'binary' }).map((text) => new TextEncoder().encode(text)), fc.uint8Array({ min: 0x70, maxLength: 8 }));
    fc.assert(
      fc.property(fc.array(pieces, { maxLength: 5 }), (parts) => {
        const bytes = Uint8Array.from(parts.flatMap((part) => [...part]));
        expect(decodeUtf8(bytes)).toBe(platform.decode(bytes));
      }),
      { numRuns: 500 },
    );
  });
});
