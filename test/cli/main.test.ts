// The command line, run as users run it: a process with words, output and an exit status.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, suite, test } from "node:test";
import { fileURLToPath } from "node:url";
import { definePolicy, retry, revision, timeout } from "../../src/index.ts";

const MAIN = fileURLToPath(new URL("../../src/cli/main.ts", import.meta.url));
const PREMESH = new URL("../../src/index.ts", import.meta.url).href;

const folder = mkdtempSync(join(tmpdir(), "premesh-cli-"));
after(() => rmSync(folder, { recursive: true, force: true }));

function file(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

interface Ended {
  readonly code: unknown;
  readonly out: string;
  readonly err: string;
}

function premesh(...words: readonly string[]): Promise<Ended> {
  return new Promise((resolve) => {
    execFile(process.execPath, [MAIN, ...words], { cwd: folder, timeout: 30_000 }, (error, out, err) =>
      resolve({ code: error === null ? 0 : error.code, out: out.replaceAll(`${folder}/`, ""), err: err.replaceAll(`${folder}/`, "") }),
    );
  });
}

const good = { name: "good", match: [{ host: "good.internal" }], layers: [{ kind: "timeout", after: "2s" }, { kind: "retry" }] };
const yaml = "name: good\nmatch:\n  - host: good.internal\nlayers:\n  - { kind: timeout, after: 2000ms }\n  - kind: retry\n";
const bad = { name: "bad", layers: [{ kind: "retri" }, { kind: "retry", attempts: -3, bakoff: {} }] };

suite("premesh", () => {
  test("prints its help, on stdout when asked for it", async () => {
    const asked = await premesh("--help");
    assert.equal(asked.code, 0);
    for (const use of ["premesh check <file...>", "premesh revision <file>", "premesh --version"]) assert.ok(asked.out.includes(use), use);
  });

  test("prints the options of a command", async () => {
    const { code, out } = await premesh("check", "--help");
    assert.equal(code, 0);
    assert.match(out, /^premesh check <file\.\.\.>: /);
    assert.match(out, /^ {2}--strict +exit with 1 for warnings too$/m);
    assert.deepEqual(await premesh("check", "-h", "a.json"), { code, out, err: "" });
  });

  test("prints the version of its package", async () => {
    const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as { version: string }; // the cast: our own file
    assert.deepEqual(await premesh("--version"), { code: 0, out: `${version}\n`, err: "" });
  });

  for (const words of [
    [],
    ["chekc"],
    ["check"],
    ["check", "--fast", "a.json"],
    ["check", "--strict=yes", "a.json"],
    ["--fast"],
    ["constructor"],
    ["revision"],
    ["revision", "a.json", "b.json"],
  ]) {
    test(`says what is wrong with the usage "premesh ${words.join(" ")}", with exit status 2`, async () => {
      const { code, out, err } = await premesh(...words);
      assert.equal(code, 2);
      assert.equal(out, "");
      assert.match(err, /^premesh: .+\nRun premesh (?:check |revision )?--help to see what there is\.\n$/);
    });
  }
});

suite("premesh check", () => {
  test("accepts JSON, YAML and modules", async () => {
    const json = file("good.json", JSON.stringify({ policies: [good] }));
    const text = file("good.yaml", yaml);
    const typed = file(
      "good.ts",
      `import { definePolicy, retry, timeout, type Policy } from "${PREMESH}";
       export const payments: Policy = definePolicy({ name: "payments", layers: [timeout("2s"), retry()] });
       export const limit: number = 3;
       export const helper = { some: "thing" };
       export default [payments, { name: "search", layers: [timeout("1s")] }];`,
    );
    const plain = file("good.mjs", `export default { policies: [${JSON.stringify(good)}] };`);
    assert.deepEqual(await premesh("check", json, text, typed, plain), {
      code: 0,
      out: "good.json: ok, 1 policy\ngood.yaml: ok, 1 policy\ngood.ts: ok, 2 policies\ngood.mjs: ok, 1 policy\n",
      err: "",
    });
  });

  test("prints every problem with its file, path and hint, and goes on to the next file", async () => {
    const { code, out, err } = await premesh(
      "check",
      file("bad.json", JSON.stringify([good, bad])),
      file("fine.json", JSON.stringify(good)),
    );
    assert.equal(code, 1);
    assert.equal(err, "");
    assert.deepEqual(out.trimEnd().split("\n"), [
      'bad.json:1:145: error PM0208 [bad] [1].layers[0].kind: "retri" is not a kind of layer (did you mean "retry"?)',
      "bad.json:1:181: error PM0204 [bad] [1].layers[1].attempts: must be a whole number from 1 to 100; got -3",
      'bad.json:1:184: error PM0201 [bad] [1].layers[1].bakoff: is not a known field (did you mean "backoff"?)',
      "fine.json: ok, 1 policy",
    ]);
  });

  test("names the export that a problem is in", async () => {
    const plain = file("exports.mjs", `export const one = ${JSON.stringify(good)};\nexport default [${JSON.stringify(bad)}];`);
    const { code, out } = await premesh("check", plain);
    assert.equal(code, 1);
    assert.match(out, /^exports\.mjs: error PM0208 \[bad\] default\[0\]\.layers\[0\]\.kind: "retri" is not a kind of layer/);
  });

  test("tells two policies of one name in different exports apart from one policy exported twice", async () => {
    const twice = file("twice.mjs", `const one = ${JSON.stringify(good)};\nexport { one, one as default };`);
    const clash = file("clash.mjs", `export const one = ${JSON.stringify(good)};\nexport const two = ${JSON.stringify(good)};`);
    const { code, out } = await premesh("check", twice, clash);
    assert.equal(code, 1);
    assert.equal(
      out,
      'twice.mjs: ok, 1 policy\nclash.mjs: error PM0305 [good] two.name: there are two policies with the name "good" (names are unique)\n',
    );
  });

  test("prints the problems of a module that does not get past definePolicy", async () => {
    const { code, out } = await premesh(
      "check",
      file("throws.ts", `import { definePolicy } from "${PREMESH}"; export const a = definePolicy(${JSON.stringify(bad)} as never);`),
    );
    assert.equal(code, 1);
    assert.match(out, /^throws\.ts:1:\d+: error PM0208 \[bad\] layers\[0\]\.kind: "retri" is not a kind of layer/);
    assert.match(out, /^throws\.ts:1:\d+: error PM0201 \[bad\] layers\[1\]\.bakoff: is not a known field/m);
  });

  test("finds a text that is neither JSON nor YAML wrong, and a file without policies too", async () => {
    const { code, out } = await premesh(
      "check",
      file("broken.yaml", "layers: ["),
      file("none.mjs", "export const limit = 3;"),
      file("none.json", "[]"),
    );
    assert.equal(code, 1);
    assert.match(out, /^broken\.yaml:1:10: error PM0106 neither JSON nor YAML: .+/);
    assert.match(out, /^none\.mjs: error PM0112 holds no policy \(export policies, by name or as the default\)$/m);
    assert.match(out, /^none\.json: error PM0112 holds no policy$/m);
  });

  test("ends with status 2 when a file cannot be read, and still checks the others", async () => {
    const { code, out } = await premesh(
      "check",
      "missing.json",
      file("crash.mjs", 'throw new Error("out of order");'),
      file("policies.toml", ""),
      file("bad.json", JSON.stringify(bad)),
    );
    assert.equal(code, 2);
    assert.match(out, /^missing\.json: error PM0101 cannot be opened: there is no such file$/m);
    assert.match(out, /^crash\.mjs:1:7: error PM0121 throws while it loads: out of order$/m);
    assert.match(out, /^policies\.toml: error PM0103 "\.toml" is no kind of file that holds policies/m);
    assert.match(out, /^bad\.json:1:\d+: error PM0208 \[bad\] layers\[0\]/m);
  });

  test("ends though a policy module left a timer behind", async () => {
    const { code, out } = await premesh(
      "check",
      file("timer.mjs", `setInterval(() => {}, 1000);\nexport default ${JSON.stringify(good)};`),
    );
    assert.equal(code, 0);
    assert.equal(out, "timer.mjs: ok, 1 policy\n");
  });
});

suite("premesh check and warnings", () => {
  const questionable = "- name: a\n  layers:\n    - kind: timeout\n      after: 2s\n    - kind: retry\n      budget: false\n";

  test("prints warnings after their lines, and ends with 0, or with 1 when asked to be strict", async () => {
    const path = file("questionable.yaml", questionable);
    const { code, out } = await premesh("check", path);
    assert.equal(code, 0);
    assert.deepEqual(out.trimEnd().split("\n"), [
      "questionable.yaml:6:15: warning PM0502 [a] [0].layers[1].budget: nothing bounds the retries: while the peer is down it gets 3 times the load (leave budget out; by default retries are at most 20 % of the calls under way)",
      "questionable.yaml: ok, 1 policy, 1 warning",
    ]);
    assert.deepEqual(await premesh("check", "--strict", path), { code: 1, out, err: "" });
    assert.equal((await premesh("check", "--strict", file("good.json", JSON.stringify({ ...good, layers: [] })))).code, 0);
  });

  test("warns of modules too", async () => {
    const { code, out } = await premesh("check", file("questionable.mjs", `export const a = { name: "a", layers: [{ kind: "retry" }] };`));
    assert.equal(code, 0);
    assert.match(out, /^questionable\.mjs: warning PM0510 \[a\] a\.layers\[0\]: there is no timeout/);
  });

  test("prints one JSON document for programs, whose fields are always there", async () => {
    const files = [file("questionable.yaml", questionable), file("bad.json", JSON.stringify(bad)), "missing.json", file("good.yaml", yaml)];
    const { code, out, err } = await premesh("check", "--json", ...files);
    assert.equal(code, 2);
    assert.equal(err, "");
    const document = JSON.parse(out) as { ok: boolean; files: { file: string; ok: boolean; policies: unknown[]; problems: object[] }[] }; // the cast: what it says it prints
    assert.equal(document.ok, false);
    assert.deepEqual(
      document.files.map((one) => [one.file, one.ok, one.policies.length, one.problems.length]),
      [
        ["questionable.yaml", true, 1, 1],
        ["bad.json", false, 0, 3],
        ["missing.json", false, 0, 1],
        ["good.yaml", true, 1, 0],
      ],
    );
    assert.deepEqual(document.files[3]?.policies, [
      {
        name: "good",
        revision: revision(definePolicy({ name: "good", match: [{ host: "good.internal" }], layers: [timeout("2s"), retry()] })),
      },
    ]);
    assert.deepEqual(document.files[1]?.problems[1], {
      code: "PM0204",
      severity: "error",
      path: "layers[1].attempts",
      policy: "bad",
      line: 1,
      column: 69,
      message: "must be a whole number from 1 to 100; got -3",
      hint: null,
      anchor: "docs/reference/problems.md#pm0204",
    });
    for (const { problems } of document.files) for (const problem of problems) assert.equal(Object.keys(problem).length, 9);
  });

  test("keeps JSON clean of what a module prints", async () => {
    const { out, err } = await premesh(
      "check",
      "--json",
      file("chatty.mjs", 'console.log("hello from the module"); export default { name: "a", layers: [] };'),
    );
    assert.equal((JSON.parse(out) as { ok: boolean }).ok, true); // the cast: what it says it prints
    assert.match(err, /hello from the module/);
  });

  test("prints GitHub annotations, with what has a meaning in them escaped", async () => {
    const path = file("a,b:100%.yaml", questionable);
    const { out } = await premesh("check", "--github", path);
    assert.equal(
      out,
      "::warning file=a%2Cb%3A100%25.yaml,line=6,col=15,title=PM0502 a::[0].layers[1].budget: nothing bounds the retries: while the peer is down it gets 3 times the load (leave budget out; by default retries are at most 20 %25 of the calls under way)\n",
    );
    const broken = await premesh("check", "--github", file("broken.mjs", "export const = 1;"), "missing.json");
    assert.deepEqual(broken.out.trimEnd().split("\n"), [
      "::error file=broken.mjs,line=1,col=14,title=PM0124::has a syntax error: Unexpected token '='",
      "::error file=missing.json,title=PM0101::cannot be opened: there is no such file",
    ]);
  });

  test("takes one form of output at a time", async () => {
    assert.match((await premesh("check", "--json", "--github", "a.json")).err, /^premesh: --json and --github are two forms of one output/);
  });

  test("colours nothing where no terminal is", async () => {
    assert.ok(!(await premesh("check", file("questionable.yaml", questionable))).out.includes("\u001B"));
  });
});

test("nobody has to read all that is printed", { skip: process.platform === "win32" }, async () => {
  const many = file(
    "many.json",
    JSON.stringify(Array.from({ length: 20_000 }, (_, index) => ({ name: `p${index}`, layers: [{ kind: "retry" }] }))),
  );
  const err = await new Promise<string>((resolve) => {
    execFile("sh", ["-c", `"${process.execPath}" "${MAIN}" check "${many}" | head -1`], { timeout: 30_000 }, (_error, _out, stderr) =>
      resolve(stderr),
    );
  });
  assert.equal(err, "");
});

suite("premesh revision", () => {
  test("prints the revision that the library computes, whatever the spelling of the file", async () => {
    const policy = definePolicy({ name: "good", match: [{ host: "good.internal" }], layers: [timeout("2s"), retry()] });
    const line = `${revision(policy)} good\n`;
    const module = file("revision.ts", `import { standard } from "${PREMESH}";\nexport default { name: "all", layers: standard() };`);
    for (const path of [file("revision.json", JSON.stringify(good)), file("revision.yaml", yaml)]) {
      assert.deepEqual(await premesh("revision", path), { code: 0, out: line, err: "" });
    }
    assert.match((await premesh("revision", module)).out, /^[0-9a-f]{16} all\n$/);
  });

  test("prints the problems instead when there are any", async () => {
    const { code, out, err } = await premesh("revision", file("bad.json", JSON.stringify(bad)));
    assert.equal(code, 1);
    assert.equal(out, "");
    assert.match(err, /^bad\.json:1:\d+: error PM0208 \[bad\] layers\[0\]\.kind/);
    assert.equal((await premesh("revision", "missing.json")).code, 2);
  });
});
