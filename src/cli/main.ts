#!/usr/bin/env node
// premesh, the command: reads the words after its name and runs one command.
import { readFileSync } from "node:fs";
import { columns, helpOf, wordsOf } from "./command.ts";
import { commands } from "./commands.ts";

async function help(): Promise<string> {
  const all = await Promise.all(Object.values(commands).map((load) => load()));
  const uses = all.map(({ usage, summary }): readonly [string, string] => [`premesh ${usage}`, summary]);
  uses.push(
    ["premesh <command> --help", "print the options of a command"],
    ["premesh --help", "print this"],
    ["premesh --version", "print the version"],
  );
  return [
    "premesh: resilience policies as data",
    "",
    "Usage:",
    ...columns(uses),
    "",
    "Files are JSON (.json), YAML (.yaml, .yml), or modules (.ts, .mts, .js, .mjs) whose exports are policies.",
    "Exit status: 0 all is well, 1 policies are wrong, 2 wrong usage or a file that cannot be read.",
  ].join("\n");
}

function version(): string {
  const manifest: unknown = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8"));
  return (manifest as { version: string }).version; // the cast: it is our own package.json
}

function misused(problem: string, command = ""): number {
  console.error(`premesh: ${problem}\nRun premesh ${command}--help to see what there is.`);
  return 2;
}

async function run([name, ...args]: readonly string[]): Promise<number> {
  if (name === undefined) return misused("which command?");
  if (name === "--help" || name === "-h") {
    console.log(await help());
    return 0;
  }
  if (name === "--version" || name === "-v") {
    console.log(version());
    return 0;
  }
  const load = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (load === undefined) return misused(`"${name}" is not a command; there are ${Object.keys(commands).join(", ")}`);
  const command = await load();
  const words = wordsOf(command, args);
  if (typeof words === "string") return misused(words, `${name} `);
  if (words.has("help")) {
    console.log(helpOf(command));
    return 0;
  }
  const problem = command.misuse(words);
  return problem === undefined ? command.run(words) : misused(`${problem}: premesh ${command.usage}`, `${name} `);
}

// Whoever reads our output may stop (`premesh explain ... | head -3`): then there is nobody left to write to.
process.stdout.on("error", () => process.exit(2));

const code = await run(process.argv.slice(2));
// What a policy module has left behind (a timer, a socket) must not keep the command alive: it ends once all is written.
process.stdout.write("", () => process.exit(code));
