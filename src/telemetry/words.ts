// Words for numbers, as people read them.

/** Milliseconds as `3.4 ms`, `120 ms` or `3.2 s`. */
export function duration(ms: number): string {
  if (ms >= 60_000) return `${trimmed(ms / 60_000)} min`;
  if (ms >= 1_000) return `${trimmed(ms / 1_000)} s`;
  return `${ms >= 100 ? Math.round(ms) : trimmed(ms)} ms`;
}

/** A number with at most one decimal place. */
const trimmed = (value: number): string => String(Math.round(value * 10) / 10);

/** A count with its noun: `1 call`, `3 calls`. */
export const counted = (count: unknown, noun: string): string => `${String(count)} ${noun}${count === 1 ? "" : "s"}`;
