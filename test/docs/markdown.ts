// Reads Markdown as far as the tests of the documentation need it: fences with their marks, headings, links.
import { globSync, readFileSync } from "node:fs";

export const root: string = new URL("../../", import.meta.url).pathname;

/** A fenced block. A comment on the line above marks it: `<!-- with: server; continues -->`. */
export interface Fence {
  readonly document: string;
  readonly line: number;
  readonly language: string;
  readonly marks: ReadonlyMap<string, string>;
  readonly text: string;
}

/** Every Markdown file that is documentation, by its path in the repo. */
export function documents(): readonly string[] {
  return [...globSync("docs/**/*.md", { cwd: root }), ...globSync("README.md", { cwd: root })].toSorted();
}

export const read = (path: string): string => readFileSync(root + path, "utf8");

export function fencesOf(document: string): readonly Fence[] {
  const lines = read(document).split("\n");
  const fences: Fence[] = [];
  for (let at = 0; at < lines.length; at++) {
    const opened = /^( *)```(\w+)\s*$/.exec(lines[at] ?? "");
    if (opened === null) continue;
    const [, indent = "", language = ""] = opened;
    const from = at + 1;
    const to = lines.findIndex((line, index) => index >= from && line.trim() === "```");
    if (to === -1) throw new Error(`${document}:${at + 1}: the fence is not closed`);
    fences.push({
      document,
      line: at + 1,
      language,
      marks: marksOf(lines[at - 1] ?? ""),
      text: lines
        .slice(from, to)
        .map((line) => (line.startsWith(indent) ? line.slice(indent.length) : line))
        .join("\n"),
    });
    at = to;
  }
  return fences;
}

/** The document without its fences. */
export const prose = (document: string): string => read(document).replaceAll(/^ *```[^]*?^ *```/gm, "");

const KNOWN = new Set(["with", "continues", "file", "prints", "scenario", "endpoints", "gives", "warns", "run", "output"]);

function marksOf(line: string): ReadonlyMap<string, string> {
  const [, text] = /^\s*<!--\s*(.*?)\s*-->\s*$/.exec(line) ?? [];
  const marks = new Map<string, string>();
  for (const mark of (text ?? "").split(";")) {
    const [word = "", value = ""] = mark.split(":").map((part) => part.trim());
    marks.set(word, value);
  }
  marks.delete("");
  for (const mark of marks.keys()) if (!KNOWN.has(mark)) throw new Error(`"${mark}" is no mark of a snippet: ${line}`);
  return marks;
}

/** Headings as the anchors that GitHub makes of them. */
export function anchorsOf(document: string): ReadonlySet<string> {
  const headings = prose(document).matchAll(/^#{1,6} (.+)$/gm);
  return new Set(
    Array.from(headings, ([, heading = ""]) =>
      heading
        .toLowerCase()
        .replaceAll(/[^\p{L}\p{N} _-]/gu, "")
        .replaceAll(" ", "-"),
    ),
  );
}

/** Rows of the tables of a text: the cells of each. */
export function rowsOf(text: string): readonly (readonly string[])[] {
  return Array.from(text.matchAll(/^\|(.+)\|$/gm), ([, row = ""]) =>
    row.split(/(?<!\\)\|/).map((cell) => cell.trim().replaceAll("\\|", "|")),
  ).filter(([first]) => !/^:?-+:?$/.test(first ?? ""));
}

/** What stands in backticks. */
export const codesIn = (text: string): readonly string[] => Array.from(text.matchAll(/`([^`]+)`/g), ([, code = ""]) => code);
