// The page of problems is the table of problems: every code with its title, and every example on it gives its code and no other.
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { type ProblemCode, problems } from "../../src/policy/problems.ts";
import { warningsOf } from "../../src/policy/warnings.ts";
import { readPolicyFile } from "../../src/policy-files/read.ts";
import { documents, fencesOf, prose, root } from "./markdown.ts";

const PAGE = "docs/reference/problems.md";

// Within the repository, so that examples find packages.
const cache = join(root, ".cache");
mkdirSync(cache, { recursive: true });
const folder = mkdtempSync(join(cache, "problems-"));
after(() => rmSync(folder, { recursive: true, force: true }));

/** Of files that hold nothing that a page could show. */
const WITHOUT_EXAMPLE: readonly ProblemCode[] = ["PM0101", "PM0102", "PM0103", "PM0104", "PM0105"];

const gives = documents().flatMap((document) => fencesOf(document).filter(({ marks }) => marks.has("gives")));

test("every problem has its heading and its title on the page, and there is no other", () => {
  const sections = Array.from(prose(PAGE).matchAll(/^### (PM\d{4})\n\n([^]*?)(?=^#{2,3} |(?![^]))/gm), ([, code = "", text = ""]) => ({
    code,
    text,
  }));
  assert.deepEqual(sections.map(({ code }) => code).toSorted(), Object.keys(problems).toSorted());
  for (const { code, text } of sections) {
    const { title } = problems[code as ProblemCode]; // the cast: it has just been shown
    assert.ok(text.startsWith(`${title}.`), `${code} begins with "${title}."`);
    assert.match(text, /^Do: /m, `${code} says what to do`);
  }
});

test("every problem that a text can have has an example", () => {
  const shown = new Set(gives.filter(({ document }) => document === PAGE).map(({ marks }) => marks.get("gives")));
  assert.deepEqual(new Set([...shown, ...WITHOUT_EXAMPLE]), new Set(Object.keys(problems)));
});

describe("every example gives its code and no other", () => {
  for (const { document, line, language, marks, text } of gives) {
    const code = marks.get("gives") ?? "";
    test(`${document}:${line} ${code}`, async () => {
      const home = join(folder, `${document.replaceAll("/", "-")}-${line}`);
      mkdirSync(home);
      const file = join(home, `example.${language === "js" ? "mjs" : language}`);
      writeFileSync(file, text.replaceAll(`from "premesh"`, `from ${JSON.stringify(join(root, "src/index.ts"))}`));
      const read = await readPolicyFile(file, { apart: true });
      const issues = read.kind === "problems" ? read.issues : warningsOf(read.policies, read.paths);
      assert.deepEqual(
        issues.map((issue) => issue.code),
        [code],
        JSON.stringify(issues),
      );
    });
  }
});
