// The screen: lines, and on a terminal one line at the bottom that is written anew while something goes on.
import { styleText } from "node:util";
import { wrapped as wrappedTo } from "../../src/cli/plots.ts";

const out = process.stdout;

/** No line is wider, so that the smallest usual terminal holds it. */
const WIDTH = Math.min(80, out.columns || 80);

let bottom = 0;

/** Takes the place of the bottom line; needs no more of a terminal than that it knows a carriage return. */
export function progress(text: string): void {
  if (!out.isTTY) return;
  const line = text.slice(0, WIDTH - 1);
  out.write(`\r${line.padEnd(bottom)}`);
  bottom = line.length;
}

export function print(line = ""): void {
  if (bottom > 0) out.write(`\r${" ".repeat(bottom)}\r`);
  bottom = 0;
  out.write(`${line}\n`);
}

/** Coloured on a terminal, unless NO_COLOR says otherwise. */
export function styled(style: Parameters<typeof styleText>[0], text: string): string {
  return styleText(style, text, { stream: out });
}

/** A text with its label, within the screen. */
export const wrapped = (label: string, text: string): string[] => wrappedTo(label, text, WIDTH);
