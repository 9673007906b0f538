// The licences of the packages that are within a bundle: who gives their code along gives their terms along.
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";

interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly license?: string;
}

const FOLDER = /^(.*node_modules\/(?:@[^/]+\/)?[^/]+)\//;

/** The terms of the packages that these files of a bundle are from, each text once. Throws for a package that has none. */
export function licencesOf(files: readonly string[], root: string): string {
  const byText = new Map<string, string[]>();
  for (const folder of new Set(files.flatMap((file) => FOLDER.exec(file)?.[1] ?? []))) {
    const { package: name, text } = termsOf(join(root, folder));
    byText.set(text, [...(byText.get(text) ?? []), name]);
  }
  const parts = [...byText].map(([text, names]) => `${names.toSorted().join("\n")}\n\n${text}`);
  return `${["premesh-sidecar.js holds code of these packages, under their licences.", ...parts].join(`\n\n${"-".repeat(80)}\n\n`)}\n`;
}

function termsOf(folder: string): { readonly package: string; readonly text: string } {
  const { name, version, license } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8")) as Manifest; // the cast: every package says so
  const texts = globSync("{LICENSE,LICENCE,NOTICE,license}{,.md,.txt,-MIT}", { cwd: folder }).toSorted();
  if (license === undefined || texts.length === 0) throw new Error(`${name} has no licence that could be given along`);
  return {
    package: `${name} ${version} (${license})`,
    text: texts.map((file) => readFileSync(join(folder, file), "utf8").trim()).join("\n\n"),
  };
}
