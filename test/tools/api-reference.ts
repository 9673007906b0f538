// The API reference: every exported name with what its docstring says, made from the docstrings. Run as a program (`npm run update:api`), it writes docs/reference/api.md.
import { writeFileSync } from "node:fs";
import { emittedApi } from "./emitted.ts";
import { entries } from "./entries.ts";

export const REFERENCE_FILE: URL = new URL("../../docs/reference/api.md", import.meta.url);

const HEAD = `# API

Every exported name of the package, made from the docstrings in the source (\`npm run update:api\`; a test compares). The guides are in
[the documentation](../index.md); what layers do, with every field and default, stands in [layers](layers.md).
`;

/** The text of the file, as it should be. */
export function apiReference({ names, documented } = emittedApi()): string {
  const parts = [HEAD];
  for (const entry of entries.keys()) {
    const here = names.filter(({ from }) => from === entry).toSorted((a, b) => order(a.name, b.name));
    parts.push(`## \`${entry}\`\n`);
    for (const { name, file } of here) {
      const found = documented.get(file)?.get(name);
      if (found === undefined) throw new Error(`src/${file} has no declaration of ${name}`);
      parts.push(section(name, found));
    }
  }
  return `${parts.join("\n").trimEnd()}\n`;
}

/** Values before types, each by name. */
const order = (a: string, b: string): number => Number(/^[A-Z]/.test(a)) - Number(/^[A-Z]/.test(b)) || (a < b ? -1 : 1);

function section(name: string, documented: string): string {
  const [, comment = "", declaration = documented] = /^\/\*\*([^]*?)\*\/\n([^]*)$/.exec(documented) ?? [];
  const text = comment
    .split("\n")
    .map((line) => line.replace(/^\s*\* ?/, "").trimEnd())
    .join("\n")
    .replaceAll(/\{@link (?:\w+\.)?(\w+)\}/g, "`$1`")
    .trim();
  const [prose = "", example] = text.split(/^@example\s*$/m);
  return [
    `### ${name}\n`,
    ...(prose.trim() === "" ? [] : [`${prose.trim()}\n`]),
    ...(example === undefined ? [] : [`${example.trim().replace(/^```ts$/m, "```typescript")}\n`]),
    `\`\`\`typescript\n${declaration.trim()}\n\`\`\`\n`,
  ].join("\n");
}

if (import.meta.main) writeFileSync(REFERENCE_FILE, apiReference());
