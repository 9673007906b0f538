// Places: the line and column of what a path of a text leads to.
import type { PolicyIssue } from "./error.ts";

/** Both from 1 on. */
export interface Place {
  readonly line: number;
  readonly column: number;
}

/** Where a value and its key stand, as offsets in a text. */
export interface Spot {
  readonly value: number;
  readonly key?: number | undefined;
}

/** Finds the spots of those of these paths that exist. */
export type FindSpots = (paths: ReadonlySet<string>) => ReadonlyMap<string, Spot>;

/** Places in a text by offset. The lines are counted once. */
export function placesIn(text: string): (offset: number) => Place {
  let starts: readonly number[] | undefined;
  return (offset) => {
    starts ??= [0, ...Array.from(text.matchAll(/\n/g), ({ index }) => index + 1)];
    let [low, high] = [0, starts.length];
    while (high - low > 1) {
      const middle = (low + high) >>> 1;
      if ((starts[middle] ?? 0) <= offset) low = middle;
      else high = middle;
    }
    return { line: low + 1, column: offset - (starts[low] ?? 0) + 1 };
  };
}

/** More issues than anybody reads need no places, which take a pass over the text. */
const MOST_PLACED = 1_000;

/** The issues with their lines: of the key where a field is unknown, else of the value; of what it is missing from where something is missing. */
export function placed(issues: readonly PolicyIssue[], text: string, find: FindSpots): readonly PolicyIssue[] {
  const paths = new Set(issues.slice(0, MOST_PLACED).flatMap(({ path }) => withAncestors(path)));
  const spots = find(paths);
  const placeAt = placesIn(text);
  return issues.map((issue, index) => {
    if (issue.line !== undefined || index >= MOST_PLACED) return issue;
    const path = withAncestors(issue.path).find((one) => spots.has(one));
    const spot = path === undefined ? undefined : spots.get(path);
    if (spot === undefined) return issue;
    const atKey = issue.code === "PM0201" && path === issue.path;
    return Object.assign({}, issue, placeAt(atKey ? (spot.key ?? spot.value) : spot.value));
  });
}

/** The path itself, then what it is in, up to the whole. */
function withAncestors(path: string): string[] {
  const all = [path];
  for (let rest = path; rest !== ""; all.push(rest)) rest = rest.slice(0, Math.max(0, rest.lastIndexOf("."), rest.lastIndexOf("[")));
  return all;
}
