/**
 * What must not reach a terminal, an XML document or a line-based format as it is: control characters, lone surrogates, line separators, the marks
 * that turn the direction of text, and the two characters that XML 1.0 leaves out of its plane.
 */
const UNPRINTABLE = /[\p{Cc}\p{Cs}\u2028\u2029\u202a-\u202e\u2066-\u2069\ufffe\uffff]/gu;

const NAMED: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' };

/** A guest's text on one line, safe to show: `\n`, `\x1b`, `\u{202e}` stand for characters that a reader would not see, or that would act. */
export function visible(text: string): string {
  return text.replaceAll(UNPRINTABLE, (character) => NAMED[character] ?? numbered(character.codePointAt(0)!));
}

function numbered(code: number): string {
  return code < 0x100 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u{${code.toString(16)}}`;
}
