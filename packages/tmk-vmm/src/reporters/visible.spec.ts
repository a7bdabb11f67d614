import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { visible } from './visible.js';

describe('visible', () => {
  it('shows what would act on a terminal, and leaves other text alone', () => {
    expect(visible('\x1b[31mred\r\n\tτ 😀')).toBe(String.raw`\x1b[31mred\r\n\tτ 😀`);
    expect(visible('\u{202e}gnp.exe\u2028\ud800')).toBe(String.raw`\u{202e}gnp.exe\u{2028}\u{d800}`);
  });

  it('makes one line of any text, of characters that XML 1.0 has (§2.2)', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        expect(visible(text)).toMatch(/^[\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]*$/u);
        expect(visible(visible(text))).toBe(visible(text));
      }),
    );
  });
});
