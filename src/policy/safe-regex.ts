// Regular expressions that a policy may hold: those that cannot be made to run for ever by what they are matched against.
//
// V8's engine backtracks. Without backreferences and lookaround (RE2's subset), and without a repeat inside a repeat, the time grows with a power of
// the input's length; the bounds on unbounded repeats and on the input keep that power, and so the time, small.

/** How long an expression may be. */
const LONGEST_REGEX = 512;

/** How long a text may be that is matched against one; a longer one never fits. */
export const LONGEST_INPUT = 1_024;

/** How many repeats without a small bound one expression may have. */
const MOST_REPEATS = 3;

/** A repeat up to this is no worse than writing it out. */
const SMALL = 16;

/** What is wrong with an expression; `undefined`: it may be used. */
export function unsafeRegex(source: string): string | undefined {
  if (source.length > LONGEST_REGEX) return `must be at most ${LONGEST_REGEX} characters long`;
  try {
    new RegExp(source, "u"); // oxlint-disable-line no-new -- to hear what is wrong with it
  } catch (error) {
    return `must be a regular expression: ${error instanceof Error ? error.message.replace(/^Invalid regular expression: /, "") : String(error)}`;
  }
  return unsafePart(source);
}

/** The expression as it is used: it must fit the whole text, as Envoy's. */
export const wholeRegex = (source: string): RegExp => new RegExp(`^(?:${source})$`, "u");

/** Goes through an expression that is known to be well-formed. */
function unsafePart(source: string): string | undefined {
  /** For each group that is open: whether there is a repeat in it. The first is the whole. */
  const repeatsIn = [false];
  let closed = false;
  let repeats = 0;
  for (let at = 0; at < source.length; at++) {
    const char = source[at];
    const rest = source.slice(at);
    let justClosed = false;
    if (char === "\\") {
      if (/^\\(?:[1-9]|k<)/.test(rest)) return "must have no backreference";
      at++;
    } else if (char === "[") {
      at += /^\[(?:\\.|[^\\\]])*\]/s.exec(rest)?.[0].length ?? 1;
      at--;
    } else if (char === "(") {
      if (/^\(\?<?[=!]/.test(rest)) return "must have no lookahead or lookbehind";
      repeatsIn.push(false);
      at += /^\((?:\?(?::|<\w+>))?/.exec(rest)?.[0].length ?? 1;
      at--;
    } else if (char === ")") {
      const inner = repeatsIn.pop() === true;
      closed = inner;
      justClosed = true;
      if (inner) repeatsIn[repeatsIn.length - 1] = true;
    } else {
      const repeat = /^(?:[*+]|\{(\d+)(,?)(\d*)\})/.exec(rest);
      if (repeat !== null || char === "?") {
        const large = repeat !== null && isLarge(repeat);
        if (large && closed) return "must have no repeat inside a repeat";
        if (large) {
          repeatsIn[repeatsIn.length - 1] = true;
          if (++repeats > MOST_REPEATS) return `must have at most ${MOST_REPEATS} repeats without a bound of at most ${SMALL}`;
        }
        at += (repeat?.[0].length ?? 1) - 1;
        if (source[at + 1] === "?") at++; // a lazy one
      }
    }
    if (!justClosed) closed = false;
  }
  return undefined;
}

/** `*`, `+`, `{2,}`, `{2,99}`, `{99}`. */
function isLarge([, least, comma, most]: RegExpExecArray): boolean {
  if (least === undefined) return true;
  if (comma === "") return Number(least) > SMALL;
  return most === "" || Number(most) > SMALL;
}
