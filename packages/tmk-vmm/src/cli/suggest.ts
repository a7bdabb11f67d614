import { distance } from 'fastest-levenshtein';

/** The closest of the known names to a mistyped one, as the end of an error message: `: did you mean "x"?`, or a list of all of them. */
export function suggestion(name: string, known: readonly string[]): string {
  const limit = Math.min(3, Math.ceil(name.length / 2));
  let best: string | undefined;
  let bestDistance = limit + 1;
  for (const candidate of known) {
    const edits = distance(name.toLowerCase(), candidate.toLowerCase());
    if (edits < bestDistance) [best, bestDistance] = [candidate, edits];
  }
  if (best !== undefined) return `: did you mean "${best}"?`;
  return known.length > 0 && known.length <= MAX_LISTED ? `: choose from ${known.join(', ')}` : '';
}

/** Longer lists would not be read. */
const MAX_LISTED = 40;
