#!/usr/bin/env node
// premesh, the command: reads the words after its name and runs one command.
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { check } from "./check.ts";
import type { Command } from "./command.ts";
import { revisionCommand } from "./revision.ts";

const commands: ReadonlyMap<string, Command> = new Map([check, revisionCommand].map((command) => [command.name, command]));

function help(): string {
  const uses = [...commands.values()].map(({ usage, summary }): readonly [string, string] => [`premesh ${usage}`, summary]);
  uses.push(["premesh --help", "print this"], ["premesh --version", "print the version"]);
  const width = Math.max(...uses.map(([use]) => use.length));
  return [
    "premesh: resilience policies as data",
    "",
    "Usage:",
    ...uses.map(([use, summary]) => `  ${use.padEnd(width)}  ${summary}`),
    "",
    "Files are JSON (.json), YAML (.yaml, .yml), or modules (.ts, .mts, .js, .mjs) whose exports are policies.",
    "Exit status: 0 all is well, 1 policies are wrong, 2 wrong usage or a file that cannot be read.",
  ].join("\n");
}

function version(): string {
  const manifest: unknown = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8"));
  return (manifest as { version: string }).version; // the cast: it is our own package.json
}

function misused(problem: string): number {
  console.error(`premesh: ${problem}\nRun premesh --help to see what there is.`);
  return 2;
}

async function run(words: readonly string[]): Promise<number> {
  let parsed;
  try {
    parsed = parseArgs({
      args: [...words],
      allowPositionals: true,
      options: { help: { type: "boolean", short: "h" }, version: { type: "boolean", short: "v" } },
    });
  } catch (error) {
    return misused(error instanceof Error ? error.message : String(error));
  }
  const { values, positionals } = parsed;
  if (values.help === true) {
    console.log(help());
    return 0;
  }
  if (values.version === true) {
    console.log(version());
    return 0;
  }
  const [name, ...files] = positionals;
  if (name === undefined) return misused("which command?");
  const command = commands.get(name);
  if (command === undefined) return misused(`"${name}" is not a command; there are ${[...commands.keys()].join(", ")}`);
  const problem = command.misuse(files);
  return problem === undefined ? command.run(files) : misused(`${problem}: premesh ${command.usage}`);
}

const code = await run(process.argv.slice(2));
// A policy module may have left a timer or a socket open, which would keep the command alive: it ends once all is written.
process.stdout.write("", () => process.exit(code));
