// Reading files of policies, above all bad ones: each has a clear message with its code, and its line where the format has one.
import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, suite, test } from "node:test";
import type { PolicyIssue } from "../../src/index.ts";
import type { PolicyFile } from "../../src/policy-files/file.ts";
import { readPolicyFile } from "../../src/policy-files/read.ts";
import { eventually } from "../harness/wire.ts";

const PREMESH = new URL("../../src/index.ts", import.meta.url).href;

const folder = mkdtempSync(join(tmpdir(), "premesh-files-"));
after(() => rmSync(folder, { recursive: true, force: true }));

function file(name: string, content: string | Uint8Array): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

function issuesOf(read: PolicyFile): readonly PolicyIssue[] {
  assert.equal(read.kind, "problems");
  return read.issues;
}

async function only(path: string, options: Parameters<typeof readPolicyFile>[1] = {}): Promise<PolicyIssue> {
  const issues = issuesOf(await readPolicyFile(path, options));
  assert.equal(issues.length, 1, JSON.stringify(issues));
  return issues[0] as PolicyIssue; // the cast: there is one
}

const place = ({ line, column }: PolicyIssue): string => `${line}:${column}`;

const good = { name: "good", layers: [{ kind: "timeout", after: "2s" }, { kind: "retry" }] };

suite("a file that gives nothing to check", () => {
  test("is missing, or below a file", async () => {
    for (const path of [join(folder, "missing.json"), join(file("plain.json", "{}"), "below.json")]) {
      const issue = await only(path);
      assert.equal(issue.code, "PM0101");
      assert.equal(issue.message, "cannot be opened: there is no such file");
    }
  });

  test("is a directory, even one that is called like a file", async () => {
    mkdirSync(join(folder, "folder.yaml"));
    for (const path of [folder, join(folder, "folder.yaml")]) assert.equal((await only(path)).code, "PM0102");
  });

  test("is a device", async () => {
    assert.equal((await only("/dev/null")).code, "PM0102");
  });

  test("is of another kind", async () => {
    const issue = await only(file("policies.toml", ""));
    assert.equal(issue.code, "PM0103");
    assert.match(issue.hint ?? "", /\.json, \.yaml, \.yml, \.ts, \.mts, \.js, \.mjs/);
    assert.match((await only(file("policies", ""))).message, /a file without extension/);
  });

  for (const name of ["huge.json", "huge.yaml", "huge.ts"]) {
    test(`is 50 MB long (${name}), and is not read`, async () => {
      const path = file(name, "");
      truncateSync(path, 50 * 1024 * 1024);
      const issue = await only(path);
      assert.equal(issue.code, "PM0104");
      assert.equal(issue.message, "is 50 MiB long, and at most 8 MiB are read");
    });
  }

  test("is no text: random bytes, UTF-16, zeros", async () => {
    const garbage = Uint8Array.from({ length: 4_096 }, (_, index) => (index * 7_919) % 251);
    for (const bytes of [garbage, Buffer.from("\uFEFFname: p\nlayers: []\n", "utf16le"), new Uint8Array(100)])
      assert.equal((await only(file("bytes.yaml", bytes))).code, "PM0105");
  });
});

suite("a text", () => {
  test("may begin with a byte order mark", async () => {
    for (const [name, text] of [
      ["bom.json", `\uFEFF${JSON.stringify(good)}`],
      ["bom.yaml", "\uFEFFname: good\nlayers: []\n"],
    ] as const) {
      const read = await readPolicyFile(file(name, text));
      assert.equal(read.kind, "policies");
      assert.equal(read.policies[0]?.name, "good");
    }
  });

  test("names the line and column of a value that is wrong, of the key of an unknown field, and of what lacks something: YAML", async () => {
    const text = `# a comment\npolicies:\n  - name: payments\n    layers:\n      - kind: retry\n        attempts: -3\n        bakoff: {}\n      - kind: rateLimit\n        rate: 5\n`;
    const found = issuesOf(await readPolicyFile(file("wrong.yaml", text)));
    assert.deepEqual(
      found.map((issue) => `${place(issue)} ${issue.code} ${issue.policy} ${issue.path}`),
      [
        "6:19 PM0204 payments policies[0].layers[0].attempts",
        "7:9 PM0201 payments policies[0].layers[0].bakoff",
        "8:9 PM0202 payments policies[0].layers[1].per",
      ],
    );
  });

  test("and JSON, with escaped keys, windows line ends and all", async () => {
    const text = `{\r\n  "name": "pay\\"ments",\r\n  "layers": [\r\n    { "kind": "retry", "\\u0061ttempts": -3, "backoff": { "base": [1, {"a": "}"}] } },\r\n    5\r\n  ]\r\n}`;
    const found = issuesOf(await readPolicyFile(file("wrong.json", text)));
    assert.deepEqual(
      found.map((issue) => `${place(issue)} ${issue.code} ${issue.path}`),
      ["2:11 PM0205 name", "4:41 PM0204 layers[0].attempts", "4:66 PM0203 layers[0].backoff.base", "5:5 PM0203 layers[1]"],
    );
  });

  test("follows an alias to the line of what it stands for", async () => {
    const text = "- name: a\n  layers: &l\n    - kind: retri\n- name: b\n  layers: *l\n";
    const found = issuesOf(await readPolicyFile(file("alias.yaml", text)));
    assert.deepEqual(found.map(place), ["3:13", "3:13"]);
  });

  const broken: Readonly<Record<string, readonly [name: string, text: string, code: string, place: string]>> = {
    "a key twice in JSON": ["twice.json", '{\n "name": "a",\n "layers": [],\n "name": "b"\n}', "PM0107", "4:2"],
    "a key twice in JSON, one of them escaped": ["twice.json", '{"name":"a","layers":[],"\\u006eame":"b"}', "PM0107", "1:25"],
    "a key twice, deep in JSON": [
      "twice.json",
      '{"name":"a","layers":[{"kind":"retry"},{"kind":"retry","kind":"trace"}]}',
      "PM0107",
      "1:56",
    ],
    "a key twice in YAML": ["twice.yaml", "name: a\nlayers: []\nname: b\n", "PM0107", "3:1"],
    "several documents": ["documents.yaml", "name: a\nlayers: []\n---\nname: b\nlayers: []\n", "PM0108", "3:1"],
    "a tag that nobody knows": ["tag.yaml", "name: a\nlayers: !policy []\n", "PM0110", "2:9"],
    "text that is neither": ["neither.json", '{"name": "a", "layers": [}', "PM0106", "1:26"],
    "NaN, which is a word in JSON": ["nan.json", '{"name": "a", "layers": [{"kind": "retry", "attempts": NaN}]}', "PM0203", "1:56"],
    "no number": ["nan.yaml", "name: a\nlayers:\n  - { kind: retry, attempts: .nan }\n", "PM0204", "3:30"],
    infinity: ["inf.yaml", "name: a\nlayers:\n  - { kind: retry, attempts: .inf }\n", "PM0204", "3:30"],
    "a number too large for JSON": ["inf.json", '{"name":"a","layers":[{"kind":"retry","attempts":1e999}]}', "PM0204", "1:50"],
    "a key of a prototype": ["proto.json", '{"name":"a","layers":[{"kind":"retry","__proto__":{"attempts":9}}]}', "PM0201", "1:39"],
    "a key of a prototype in YAML": ["proto.yaml", "name: a\nlayers:\n  - kind: retry\n    __proto__: { attempts: 9 }\n", "PM0201", "4:5"],
    "an alias of itself": [
      "self.yaml",
      "name: a\nlayers:\n  - kind: fallback\n    response: &r { status: 200, body: *r }\n",
      "PM0111",
      "4:39",
    ],
    "a field beside policies": ["beside.yaml", "policies: []\nversion: 2\n", "PM0201", "2:1"],
    "policies that are no list": ["nolist.yaml", "policies:\n  name: a\n", "PM0203", "2:3"],
  };
  for (const [what, [name, text, code, at]] of Object.entries(broken)) {
    test(`names the line of ${what}`, async () => {
      const issue = await only(file(name, text));
      assert.equal(issue.code, code, JSON.stringify(issue));
      assert.equal(place(issue), at);
    });
  }

  test("grows by aliases of aliases to no effect", async () => {
    const lines = ["a: &a [x,x,x,x,x,x,x,x,x]"];
    for (const [index, name] of "bcdefghi".split("").entries()) lines.push(`${name}: &${name} [${`*${"abcdefgh"[index]},`.repeat(9)}]`);
    assert.equal((await only(file("laughs.yaml", lines.join("\n")))).code, "PM0109");
  });

  for (const [name, text] of [
    ["deep.json", "[".repeat(100_000) + "]".repeat(100_000)],
    ["unclosed.json", "[".repeat(100_000)],
    ["maps.yaml", "{a: ".repeat(100_000)],
    ["lists.yaml", "- ".repeat(100_000)],
    [
      "body.json",
      `{"name":"p","layers":[{"kind":"fallback","response":{"status":200,"body":${"[".repeat(100_000)}${"]".repeat(100_000)}}}]}`,
    ],
  ] as const) {
    test(`nests 100,000 times (${name}), and overflows nothing`, async () => {
      assert.ok(["PM0106", "PM0111"].includes((await only(file(name, text))).code));
    });
  }

  test("holds no policy", async () => {
    for (const [name, text] of [
      ["none.json", "[]"],
      ["none.yaml", "policies: []\n"],
    ] as const)
      assert.equal((await only(file(name, text))).code, "PM0112");
  });

  test("is empty, or holds something else", async () => {
    for (const text of ["", "# nothing yet\n"]) assert.equal((await only(file("empty.yaml", text))).code, "PM0112");
    for (const text of ["just words\n", "5"]) assert.equal((await only(file("other.yaml", text))).code, "PM0203");
  });
});

for (const apart of [false, true]) {
  describe(`a module, read ${apart ? "in a process of its own" : "in this one"}`, () => {
    const options = { apart };

    test("gives its policies, by the path of their exports, once", async () => {
      const text = `import { definePolicy, retry, type Policy } from "${PREMESH}";
        export const one: Policy = definePolicy({ name: "one", layers: [retry()] });
        export const limit: number = 3;
        export default { policies: [one, { name: "two", layers: [] }] };`;
      const read = await readPolicyFile(file(`good-${apart}.ts`, text), options);
      assert.equal(read.kind, "policies");
      assert.deepEqual(
        read.policies.map(({ name }, index) => `${name} ${read.paths[index]}`),
        ["one default.policies[0]", "two default.policies[1]"],
      );
    });

    const modules: Readonly<Record<string, readonly [name: string, text: string, code: string, message: RegExp, place?: string]>> = {
      "that throws": [
        "throws.mjs",
        'const x = 1;\n  throw new Error("out of order");',
        "PM0121",
        /^throws while it loads: out of order$/,
        "2:9",
      ],
      "that throws far below": [
        "below.mjs",
        "const f = () => new URL(\n  'no url');\nexport default f();",
        "PM0121",
        /^throws while it loads: Invalid URL$/,
        "1:17",
      ],
      "that throws what is no error": [
        "null.mjs",
        "throw Object.create(null);",
        "PM0121",
        /^throws while it loads: \[Object: null prototype\] \{\}$/,
      ],
      "with a syntax error": [
        "syntax.mjs",
        "export const a = 1;\nexport const = 1;",
        "PM0124",
        /^has a syntax error: Unexpected token/,
        "2:14",
      ],
      "with a syntax error in TypeScript": ["syntax.ts", "export const a: = 1;", "PM0124", /^has a syntax error: /, "1:17"],
      "with an enum": [
        "enum.ts",
        "const a = 1;\nenum Kind { A }",
        "PM0125",
        /^needs TypeScript that Node does not run: TypeScript enum is not supported/,
        "2:1",
      ],
      "with a package that is not there": [
        "lost.mjs",
        'import "no-such-package-at-all";',
        "PM0126",
        /Cannot find package 'no-such-package-at-all'/,
      ],
      "with a file that is not there": ["lost.ts", 'import "./no-such-file.ts";', "PM0126", /Cannot find module .*no-such-file\.ts/],
      "with a name that is not there": [
        "name.mjs",
        `import { retri } from "${PREMESH}"; export default retri;`,
        "PM0126",
        /does not provide an export named 'retri'/,
      ],
      "that exports nothing": ["nothing.mjs", "const policies = [];", "PM0112", /^holds no policy$/],
      "that exports other things": ["other.mjs", "export const limit = 3;", "PM0112", /^holds no policy$/],
      "that exports a function": [
        "function.mjs",
        "export default () => [];",
        "PM0203",
        /^must be a policy: an object with name and layers; got a function$/,
      ],
    };
    for (const [what, [name, text, code, message, at]] of Object.entries(modules)) {
      test(`${what} says so`, async () => {
        const issue = await only(file(`${apart}-${name}`, text), options);
        assert.equal(issue.code, code, JSON.stringify(issue));
        assert.match(issue.message, message);
        if (at !== undefined) assert.equal(place(issue), at);
      });
    }

    test("that throws in a file it imports names that file", async () => {
      file(`${apart}-inner.mjs`, 'throw new Error("inner");');
      const issue = await only(file(`${apart}-outer.mjs`, `import "./${apart}-inner.mjs";`), options);
      assert.match(issue.message, new RegExp(`^throws while it loads: inner, at .*${apart}-inner\\.mjs:1:7$`));
      assert.equal(issue.line, undefined);
    });

    test("that does not get past definePolicy names the line of the call", async () => {
      const text = `import { definePolicy } from "${PREMESH}";\nexport const a =\n  definePolicy({ name: "a", layers: [{ kind: "retri" }] });`;
      const issue = await only(file(`${apart}-define.mjs`, text), options);
      assert.deepEqual([issue.code, issue.path, issue.policy, place(issue)], ["PM0208", "layers[0].kind", "a", "3:3"]);
    });

    test("that never ends to load is given up after a time", async () => {
      const text =
        "setInterval(() => {}, 1_000).unref?.(); const keep = setInterval(() => {}, 1_000); setTimeout(() => clearInterval(keep), 2_000); await new Promise(() => {});";
      const issue = await only(file(`${apart}-slow.mjs`, text), { apart, patienceMs: 50 });
      assert.equal(issue.code, "PM0122");
      assert.equal(issue.message, "has not finished loading within 0.05 s");
    });
  });
}

test("a module in this thread that ends the process does not do so in silence, nor as if all were well", async () => {
  const script = file(
    "reader.mjs",
    `import { readPolicyFile } from "${new URL("../../src/policy-files/read.ts", import.meta.url).href}"; await readPolicyFile(process.argv[2]);`,
  );
  const ended = await new Promise((done) => {
    execFile(process.execPath, [script, file("ends.mjs", "process.exit(0);")], (error, out, err) =>
      done([error?.code, out, err.replace(`${folder}/`, "")]),
    );
  });
  assert.deepEqual(ended, [2, "", "ends.mjs: error PM0123: ends the process while it loads\n"]);
});

const isThere = (pid: number): boolean => {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
};

suite("a module in a process of its own", () => {
  test("is ended with the process that reads it, even by SIGKILL", async () => {
    const told = join(folder, "pid");
    const text = `import { writeFileSync } from "node:fs"; writeFileSync(${JSON.stringify(told)}, String(process.pid)); await new Promise((done) => setTimeout(done, 60_000));`;
    const read = new URL("../../src/policy-files/read.ts", import.meta.url).href;
    const code = `import { readPolicyFile } from "${read}"; await readPolicyFile(${JSON.stringify(file("orphan.mjs", text))}, { apart: true });`;
    const reading = spawn(process.execPath, [file("reads.mjs", code)]);
    await eventually(() => existsSync(told) && readFileSync(told, "utf8") !== "");
    reading.kill("SIGKILL");
    const pid = Number(readFileSync(told, "utf8"));
    await eventually(() => !isThere(pid));
  });

  test("is known at once when it awaits what never comes", async () => {
    const issue = await only(file("await.mjs", "await new Promise(() => {}); export default [];"), { apart: true });
    assert.deepEqual([issue.code, issue.message], ["PM0122", "awaits something that never comes"]);
  });

  test("is given up when it never ends a loop", async () => {
    const issue = await only(file("loop.mjs", "for (;;);"), { apart: true, patienceMs: 300 });
    assert.equal(issue.code, "PM0122");
  });

  test("is ended when it takes too much memory", async () => {
    const issue = await only(file("memory.mjs", "const all = []; for (;;) all.push(new Array(10_000).fill(all.length));"), {
      apart: true,
      memoryMiB: 32,
    });
    assert.equal(issue.code, "PM0121");
    assert.match(issue.message, /memory/);
  });

  test("does not end the process", async () => {
    for (const status of [0, 3]) {
      const issue = await only(file(`exit-${status}.mjs`, `process.exit(${status});`), { apart: true });
      assert.deepEqual([issue.code, issue.message], ["PM0123", `ends the process while it loads, with status ${status}`]);
    }
  });

  test("does not take the process with it by an error that nobody catches", async () => {
    const late = 'setTimeout(() => { throw new Error("late"); }, 1); await new Promise((done) => setTimeout(done, 5_000));';
    assert.match((await only(file("late.mjs", late), { apart: true })).message, /^throws while it loads: late/);
    const rejected = 'Promise.reject(new Error("lost")); await new Promise((done) => setTimeout(done, 5_000));';
    assert.match((await only(file("rejected.mjs", rejected), { apart: true })).message, /^throws while it loads: lost/);
  });

  test("is refused for a promise that it leaves rejected, since that ends the program that imports it", async () => {
    const text = `Promise.reject(new Error("lost")); export default ${JSON.stringify(good)};`;
    assert.match((await only(file("left.mjs", text), { apart: true })).message, /^throws while it loads: lost/);
  });
});
