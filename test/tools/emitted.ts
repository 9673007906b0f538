// What the compiler emits of the public API: the names of each entry, and the text of every declaration, with and without its comments.
import { execFileSync } from "node:child_process";
import { globSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, posix } from "node:path";
import { fileURLToPath } from "node:url";
import { entries } from "./entries.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

/** Declarations by name, by file (`policy/policy.ts`). */
export type Declarations = ReadonlyMap<string, ReadonlyMap<string, string>>;

export interface Emitted {
  readonly names: readonly Exported[];
  /** Without comments. */
  readonly declarations: Declarations;
  /** With the comment before each, and those within. */
  readonly documented: Declarations;
}

/** Read from the declarations that the compiler emits, so that inferred types stand there too. */
export function emittedApi(): Emitted {
  const out = mkdtempSync(join(tmpdir(), "premesh-api-"));
  try {
    const tsc = join(ROOT, "node_modules/typescript/bin/tsc");
    const flags = ["--noEmit", "false", "--emitDeclarationOnly", "--declarationMap", "false", "--outDir", out];
    execFileSync(process.execPath, [tsc, "-p", join(ROOT, "tsconfig.json"), ...flags], { stdio: ["ignore", "inherit", "inherit"] });
    const texts = new Map(
      globSync("**/*.d.ts", { cwd: out }).map((file) => [file.replace(".d.ts", ".ts"), readFileSync(join(out, file), "utf8")]),
    );
    const each = (read: (text: string) => ReadonlyMap<string, string>): Declarations =>
      new Map(Array.from(texts, ([file, text]) => [file, read(text)]));
    return {
      names: [...entries].flatMap(([from, file]) => exportsOf(from, file, texts.get(file) ?? "")),
      declarations: each((text) => declarationsOf(text.replaceAll(COMMENT, ""))),
      documented: each(declarationsOf),
    };
  } finally {
    rmSync(out, { recursive: true, force: true });
  }
}

const COMMENT = /^[ \t]*\/\*\*[\s\S]*?\*\/\n/gm;

export interface Exported {
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

/** The declarations of a .d.ts file. The compiler begins each in the first column and indents what belongs to it; a comment stands before its own. */
function declarationsOf(text: string): ReadonlyMap<string, string> {
  const declarations = new Map<string, string>();
  let comment = "";
  for (const statement of text.split(/\n(?=[^\s}])(?! \*)/)) {
    if (statement.startsWith("/**")) {
      comment = `${statement.trimEnd()}\n`;
      continue;
    }
    const declaration = statement.replace(/^(?:export )?(?:declare )?/, "").trimEnd();
    const name = /^(?:abstract )?(?:function|const|class|interface|type) (\w+)/.exec(declaration)?.[1];
    if (name !== undefined) {
      const before = declarations.get(name); // an overload
      declarations.set(name, before === undefined ? comment + declaration : `${before}\n${comment}${declaration}`);
    }
    comment = "";
  }
  return declarations;
}
