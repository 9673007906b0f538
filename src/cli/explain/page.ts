// The text that explain prints: calm columns, at most 100 wide.
import type { PolicyIssue } from "../../policy/error.ts";
import type { Match } from "../../policy/policy.ts";
import { revision } from "../../policy/revision.ts";
import type { Explained } from "./explained.ts";
import { layerWords } from "./layer-words.ts";
import { worstCaseWords } from "./worst-case-words.ts";

const WIDTH = 100;

type Row = readonly [label: string, lines: readonly string[]];

export function explainedText(explained: Explained, file: string, line: number | undefined): string {
  const { question, policy, rule, lost, layers, warnings } = explained;
  const where = `${file}${line === undefined ? "" : `:${line}`}`;
  const matched: Row[] = rule === undefined ? [] : [[`match[${rule.entry}]`, [matchText(policy.match?.[rule.entry])]]];
  return [
    question.shown,
    ...block("Policy", [["name", [policy.name]], ["revision", [revision(policy)]], ["file", [where]], ...matched]),
    ...block(
      "Fits too, and loses",
      lost.map((one) => [
        `${one.policy.name} match[${one.entry}]`,
        [matchText(one.policy.match?.[one.entry]), `since ${one.behind ?? ""}`],
      ]),
    ),
    ...block(
      "Layers, outermost first",
      layers.map(({ index, layer, place, insideRetry, budgetOf }) => [
        `${String(index).padStart(2)}  ${place}  ${layer.kind}${layer.name === undefined ? "" : ` "${layer.name}"`}`,
        layerWords(layer, { insideRetry, budgetOf }),
      ]),
      "none: the call goes through as it is",
    ),
    ...block("Worst case", worstCaseWords(explained)),
    ...block("Warnings", warnings.map(warningRow)),
  ].join("\n");
}

const warningRow = ({ code, path, message, hint }: PolicyIssue): Row => [
  code,
  [`${path}: ${message}`, ...(hint === undefined ? [] : [hint])],
];

function matchText(match: Match | undefined): string {
  return Object.entries(match ?? {})
    .map(([field, value]: [string, unknown]) => `${field} ${Array.isArray(value) ? value.join(", ") : String(value)}`)
    .join("; ");
}

/** A heading and its rows; nothing where there are none and nothing is said for that. */
function block(heading: string, rows: readonly Row[], none?: string): readonly string[] {
  if (rows.length === 0) return none === undefined ? [] : ["", heading, `  ${none}`];
  const width = Math.max(...rows.map(([label]) => label.length));
  const gap = " ".repeat(width + 4);
  return ["", heading, ...rows.flatMap(([label, lines]) => hung(`  ${label.padEnd(width)}  `, gap, lines))];
}

/** Lines behind a label, wrapped; a line that goes on is indented by two more. */
function hung(label: string, gap: string, lines: readonly string[]): readonly string[] {
  return lines.flatMap((line) => wrapped(line, WIDTH - gap.length)).map((line, index) => `${index === 0 ? label : gap}${line}`.trimEnd());
}

function wrapped(text: string, width: number): readonly string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    if (line !== "" && line.length + 1 + word.length > width) {
      lines.push(line);
      line = `  ${word}`;
    } else line = line === "" ? word : `${line} ${word}`;
  }
  return [...lines, line];
}
