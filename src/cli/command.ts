// Command: what each command of the CLI is, and how its words are read.
import { parseArgs } from "node:util";
import { nearest } from "../policy/nearest.ts";

/** An option of a command: `--json`, or with a value `--seed <number>`. */
export interface Option {
  /** One line for the help. */
  readonly summary: string;
  /** What the value is called in the help; without it the option is a switch. */
  readonly value?: string;
}

/** The words after the name of a command. */
export interface Words {
  /** Those that are not options: files, mostly. */
  readonly rest: readonly string[];
  readonly has: (option: string) => boolean;
  readonly valueOf: (option: string) => string | undefined;
}

export interface Command {
  readonly name: string;
  /** The words after `premesh`, as the help shows them; options are not among them. */
  readonly usage: string;
  /** One line for the help. */
  readonly summary: string;
  /** By name, without dashes. `help` is there for every command. */
  readonly options: Readonly<Record<string, Option>>;
  /** More of the command's own help: examples, what the output means. */
  readonly details?: string;
  /** It goes on until it is told to end, and looks after its own output: nobody need read it. */
  readonly serves?: boolean;
  /** What is wrong with the words, if anything is. */
  readonly misuse: (words: Words) => string | undefined;
  /** Does the work and gives the exit status. */
  readonly run: (words: Words) => Promise<number>;
}

const HELP: Option = { summary: "print this" };

/** The words of a command, or what is wrong with them as a sentence. */
export function wordsOf(command: Command, args: readonly string[]): Words | string {
  const options: Readonly<Record<string, Option>> = { ...command.options, help: HELP };
  const switches = new Set<string>();
  const values = new Map<string, string>();
  const rest: string[] = [];
  const types = Object.entries(options).map(
    ([name, { value }]) =>
      [name, { type: value === undefined ? "boolean" : "string", ...(name === "help" ? { short: "h" } : {}) }] as const,
  );
  const { tokens } = parseArgs({ args: [...args], options: Object.fromEntries(types), strict: false, tokens: true });
  for (const token of tokens) {
    if (token.kind === "positional") rest.push(token.value);
    if (token.kind !== "option") continue;
    const { name, rawName, value } = token;
    const option = Object.hasOwn(options, name) ? options[name] : undefined;
    if (option === undefined) {
      const similar = nearest(name, Object.keys(options));
      return `${rawName} is not an option of ${command.name}${similar === undefined ? "" : `; did you mean --${similar}?`}`;
    }
    if (option.value === undefined && value !== undefined) return `${rawName} takes no value`;
    if (option.value === undefined) switches.add(name);
    else if (value === undefined || value === "") return `${rawName} needs a value: ${rawName} <${option.value}>`;
    else values.set(name, value);
  }
  return { rest, has: (option) => switches.has(option), valueOf: (option) => values.get(option) };
}

export function helpOf({ usage, summary, options, details }: Command): string {
  const lines = Object.entries({ ...options, help: HELP }).map(([name, { value, summary: what }]): readonly [string, string] => [
    `--${name}${value === undefined ? "" : ` <${value}>`}`,
    what,
  ]);
  return [`premesh ${usage}: ${summary}`, "", "Options:", ...columns(lines), ...(details === undefined ? [] : ["", details])].join("\n");
}

/** Two columns, indented. */
export function columns(lines: readonly (readonly [left: string, right: string])[]): string[] {
  const width = Math.max(...lines.map(([left]) => left.length));
  return lines.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`);
}
