// `npm run bench`: runs every bench, each in a process of its own, and prints one table; with `--update` it goes into docs/reference/benchmarks.md. Names run some alone.
import { fork } from "node:child_process";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { styleText } from "node:util";
import type { Row } from "./kit.ts";

interface Result {
  readonly title: string;
  readonly how: string;
  readonly rows: readonly Row[];
}

/** File of each bench, and what its process needs beside `--expose-gc`. */
const benches: readonly (readonly [name: string, ...flags: string[]])[] = [
  ["seven-layers"],
  ["allocation", "--min-semi-space-size=64", "--max-semi-space-size=64"],
  ["fetch"],
  ["grpc"],
  ["inbound"],
  ["telemetry"],
  ["targets"],
  ["rate-limit"],
  ["shared"],
  ["route"],
  ["wire"],
  ["proxy"],
  ["cold-import"],
  ["sidecar"],
];

const args = process.argv.slice(2);
const chosen = args.filter((arg) => !arg.startsWith("--"));
const update = args.includes("--update");

async function measured(name: string, flags: readonly string[]): Promise<Result> {
  const child = fork(new URL("one.ts", import.meta.url), [name], { execArgv: ["--expose-gc", ...flags] });
  const [result] = (await Promise.race([
    once(child, "message"),
    once(child, "exit").then(() => Promise.reject(new Error(`bench ${name} ended without a result`))),
  ])) as [Result]; // the cast: what one.ts sends
  return result;
}

function verdict({ ok }: Row): string {
  return ok === undefined ? "" : ok ? "ok" : "miss";
}

function line(cells: readonly string[]): string {
  const widths = [42, 30, 36, 56];
  return cells.map((cell, index) => cell.padEnd(widths[index] ?? 0)).join(" ");
}

const version = (name: string): string => {
  const text = readFileSync(new URL(`../../node_modules/${name}/package.json`, import.meta.url), "utf8");
  return `${name} ${(JSON.parse(text) as { version: string }).version}`; // the cast: every package has a version
};

const peers = ["cockatiel", "opossum", "bottleneck", "@grpc/grpc-js", "@opentelemetry/api"].map(version).join(", ");
const machine = `Node ${process.versions.node} (undici ${process.versions["undici"] ?? "unknown"}), ${cpus().length} x ${cpus()[0]?.model ?? "unknown CPU"}; ${peers}`;

console.log(`${machine}\nMedians over rounds; in brackets the middle half of them.\n`);
console.log(line(["figure", "measured", "target", "beside"]));
const results: Result[] = [];
for (const [name, ...flags] of benches) {
  if (chosen.length > 0 && !chosen.includes(name)) continue;
  const result = await measured(name, flags);
  results.push(result);
  console.log(styleText("bold", `\n${result.title}`));
  for (const row of result.rows) {
    console.log(`${line([row.figure, row.value, row.target, row.peer])} ${styleText(row.ok === false ? "red" : "green", verdict(row))}`);
  }
}

/** The page by its sections, each under its title. */
function sectionsOf(text: string): Map<string, string> {
  const [, ...parts] = text.split(/^## /m);
  return new Map(parts.map((part) => [part.slice(0, part.indexOf("\n")), `## ${part}`.trimEnd()]));
}

if (update) {
  const page = new URL("../../docs/reference/benchmarks.md", import.meta.url);
  // some alone take their places among those that stand
  const sections = chosen.length === 0 ? new Map<string, string>() : sectionsOf(readFileSync(page, "utf8"));
  for (const { title, how, rows } of results)
    sections.set(
      title,
      [
        `## ${title}`,
        "",
        `${how[0]?.toUpperCase() ?? ""}${how.slice(1)}.`,
        "",
        "| figure | measured | target | result | beside |",
        "|---|---|---|---|---|",
        ...rows.map((row) => `| ${row.figure} | ${row.value} | ${row.target} | ${verdict(row)} | ${row.peer} |`),
      ].join("\n"),
    );
  const head = [
    "# Benchmarks",
    "",
    "The last tables of `npm run bench -- --update`, all in one run or some by name. Read ratios: each figure stands beside its peer of the same run, and absolute",
    "times are those of the machine of that run. Medians over rounds; in brackets the middle half of the rounds.",
    "",
    `The last run: ${machine}.`,
  ].join("\n");
  writeFileSync(page, `${[head, ...sections.values()].join("\n\n")}\n`);
  console.log("\nwritten to docs/reference/benchmarks.md");
}
