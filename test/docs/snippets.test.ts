// Every snippet of the documentation works: ts is type-checked and run, yaml and json are read as policies, @example blocks are type-checked.
//
// A comment on the line above a fence marks it:
//   <!-- with: server -->        `url` is the address of test/docs/preludes/server.ts
//   <!-- with: grpc -->          `address` is that of test/docs/preludes/grpc.ts, `PaymentsClient` a client for it, `PaymentsService` its definition
//   <!-- with: connect -->       `baseUrl` is that of test/docs/preludes/connect.ts, `PaymentsService` what a code generator gives for it
//   <!-- continues -->           goes on where the ts snippet before it has ended
//   <!-- file: policies.yaml --> is written to that file, beside the document's other snippets; a ts file is run only where another imports it
//   <!-- scenario -->            is a scenario of premesh/testing, not a policy
//   <!-- prints -->              on a text fence: what the ts snippet before it prints
//   <!-- endpoints -->           is a file of endpoints for route
//   <!-- gives: PM0203 -->       is wrong or questionable, and test/docs/problems.test.ts holds that it has this problem
//   <!-- warns: PM0511 -->       is right and meant so, though premesh check warns of this (test/policy/warnings.test.ts)
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { globSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { dirname, join, relative } from "node:path";
import { after, describe, test } from "node:test";
import * as premesh from "../../src/index.ts";
import { foundInFile } from "../../src/layers/route/discovery/slice.ts";
import { readText } from "../../src/policy/text.ts";
import { parseScenario } from "../../src/testing/index.ts";
import { entries } from "../tools/entries.ts";
import { documents, type Fence, fencesOf, read, root } from "./markdown.ts";

// Not below node_modules: Node strips no types there.
const cache = join(root, ".cache");
mkdirSync(cache, { recursive: true });
const work = mkdtempSync(join(cache, "docs-"));
after(() => rmSync(work, { recursive: true, force: true }));

interface Program {
  readonly name: string;
  readonly file: string;
  text: string;
  prints: string | undefined;
}

const compilerOptions = { rootDir: root, noUnusedLocals: false, noUnusedParameters: false, noPropertyAccessFromIndexSignature: false };

function project(folder: string): string {
  const file = join(folder, "tsconfig.json");
  writeFileSync(file, JSON.stringify({ extends: join(root, "test/tsconfig.json"), compilerOptions, include: ["."] }));
  return file;
}

function ran(
  command: string,
  args: readonly string[],
  cwd: string,
): Promise<{ readonly ok: boolean; readonly output: string; readonly stdout: string }> {
  return new Promise((resolve) => {
    execFile(command, args, { cwd, timeout: 60_000, env: { ...process.env, NODE_OPTIONS: "" } }, (error, stdout, stderr) => {
      resolve({ ok: error === null, output: stdout + stderr + (error?.killed === true ? "\nit did not end" : ""), stdout });
    });
  });
}

/** Type-checks a folder. What is wrong in src is not the snippets' fault, and `npm run check` says it. */
async function typeChecks(folder: string): Promise<void> {
  const { ok, output } = await ran(join(root, "node_modules/.bin/tsc"), ["-p", project(folder)], root);
  if (ok) return;
  assert.match(output, /error TS/);
  const here = output.split("\n").filter((line) => line.startsWith(relative(root, work)));
  assert.deepEqual(here, [], output);
}

/** Packages by the names that they have here: premesh is our source, and of undici there are several. */
const local = (text: string, folder: string): string =>
  text
    .replaceAll(
      /(from|import) "(premesh(?:\/[\w-]+)?)"/g,
      (_all, word: string, entry: string) => `${word} ${JSON.stringify(relative(folder, join(root, "src", entries.get(entry) ?? entry)))}`,
    )
    .replaceAll('from "undici"', 'from "undici8"');

/** What each prelude gives. */
const preludes: Readonly<Record<string, string>> = {
  server: "url",
  grpc: "address, PaymentsClient, PaymentsService",
  connect: "baseUrl, PaymentsService",
};

/** Without what differs from run to run: ports, and how long a call took. */
const settled = (text: string): string =>
  text
    .trim()
    .replaceAll(/127\.0\.0\.1:\d+/g, "127.0.0.1:PORT")
    .replaceAll(/, in [\d.]+ m?s$/gm, ", in SOME ms");

function programsOf(fences: readonly Fence[], folder: string): readonly Program[] {
  const programs: Program[] = [];
  for (const { document, line, language, marks, text } of fences) {
    if (marks.has("gives")) continue;
    const written = marks.get("file");
    if (written !== undefined) writeFileSync(join(folder, written), language === "ts" ? local(text, folder) : text);
    const last = programs.at(-1);
    if (marks.has("prints")) {
      assert.ok(last, `${document}:${line} tells what a snippet prints, but there is none before it`);
      last.prints = `${last.prints ?? ""}${text}\n`;
    }
    if (language !== "ts" || written !== undefined) continue;
    if (marks.has("continues")) {
      assert.ok(last, `${document}:${line} continues a snippet, but there is none before it`);
      last.text += `\n${text}`;
      continue;
    }
    const prelude = marks.get("with");
    const given =
      prelude === undefined
        ? ""
        : `import { ${preludes[prelude]} } from ${JSON.stringify(relative(folder, join(import.meta.dirname, `preludes/${prelude}.ts`)))};\n`;
    programs.push({ name: `${document}:${line}`, file: join(folder, `line-${line}.ts`), text: `${given}${text}`, prints: undefined });
  }
  for (const { file, text } of programs) writeFileSync(file, `${local(text, folder)}\nexport {};\n`);
  return programs;
}

const folders = join(work, "snippets");
const all = documents().map((document) => {
  const folder = join(folders, document.replaceAll("/", "-"));
  mkdirSync(folder, { recursive: true });
  const fences = fencesOf(document);
  return { document, fences, programs: programsOf(fences, folder), folder };
});

test("the documentation has snippets", () => {
  assert.ok(all.some(({ document }) => document.startsWith("docs/")));
  assert.ok(all.flatMap(({ programs }) => programs).length > 20);
});

test("every ts snippet type-checks", async () => {
  await typeChecks(folders);
});

describe("every ts snippet runs", { concurrency: Math.min(4, availableParallelism()) }, () => {
  for (const { programs, folder } of all) {
    for (const { name, file, prints } of programs) {
      test(name, async () => {
        const { ok, output, stdout } = await ran(process.execPath, [file], folder);
        assert.ok(ok, output);
        if (prints !== undefined) assert.equal(settled(stdout), settled(prints));
      });
    }
  }
});

describe("every yaml and json snippet is a set of policies, or what it says it is", () => {
  for (const { document, fences } of all) {
    for (const { line, language, marks, text } of fences) {
      if ((language !== "yaml" && language !== "json") || marks.has("gives")) continue;
      test(`${document}:${line}`, () => {
        if (marks.has("scenario")) parseScenario(text);
        else if (marks.has("endpoints")) assert.ok(foundInFile(readText(text).value, undefined).length > 0);
        else assert.ok(premesh.parsePolicies(text).length > 0);
      });
    }
  }
});

/** What @example blocks take as given, beside the public names. */
const given = `
import type { Client, Clock, Policy } from "INDEX";
declare global {
  const client: Client;
  const payments: Policy;
  const clock: Clock;
  const url: string;
  const body: string;
  const sql: string;
  const query: (sql: string, options: { signal: AbortSignal }) => Promise<unknown[]>;
  const existingBreaker: import("opossum");
  const wait: (ms: number | undefined) => void;
  const readFile: typeof import("node:fs/promises").readFile;
  const credentials: typeof import("@grpc/grpc-js").credentials;
  const Server: typeof import("@grpc/grpc-js").Server;
  const Hono: typeof import("hono").Hono;
  const createServer: typeof import("node:http").createServer;
  const express: typeof import("express");
  const fastify: typeof import("fastify").fastify;
  const guard: import("INBOUND").Inbound;
  const PaymentsClient: typeof import("@grpc/grpc-js").Client;
  const PaymentsDefinition: object;
  const createNiceClient: (definition: object, channel: object) => unknown;
NAMES
}
`;

test("every @example of a docstring type-checks", async () => {
  const folder = join(work, "docstrings");
  const index = relative(folder, join(root, "src/index.ts"));
  mkdirSync(folder);
  let found = 0;
  for (const source of globSync("src/**/*.ts", { cwd: root }).toSorted()) {
    for (const [, block = ""] of read(source).matchAll(/@example\s*\n([^]*?)\*\//g)) {
      const [, example] = /```ts\n([^]*?)```/.exec(block.replaceAll(/^ *\* ?/gm, "")) ?? [];
      assert.ok(example, `${source}: an @example without a ts fence`);
      const file = join(folder, `${source.replaceAll("/", "-").replace(/\.ts$/, "")}-${found++}.ts`);
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, `${example}\nexport {};\n`);
    }
  }
  assert.ok(found > 10);
  const names: string[] = [];
  for (const entry of entries.values()) {
    const file = join(root, "src", entry);
    // read and not imported: to load an entry may do something
    const exported = Array.from(read(`src/${entry}`).matchAll(/^export \{([^}]*)\}/gm), ([, list = ""]) => list.split(",")).flat();
    for (const name of exported.map((one) => one.trim()))
      if (/^\w+$/.test(name) && !given.includes(`const ${name}:`))
        names.push(`  const ${name}: typeof import(${JSON.stringify(relative(folder, file))}).${name};`);
  }
  writeFileSync(
    join(folder, "globals.d.ts"),
    given
      .replace("INDEX", index)
      .replace("INBOUND", relative(folder, join(root, "src/inbound.ts")))
      .replace("NAMES", names.join("\n")),
  );
  await typeChecks(folder);
});
