// Figures: numbers as people read them.

/** Milliseconds in the largest unit that they fill. */
export function time(ms: number): string {
  if (ms === Infinity) return "unbounded";
  if (ms >= 3_600_000) return `${round(ms / 3_600_000)} h`;
  if (ms >= 60_000) return `${round(ms / 60_000)} min`;
  return ms >= 1_000 ? `${round(ms / 1_000)} s` : `${round(ms)} ms`;
}

/** Two decimals, and none that say nothing. */
export const round = (number: number): string => String(Number(number.toFixed(2)));

/** `1 call`, `2 calls`. */
export const counted = (count: number, one: string, many = `${one}s`): string => `${count} ${count === 1 ? one : many}`;
