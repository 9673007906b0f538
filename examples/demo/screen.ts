// The screen: lines, and on a terminal one line at the bottom that is written anew while something goes on.
import { styleText } from "node:util";

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

/** Breaks a text at spaces; its first line stands behind the label, the others below it. */
export function wrapped(label: string, text: string): string[] {
  const lines: string[] = [];
  let line = label;
  for (const word of text.split(" ")) {
    if (line.length > label.length && line.length + 1 + word.length > WIDTH) {
      lines.push(line);
      line = " ".repeat(label.length);
    }
    line += line.length > label.length ? ` ${word}` : word;
  }
  return [...lines, line];
}
