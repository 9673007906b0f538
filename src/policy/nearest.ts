// nearest: what a misspelt word was meant to be. Levenshtein's distance, since slips of the keyboard are single edits.

/** No field of ours is near that long. */
const LONGEST_WORD = 64;

/** The word of `words` that is nearest to a misspelt one, if any is near enough to be meant. */
export function nearest(word: string, words: readonly string[]): string | undefined {
  if (word.length > LONGEST_WORD) return undefined; // the distance takes time in proportion to the length
  let best: string | undefined;
  let least = 1 + Math.floor(word.length / 3);
  for (const candidate of words) {
    const d = distance(word.toLowerCase(), candidate.toLowerCase());
    if (d < least || (d === least && best === undefined)) [best, least] = [candidate, d];
  }
  return best === word ? undefined : best;
}

/** Levenshtein's edit distance. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      next.push(Math.min((row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1, (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1)));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
