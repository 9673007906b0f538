// A span of time as people write it: "250ms", "2s", "1.5m", "1h".

/** A time span: a number and its unit (`"250ms"`, `"2s"`, `"1.5m"`, `"1h"`). At most 24 hours; never negative. */
export type Duration = `${number}${"ms" | "s" | "m" | "h"}`;

const unitInMs = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 } as const;

/** The longest duration that a policy may name. Node's timers overflow at 24.8 days; no resilience timer is near that. */
export const LONGEST_MS = 24 * unitInMs.h;

/** What a duration looks like; also the `pattern` of the JSON Schema. */
export const DURATION_PATTERN: RegExp = /^(?:0|[1-9]\d*)(?:\.\d+)?(?:ms|s|m|h)$/;

/** Milliseconds of a duration, or `NaN` when the text is none. */
export function durationMs(text: string): number {
  if (!DURATION_PATTERN.test(text)) return Number.NaN;
  const number = Number.parseFloat(text);
  if (text.endsWith("ms")) return number;
  if (text.endsWith("s")) return number * unitInMs.s;
  if (text.endsWith("m")) return number * unitInMs.m;
  return number * unitInMs.h;
}
