// Small plots for a terminal, in plain Unicode, without escape codes.

const LEVELS = "▁▂▃▄▅▆▇█";
const EIGHTHS = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];

/** One character per value, from 0 to `max`; a gap where there is none. */
export function sparkline(values: readonly (number | undefined)[], max: number): string {
  return values
    .map((value) => {
      if (value === undefined) return " ";
      const level = max <= 0 ? 0 : Math.round((value / max) * (LEVELS.length - 1));
      return LEVELS[Math.max(0, Math.min(LEVELS.length - 1, level))];
    })
    .join("");
}

/** A bar for a share between 0 and 1, exact to an eighth of a character. */
export function bar(share: number, width: number): string {
  const eighths = Math.round(Math.max(0, Math.min(1, share)) * width * 8);
  return ("█".repeat(Math.floor(eighths / 8)) + (EIGHTHS[eighths % 8] ?? "")).padEnd(width, "░");
}

export function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}

export function duration(ms: number): string {
  return ms >= 1_000 ? `${(ms / 1_000).toFixed(2)} s` : `${ms.toFixed(ms < 10 ? 1 : 0)} ms`;
}
