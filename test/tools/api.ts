// The public API as text: every exported name of each entry of the package with its declaration. Run as a program (`npm run update:api`), it writes docs/reference/api.txt.
import { writeFileSync } from "node:fs";
import { type Declarations, emittedApi } from "./emitted.ts";
import { entries } from "./entries.ts";

export const API_FILE: URL = new URL("../../docs/reference/api.txt", import.meta.url);

/** The text of the file, as it should be. */
export function apiText({ names, declarations } = emittedApi()): string {
  const exported = new Map(names.map(({ name, file }) => [name, entry(name, file, declarations)]));
  const behind = new Map<string, string>();
  const wanted = [...exported.values()];
  for (const text of wanted) {
    for (const [word] of text.matchAll(/\b[A-Z]\w+\b/g)) {
      const file = [...declarations.keys()].find((key) => declarations.get(key)?.has(word));
      if (file === undefined || exported.has(word) || behind.has(word)) continue;
      const found = entry(word, file, declarations);
      behind.set(word, found);
      wanted.push(found);
    }
  }
  const shownIn = (from: string): string[] =>
    inOrder(new Map(names.filter((one) => one.from === from).map(({ name }) => [name, exported.get(name) ?? ""])));
  return `${[
    "The public API of premesh: every exported name and its declaration. A test compares it with the code; `npm run update:api` writes it anew.",
    ...[...entries.keys()].flatMap((from) => [...(from === "premesh" ? [] : [`Exported by ${from}:`]), ...shownIn(from)]),
    "Not exported, but named by the declarations above:",
    ...inOrder(behind),
  ].join("\n\n")}\n`;
}

const inOrder = (texts: ReadonlyMap<string, string>): string[] =>
  [...texts].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, text]) => text);

function entry(name: string, file: string, declarations: Declarations): string {
  const declaration = declarations.get(file)?.get(name);
  if (declaration === undefined) throw new Error(`src/${file} has no declaration of ${name}`);
  return `// src/${file}\n${declaration}`;
}

if (import.meta.main) writeFileSync(API_FILE, apiText());
