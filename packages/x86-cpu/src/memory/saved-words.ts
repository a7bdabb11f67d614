/** Words as runs of equal ones: how many and which, by turns. */
export type SavedWords = readonly number[];

export function saveWords(words: Int32Array): SavedWords {
  const runs: number[] = [];
  for (let first = 0; first < words.length; ) {
    let end = first + 1;
    while (end < words.length && words[end] === words[first]) end++;
    runs.push(end - first, words[first]!);
    first = end;
  }
  return runs;
}

/** @throws {RangeError} when they are not as many words as `into` has. */
export function restoreWords(into: Int32Array, runs: SavedWords): void {
  let at = 0;
  for (let run = 0; run < runs.length; run += 2) {
    const end = at + runs[run]!;
    into.fill(runs[run + 1]!, at, end);
    at = end;
  }
  if (at !== into.length) throw new RangeError(`${at} words were saved of what has ${into.length}`);
}
