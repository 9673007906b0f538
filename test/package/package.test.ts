// The package as its users get it: packed, installed into empty folders, and used there with each version of Node it is for.
import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { before, suite, test } from "node:test";
import { startSidecarProcess } from "../harness/sidecar-process.ts";
import { folder, npm, pack, ROOT, run, skip } from "./packing.ts";

const VERSIONS = [22, 24, 26];

const consumer = (version: number): string => join(folder, `node-${version}`);

/** Runs a program with the Node of a consumer, which is first on the path there as under npm's scripts. */
const runIn = (version: number, command: string, ...args: readonly string[]): Promise<string> =>
  run(
    consumer(version),
    join(consumer(version), "node_modules/.bin", command),
    args,
    `${join(consumer(version), "node_modules/.bin")}${delimiter}${process.env["PATH"]}`,
  );

/** One call that fails once and is retried; the same in both kinds of modules but for how premesh gets there. */
const program = (load: string): string => `${load}
const server = createServer((request, response) => {
  response.statusCode = ++server.calls === 1 ? 503 : 200;
  response.end("hello " + server.calls);
});
server.calls = 0;
server.listen(0, "127.0.0.1", async () => {
  const policy = definePolicy({ name: "all", match: [{ host: "*" }], layers: [timeout("10s"), retry({ backoff: { base: "1ms" } })] });
  const client = createClient({ policies: [policy] });
  const response = await client.fetch("http://127.0.0.1:" + server.address().port);
  console.log(JSON.stringify([response.status, await response.text(), client.explain(response).attempts, process.versions.node]));
  await client.close();
  server.close();
  server.closeAllConnections();
});
`;

const files: Readonly<Record<string, string>> = {
  "call.mjs": program('import { createServer } from "node:http";\nimport { createClient, definePolicy, retry, timeout } from "premesh";'),
  "call.cjs": program(
    'const { createServer } = require("node:http");\nconst { createClient, definePolicy, retry, timeout } = require("premesh");',
  ),
  "loaded.mjs": `import { registerHooks } from "node:module";
const loaded = [];
registerHooks({ load: (url, context, next) => { loaded.push(url); return next(url, context); } });
const { definePolicy, parsePolicies } = await import("premesh");
const byImport = loaded.splice(0);
definePolicy({ name: "a", layers: [] });
const byDefinition = loaded.splice(0);
parsePolicies("name: a\\nlayers: []");
const byText = loaded.splice(0);
try { definePolicy({ name: "a" }); } catch {}
console.log(JSON.stringify({ byImport, byDefinition, byText, byMistake: loaded }));
`,
  "register.mjs": `import { createServer } from "node:http";
import { client } from "premesh/register";
let calls = 0;
const server = createServer((request, response) => response.writeHead(++calls === 1 ? 503 : 200).end()).listen(0, "127.0.0.1", async () => {
  const response = await fetch("http://127.0.0.1:" + server.address().port);
  console.log(response.status, client.explain(response).attempts);
  server.close();
  server.closeAllConnections();
});
`,
  "register.env": "PREMESH_POLICIES=policies.yaml,all.mts\n",
  "all.mts":
    'import { definePolicy, retry } from "premesh";\nexport const all = definePolicy({ name: "all", match: [{ host: "*" }], layers: [retry()] });\n',
  "schema.cjs": 'console.log(require("premesh/policy.schema.json").title, require("premesh/package.json").name);',
  "policies.yaml": "name: payments\nlayers:\n  - { kind: timeout, after: 2s }\n  - kind: retry\n",
  "policies.mts":
    'import { definePolicy, standard, type Policy } from "premesh";\nexport const search: Policy = definePolicy({ name: "search", layers: standard() });\n',
  "types.mts": `import { client as registered } from "premesh/register";
import { createClient, definePolicy, PolicyError, retry, type Client, type Policy, type RetryDefinition } from "premesh";
const policy: Policy = definePolicy({ name: "a", layers: [retry({ attempts: 2 })] });
const layer: RetryDefinition = retry();
const client: Client = createClient({ policies: [policy] });
const response: Response = await client.fetch("http://127.0.0.1/", { premesh: { idempotent: true } });
const rows: number = await client.run("a", ({ signal }) => (signal.aborted ? 0 : 1));
const around: Client = registered;
export const all: unknown[] = [around, layer, response.status, rows, new PolicyError("ERR_PREMESH_TIMEOUT", "")];
// @ts-expect-error -- no such field
retry({ atempts: 2 });
// @ts-expect-error -- not a duration
retry({ backoff: { base: "2 seconds" } });
`,
  "types.cts": `import premesh = require("premesh");
const policy: premesh.Policy = premesh.definePolicy({ name: "a", layers: [premesh.timeout("1s")] });
export const client: premesh.Client = premesh.createClient({ policies: [policy] });
// @ts-expect-error -- not a duration
premesh.timeout(5);
`,
};

async function install(tarball: string, version: number): Promise<void> {
  const here = consumer(version);
  mkdirSync(here);
  writeFileSync(join(here, "package.json"), JSON.stringify({ private: true, allowScripts: { node: true } }));
  await npm(here, "install", tarball, `node@${version}`, "@types/node@24");
  for (const [name, text] of Object.entries(files)) writeFileSync(join(here, name), text);
}

suite("the packed package", { skip, timeout: 300_000 }, () => {
  let packed: string[] = [];

  before(async () => {
    const tarball = await pack();
    packed = (await run(folder, "tar", ["-tzf", tarball])).trim().split("\n");
    await Promise.all(VERSIONS.map((version) => install(tarball, version)));
  });

  test("holds what is needed and nothing else", () => {
    for (const name of [
      "README.md",
      "LICENSE",
      "CHANGELOG.md",
      "dist/index.js",
      "dist/index.d.ts",
      "dist/cli/main.js",
      "dist/premesh-sidecar.js",
      "dist/premesh-sidecar.LICENSES.txt",
      "dist/register.js",
      "dist/register.d.ts",
      "src/policy/policy.schema.json",
    ]) {
      assert.ok(packed.includes(`package/${name}`), name);
    }
    assert.deepEqual(
      packed.filter(
        (name) =>
          !/^package\/(?:(?:README|CHANGELOG)\.md|LICENSE|package\.json|dist\/.+\.(?:js|d\.ts)(?:\.map)?|dist\/premesh-sidecar\.LICENSES\.txt|src\/.+\.ts|src\/policy\/policy\.schema\.json)$/.test(
            name,
          ),
      ),
      [],
    );
  });

  for (const version of VERSIONS) {
    for (const [kind, file] of [
      ["import", "call.mjs"],
      ["require", "call.cjs"],
    ] as const) {
      test(`retries a real call under Node ${version}, got by ${kind}`, async () => {
        const [status, body, attempts, node] = JSON.parse(await runIn(version, "node", file)) as unknown[]; // the cast: what the program prints
        assert.deepEqual([status, body, attempts], [200, "hello 2", 2]);
        assert.match(String(node), new RegExp(`^${version}\\.`));
      });
    }

    test(`runs the shim under Node ${version}, with a module of policies`, async (t) => {
      const command = [
        join(consumer(version), "node_modules/.bin/node"),
        join(consumer(version), "node_modules/premesh/dist/cli/main.js"),
        "sidecar",
      ];
      const shim = await startSidecarProcess(t, [join(consumer(version), "all.mts"), "--access-log", "off"], { command });
      assert.match(shim.log.at(-1)?.message ?? "", /^ready, 1 policy in force$/);
      shim.child.kill("SIGTERM");
      assert.equal(await shim.ended, 0);
    });

    test(`loads no zod, yaml or command line by import under Node ${version}, but when they are needed`, async () => {
      const loaded = JSON.parse(await runIn(version, "node", "loaded.mjs")) as Record<string, string[]>; // the cast: as above
      const { byImport, byDefinition, byText, byMistake } = loaded;
      const holds = (urls: readonly string[] | undefined, part: string): boolean => urls?.some((url) => url.includes(part)) === true;
      assert.ok(holds(byImport, "/premesh/dist/index.js"));
      for (const part of ["/zod/", "/yaml/", "/bottleneck/", "/ioredis/", "/dist/stores/", "/dist/cli/", "/dist/testing/"])
        assert.ok(!holds(byImport, part), part);
      for (const part of ["/zod/", "/yaml/"]) assert.ok(!holds(byDefinition, part), part);
      assert.ok(holds(byText, "/yaml/"));
      assert.ok(!holds(byText, "/zod/"));
      assert.ok(holds(byMistake, "/zod/"));
    });

    test(`puts policies around the global fetch by --import under Node ${version}`, async () => {
      assert.equal(await runIn(version, "node", "--env-file=register.env", "--import", "premesh/register", "register.mjs"), "200 2\n");
    });

    test(`has a command that runs under Node ${version}`, async () => {
      assert.match(await runIn(version, "premesh", "--version"), /^\d+\.\d+\.\d+\n$/);
      assert.equal(
        await runIn(version, "premesh", "check", "policies.yaml", "policies.mts"),
        "policies.yaml: ok, 1 policy\npolicies.mts: ok, 1 policy\n",
      );
    });

    test(`gives out its JSON Schema and manifest under Node ${version}`, async () => {
      assert.equal(await runIn(version, "node", "schema.cjs"), "premesh policies premesh\n");
    });
  }

  const tsc = join(ROOT, "node_modules/typescript/bin/tsc");
  const strict = ["--noEmit", "--strict", "--skipLibCheck", "false", "--target", "es2024", "--types", "node"];
  for (const [what, flags] of [
    ["module nodenext, from .mts and .cts", ["--module", "nodenext", "types.mts", "types.cts"]],
    ["moduleResolution bundler", ["--module", "esnext", "--moduleResolution", "bundler", "types.mts"]],
    ["the strictest optional fields", ["--module", "nodenext", "--exactOptionalPropertyTypes", "types.mts"]],
  ] as const) {
    test(`has types that resolve under ${what}`, async () => {
      await run(consumer(24), process.execPath, [tsc, "--ignoreConfig", ...strict, ...flags]);
    });
  }
});
