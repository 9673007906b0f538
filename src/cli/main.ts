#!/usr/bin/env node
// premesh, the command: reads the words after its name and runs one command.
import { columns } from "./command.ts";
import { commands } from "./commands.ts";
import { misused, runCommand, runToEnd } from "./run.ts";
import { version } from "./version.ts";

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
  return runCommand(await load(), args, `premesh ${name}`);
}

await runToEnd(() => run(process.argv.slice(2)));
