// The public API as text: every exported name of each entry of the package with its declaration. Run as a program (`npm run update:api`), it writes docs/reference/api.txt.
import { execFileSync } from "node:child_process";
import { globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, posix } from "node:path";
import { fileURLToPath } from "node:url";
import { entries } from "./entries.ts";

export const API_FILE: URL = new URL("../../docs/reference/api.txt", import.meta.url);

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

/** Declarations by name, by file (`policy/policy.ts`). */
type Declarations = ReadonlyMap<string, ReadonlyMap<string, string>>;

/** The text of the file, as it should be: read from the declarations that the compiler emits, so that inferred types stand there too. */
export function apiText(): string {
  const out = mkdtempSync(join(tmpdir(), "premesh-api-"));
  try {
    const tsc = join(ROOT, "node_modules/typescript/bin/tsc");
    const flags = ["--noEmit", "false", "--emitDeclarationOnly", "--declarationMap", "false", "--outDir", out];
    execFileSync(process.execPath, [tsc, "-p", join(ROOT, "tsconfig.json"), ...flags], { stdio: ["ignore", "inherit", "inherit"] });
    const read = (file: string): string => readFileSync(join(out, file), "utf8");
    const files = globSync("**/*.d.ts", { cwd: out });
    const declarations = new Map(files.map((file) => [file.replace(".d.ts", ".ts"), declarationsOf(read(file))]));
    return written(
      [...entries].flatMap(([from, file]) => exportsOf(from, file, read(file.replace(/\.ts$/, ".d.ts")))),
      declarations,
    );
  } finally {
    rmSync(out, { recursive: true, force: true });
  }
}

function written(names: readonly Exported[], declarations: Declarations): string {
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

interface Exported {
  /** `premesh`, or another entry of the package. */
  readonly from: string;
  readonly name: string;
  readonly file: string;
}

/** What `export { a, type b } from "./file.ts"` statements of an entry name; it has no others, or this throws. */
function exportsOf(from: string, entryFile: string, index: string): Exported[] {
  const statement = /export (?:type )?\{([^}]*)\} from "(\.[^"]+)";/g;
  const rest = index.replaceAll(statement, "").trim();
  if (rest !== "") throw new Error(`src/${entryFile} has more than lists of names: ${rest.slice(0, 200)}`);
  return [...index.matchAll(statement)].flatMap(([, names = "", file = ""]) =>
    [...names.matchAll(/(?:type )?(\w+)/g)].map(([, name = ""]) => ({ from, name, file: posix.join(posix.dirname(entryFile), file) })),
  );
}

/** The declarations of a .d.ts file, without comments. The compiler begins each in the first column and indents what belongs to it. */
function declarationsOf(text: string): ReadonlyMap<string, string> {
  const declarations = new Map<string, string>();
  for (const statement of text.replaceAll(/^[ \t]*\/\*\*[\s\S]*?\*\/\n/gm, "").split(/\n(?=[^\s}])/)) {
    const declaration = statement.replace(/^(?:export )?(?:declare )?/, "").trimEnd();
    const name = /^(?:function|const|class|interface|type) (\w+)/.exec(declaration)?.[1];
    if (name === undefined) continue;
    const before = declarations.get(name); // an overload
    declarations.set(name, before === undefined ? declaration : `${before}\n${declaration}`);
  }
  return declarations;
}

if (import.meta.main) writeFileSync(API_FILE, apiText());
