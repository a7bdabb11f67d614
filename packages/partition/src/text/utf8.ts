/**
 * UTF-8 to text. Bytes that are no UTF-8 become U+FFFD, one for each maximal part of a sequence (Unicode 15, section 3.9, "best practice for using
 * U+FFFD"), so that any guest's bytes can be shown. Written here because a library may not ask for a platform's decoder.
 */
export function decodeUtf8(bytes: Uint8Array): string {
  let text = '';
  for (let at = 0; at < bytes.length; ) {
    const lead = bytes[at]!;
    const sequence = sequenceOf(lead);
    let point = sequence === null ? REPLACEMENT : lead & sequence.payload;
    let length = 1;
    if (sequence !== null) {
      for (; length < sequence.length; length++) {
        const next = bytes[at + length];
        const [low, high] = length === 1 ? sequence.second : CONTINUATION;
        if (next === undefined || next < low || next > high) {
          point = REPLACEMENT;
          break;
        }
        point = (point << 6) | (next & 0x3f);
      }
    }
    text += String.fromCodePoint(point);
    at += length;
  }
  return text;
}

const REPLACEMENT = 0xfffd;
const CONTINUATION = [0x80, 0xbf] as const;

/** A well-formed sequence by its first byte: length, bits of the first byte that count, range of the second byte (Unicode 15, table 3-7). */
interface Sequence {
  readonly length: number;
  readonly payload: number;
  readonly second: readonly [number, number];
}

function sequenceOf(lead: number): Sequence | null {
  if (lead < 0x80) return { length: 1, payload: 0x7f, second: CONTINUATION };
  if (lead < 0xc2) return null;
  if (lead < 0xe0) return { length: 2, payload: 0x1f, second: CONTINUATION };
  if (lead < 0xf0) return { length: 3, payload: 0x0f, second: lead === 0xe0 ? [0xa0, 0xbf] : lead === 0xed ? [0x80, 0x9f] : CONTINUATION };
  if (lead < 0xf5) return { length: 4, payload: 0x07, second: lead === 0xf0 ? [0x90, 0xbf] : lead === 0xf4 ? [0x80, 0x8f] : CONTINUATION };
  return null;
}
