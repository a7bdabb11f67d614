/** The closest of the known names to a mistyped one, as the end of an error message: `: did you mean "x"?`, or a list of all of them. */
export function suggestion(name: string, known: readonly string[]): string {
  const limit = Math.min(3, Math.ceil(name.length / 2));
  let best: string | undefined;
  let bestDistance = limit + 1;
  for (const candidate of known) {
    const distance = editDistance(name.toLowerCase(), candidate.toLowerCase(), bestDistance);
    if (distance < bestDistance) [best, bestDistance] = [candidate, distance];
  }
  if (best !== undefined) return `: did you mean "${best}"?`;
  return known.length > 0 && known.length <= MAX_LISTED ? `: choose from ${known.join(', ')}` : '';
}

/** Longer lists would not be read. */
const MAX_LISTED = 40;

/** Levenshtein distance, or `limit` when it is at least that. */
function editDistance(a: string, b: string, limit: number): number {
  if (Math.abs(a.length - b.length) >= limit) return limit;
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const substitution = row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(substitution, row[j]! + 1, next[j - 1]! + 1));
    }
    row = next;
  }
  return Math.min(row[b.length]!, limit);
}
