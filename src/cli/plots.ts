// Small plots and texts for a terminal, in plain Unicode, without escape codes; the demo draws with them too.
import type { Policy } from "../policy/policy.ts";

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

/** Breaks a text at spaces; its first line stands behind the label, the others below it. */
export function wrapped(label: string, text: string, width: number): string[] {
  const lines: string[] = [];
  let line = label;
  for (const word of text.split(" ")) {
    if (line.length > label.length && line.length + 1 + word.length > width) {
      lines.push(line);
      line = " ".repeat(label.length);
    }
    line += line.length > label.length ? ` ${word}` : word;
  }
  return [...lines, line];
}

/** The layers of a policy in a line. */
export function inShort({ layers }: Policy): string {
  return layers.map((layer) => (layer.kind === "timeout" ? `timeout ${layer.after.replace(/000ms$/, "s")}` : layer.kind)).join(" > ");
}
