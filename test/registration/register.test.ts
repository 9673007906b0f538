// premesh/register as its users have it: real processes, started with --import, that call a real server.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import test, { after, describe } from "node:test";
import { fileURLToPath, pathToFileURL } from "node:url";
import { fencesOf } from "../docs/markdown.ts";

const REGISTER = new URL("../../src/register.ts", import.meta.url).href;
const INDEX = new URL("../../src/index.ts", import.meta.url).href;

// Below the repo, so that the apps find its packages; not below node_modules, where Node strips no types.
const cache = fileURLToPath(new URL("../../.cache", import.meta.url));
mkdirSync(cache, { recursive: true });
const folder = mkdtempSync(join(cache, "register-"));
after(() => rmSync(folder, { recursive: true, force: true }));

/** Fails twice for each path, and then answers with how often it was asked. */
const asked = new Map<string, number>();
const server = createServer((request, response) => {
  const path = request.url ?? "";
  const times = (asked.get(path) ?? 0) + 1;
  asked.set(path, times);
  response.writeHead(times < 3 ? 503 : 200, { "content-type": "application/json" }).end(JSON.stringify({ times }));
});
await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
server.unref();
const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`; // the cast: it listens on a port
after(() => {
  server.closeAllConnections();
  server.close();
});

const file = (name: string, text: string): string => {
  writeFileSync(join(folder, name), text);
  return name;
};

const policies = file("policies.yaml", "name: all\nmatch: [{ host: '*' }]\nlayers: [{ kind: retry, backoff: { base: 1ms } }]\n");

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

interface Start {
  /** Default: one good file. */
  readonly policies?: string | undefined;
  readonly env?: Readonly<Record<string, string>>;
  readonly args?: readonly string[];
  readonly cwd?: string;
}

const imported = ["--import", REGISTER];

/** Runs an app, whose text is given, as a process; the app has `url` as its first argument. */
function run(name: string, text: string, { args = imported, cwd = folder, env = {}, ...start }: Start = {}): Promise<Ended> {
  const app = join(folder, file(name, text));
  const { PREMESH_POLICIES: _, NODE_OPTIONS: __, ...clean } = process.env;
  const listed = "policies" in start ? start.policies : policies;
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [...args, app, url], {
      cwd,
      env: { ...clean, ...(listed === undefined ? {} : { PREMESH_POLICIES: listed }), ...env },
    });
    let stdout = "";
    let stderr = "";
    child.stdout.setEncoding("utf8").on("data", (part: string) => (stdout += part));
    child.stderr.setEncoding("utf8").on("data", (part: string) => (stderr += part));
    child.once("error", reject).once("close", (code) => resolve({ code, stdout, stderr }));
  });
}

/** The app ran, said this, and nothing went to stderr. */
const ran = (stdout: string): Ended => ({ code: 0, stdout: `${stdout}\n`, stderr: "" });

describe("the global fetch has the policies", { concurrency: 2 }, () => {
  test("in an ES module, which can ask the client about it", async () => {
    const app = `import { client } from ${JSON.stringify(REGISTER)};
const response = await fetch(process.argv[2] + "/esm");
console.log(response.status, client.explain(response).attempts, Object.keys(client.status().policies).join(), fetch === client.fetch, fetch.name, fetch.length);`;
    assert.deepEqual(await run("esm.mjs", app), ran("200 3 all true fetch 1"));
  });

  test("in a CommonJS app, which imports the client when it needs it", async () => {
    const app = `const { url } = { url: process.argv[2] + "/cjs" };
fetch(url).then(async (response) => {
  const { client } = await import(${JSON.stringify(REGISTER)});
  console.log(response.status, client.explain(response).attempts);
});`;
    assert.deepEqual(await run("cjs.cjs", app), ran("200 3"));
  });

  const libraries: Readonly<Record<string, string>> = {
    ky: `const { default: ky } = await import("ky");
const answer = (path) => ky(url + path, { retry: 0 }).json();`,
    ofetch: `const { ofetch } = await import("ofetch");
const answer = (path) => ofetch(url + path, { retry: 0 });`,
    "openapi-fetch": `const { default: createClient } = await import("openapi-fetch");
const openapi = createClient({ baseUrl: url });
const answer = async (path) => (await openapi.GET(path)).data;`,
    axios: `const { default: axios } = await import("axios");
const answer = async (path) => (await axios.get(url + path, { adapter: "fetch" })).data;`,
  };
  for (const [name, use] of Object.entries(libraries)) {
    test(`under ${name}`, async () => {
      const app = `const url = process.argv[2];\n${use}\nconsole.log(JSON.stringify(await answer("/${name}")));`;
      assert.deepEqual(await run(`${name}.mjs`, app), ran('{"times":3}'));
    });
  }

  test("in code that had taken fetch before the app began", async () => {
    file("early.mjs", "globalThis.early = (url) => fetch(url);");
    const app = 'console.log((await early(process.argv[2] + "/early")).status);';
    assert.deepEqual(await run("late.mjs", app, { args: ["--import", "./early.mjs", ...imported] }), ran("200"));
  });

  test("in worker threads", async () => {
    const app = `import { isMainThread, Worker } from "node:worker_threads";
if (isMainThread) new Worker(import.meta.filename, { argv: process.argv.slice(2) });
else console.log((await fetch(process.argv[2] + "/thread")).status);`;
    assert.deepEqual(await run("thread.mjs", app), ran("200"));
  });

  test("in child processes by NODE_OPTIONS, wherever they work", async () => {
    const app = `import { spawn } from "node:child_process";
if (process.argv[3] === "child") console.log((await fetch(process.argv[2] + "/child")).status, process.cwd());
else spawn(process.execPath, [import.meta.filename, process.argv[2], "child"], { cwd: "/", stdio: "inherit" });`;
    assert.deepEqual(await run("child.mjs", app, { args: [], env: { NODE_OPTIONS: `--import ${REGISTER}` } }), ran("200 /"));
  });
});

describe("whoever else touches fetch", { concurrency: 2 }, () => {
  test("a later wrapper stands around ours, sees each call once, and nothing goes round in a circle", async () => {
    const app = `const before = globalThis.fetch;
let seen = 0;
globalThis.fetch = (...args) => { seen++; return before(...args); };
const response = await fetch(process.argv[2] + "/wrapped");
const { times } = await response.json();
console.log(response.status, times, seen);`;
    assert.deepEqual(await run("wrapped.mjs", app), ran("200 3 1"));
  });

  test("a later replacement that answers by itself is heard", async () => {
    const app = 'globalThis.fetch = async () => new Response("mocked");\nconsole.log(await (await fetch(process.argv[2])).text());';
    assert.deepEqual(await run("mocked.mjs", app), ran("mocked"));
  });

  test("registered twice, by two copies too, it stands there once", async () => {
    // src/ has a copy of its own modules under another address
    const copy = join(folder, "copy");
    cpSync(fileURLToPath(new URL("../../src", import.meta.url)), copy, { recursive: true });
    const second = pathToFileURL(join(copy, "register.ts")).href;
    const app = `import { client } from ${JSON.stringify(REGISTER)};
import { client as other } from ${JSON.stringify(second)};
console.log((await (await fetch(process.argv[2] + "/twice")).json()).times, client === other, fetch === client.fetch);`;
    const args = [...imported, ...imported, "--import", second];
    assert.deepEqual(await run("twice.mjs", app, { args, env: { NODE_OPTIONS: `--import ${REGISTER}` } }), ran("3 true true"));
  });

  test("a client of the app's own goes past the registered policies", async () => {
    const app = `import { createClient, definePolicy, retry } from ${JSON.stringify(INDEX)};
const own = createClient({ policies: [definePolicy({ name: "own", match: [{ host: "*" }], layers: [retry({ attempts: 2, backoff: { base: "1ms" } })] })] });
const response = await own.fetch(process.argv[2] + "/own");
console.log(response.status, own.explain(response).policy, own.explain(response).attempts);`;
    assert.deepEqual(await run("own.mjs", app), ran("503 own 2"));
  });
});

describe("files", { concurrency: 2 }, () => {
  const app = `import { client } from ${JSON.stringify(REGISTER)};\nconsole.log(Object.keys(client.status().policies).join());`;

  test("of every kind may stand side by side, with blanks between, and one twice", async () => {
    file("a.json", '[{ "name": "a", "layers": [] }]');
    file(
      "b.ts",
      `import { definePolicy, type Policy } from ${JSON.stringify(INDEX)};\nexport const b: Policy = definePolicy({ name: "b", layers: [] });`,
    );
    file("c.mjs", `export { b } from "./b.ts";\nexport default { name: "c", layers: [] };`);
    assert.deepEqual(await run("kinds.mjs", app, { policies: ` ${policies}, a.json,b.ts,c.mjs,${policies},` }), ran("all,a,b,c"));
  });

  test("a module may adopt what lives in the process", async () => {
    file(
      "adopting.ts",
      `import Bottleneck from "bottleneck";
import { adopt, definePolicy } from ${JSON.stringify(INDEX)};
export const limiter = new Bottleneck({ maxConcurrent: 1 });
export const policy = definePolicy({ name: "limited", match: [{ host: "*" }], layers: [adopt(limiter)] });`,
    );
    const adopting = `import { limiter } from "./adopting.ts";
limiter.on("executing", () => console.log("bottleneck runs it"));
await (await fetch(process.argv[2] + "/adopted")).text();`;
    assert.deepEqual(await run("adopt.mjs", adopting, { policies: "adopting.ts" }), ran("bottleneck runs it"));
  });
});

describe("what is wrong is said, and the app does not begin", { concurrency: 2 }, () => {
  const app = 'console.log("the app runs", (await fetch(process.argv[2] + "/down")).status);';
  const wrong: Readonly<Record<string, readonly [policies: string | undefined, says: RegExp]>> = {
    "no PREMESH_POLICIES": [undefined, /^premesh: premesh\/register needs PREMESH_POLICIES: a file of policies/],
    "nothing in it": [" ,", /^premesh: premesh\/register needs PREMESH_POLICIES/],
    "a file that is not there": ["none.yaml", /^premesh: \S+none\.yaml: cannot be opened: there is no such file \[PM0101\]$/m],
    "a misspelt field": [
      file("misspelt.yaml", "name: p\nlayers:\n  - kind: retry\n    atempts: 3\n"),
      /^premesh: \S+misspelt\.yaml: line 4, column 5: layers\[0\]\.atempts: is not a known field \(did you mean "attempts"\?\) \[PM0201\]$/m,
    ],
    "a module that throws": [file("throws.mjs", 'throw new Error("no config server");'), /throws\.mjs: .*no config server/],
    "an adopted instance in a file": [
      file("adopted.yaml", "name: p\nlayers:\n  - kind: adopt\n    engine: opossum\n"),
      /layers\[0\]: has no live instance: what is adopted exists only in the process that made it/,
    ],
    "one name in two files": [
      `${policies},${file("again.yaml", "- name: all\n  layers: []\n")}`,
      /again\.yaml: \[0\]\.name: there are two policies with the name "all"/,
    ],
  };
  for (const [name, [list, says]] of Object.entries(wrong)) {
    test(name, async () => {
      const { code, stdout, stderr } = await run("wrong.mjs", app, { policies: list });
      assert.match(stderr, says);
      assert.match(
        stderr,
        /\npremesh: the app was not started\. Set this right, or set PREMESH_ON_ERROR=ignore to run it without policies\.\n$/,
      );
      assert.deepEqual([code, stdout], [1, ""]);
    });
  }

  test("every problem of every file at once", async () => {
    const { stderr } = await run("all.mjs", app, { policies: "none.yaml,misspelt.yaml" });
    assert.match(stderr, /none\.yaml[^]*misspelt\.yaml/);
  });

  test("unless PREMESH_ON_ERROR is ignore: one line, and the app runs bare, its threads too", async () => {
    const both = `import { isMainThread, Worker } from "node:worker_threads";
import { client } from ${JSON.stringify(REGISTER)};
const response = await fetch(process.argv[2] + "/bare");
console.log(response.status, client.explain(response), fetch === client.fetch);
if (isMainThread) new Worker(import.meta.filename, { argv: process.argv.slice(2) });`;
    const { code, stdout, stderr } = await run("bare.mjs", both, {
      policies: "none.yaml,misspelt.yaml",
      env: { PREMESH_ON_ERROR: "ignore" },
    });
    assert.match(
      stderr,
      /^premesh: the app runs without policies: \S+none\.yaml: cannot be opened: there is no such file \[PM0101\] \(and 1 more\)\n$/,
    );
    assert.deepEqual([code, stdout], [0, "503 undefined false\n503 undefined false\n"]);
  });

  test("a PREMESH_ON_ERROR that is neither is an error itself", async () => {
    const { code, stderr } = await run("neither.mjs", app, { env: { PREMESH_ON_ERROR: "warn" } });
    assert.match(stderr, /^premesh: PREMESH_ON_ERROR is "warn", and must be exit or ignore$/m);
    assert.equal(code, 1);
  });

  test("a thread that cannot register ends with an error of its own, and says why", async () => {
    const sick = `import { isMainThread, Worker } from "node:worker_threads";
if (isMainThread) {
  const worker = new Worker(import.meta.filename, { env: { PREMESH_POLICIES: "none.yaml" } });
  worker.once("exit", (code) => console.log("the thread has ended with", code));
} else console.log("the thread runs");`;
    const { stdout, stderr } = await run("sick-thread.mjs", sick);
    assert.equal(stdout, "the thread has ended with 1\n");
    assert.match(stderr, /none\.yaml: cannot be opened/);
  });
});

test("the policies of the reference work", async () => {
  const fence = fencesOf("docs/reference/register.md").find(({ language }) => language === "yaml");
  file("reference.yaml", fence?.text ?? assert.fail("the page has no policies"));
  const app = 'console.log((await fetch(process.argv[2] + "/reference")).status);';
  assert.deepEqual(await run("reference.mjs", app, { policies: "reference.yaml" }), ran("200"));
});
