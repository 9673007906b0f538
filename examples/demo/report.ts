// What the demo tells of a run: figures side by side, plots over time, what the layers did; and at the end, where the policy made things worse.
import { type Figures, figuresOf, quantile, type Sample, slotsOf, successOf } from "./figures.ts";
import { bar, duration, inShort, percent, sparkline } from "../../src/cli/plots.ts";
import { type Run, TRANSITIONS } from "./play.ts";
import { print, styled, wrapped } from "./screen.ts";

const LABEL = 12;
const SLOTS = 31;

interface Pair {
  readonly bare: Figures;
  readonly premesh: Figures;
}

const figuresOfRun = ({ bare, premesh, requests }: Run): Pair => ({
  bare: figuresOf(bare, requests.bare),
  premesh: figuresOf(premesh, requests.premesh),
});

const row = (label: string, text: string): string => `  ${label}`.padEnd(LABEL) + text;

export function printHeading({ scene, lengthMs }: Run, number: string): void {
  print();
  print(styled("bold", `${number} ${scene.kind}: ${scene.what}`));
  const [from, to] = scene.down ?? [];
  if (from !== undefined && to !== undefined) {
    print(row("down", `from ${duration(from * lengthMs)} to ${duration(to * lengthMs)} of ${duration(lengthMs)}`));
  }
  print(row("policy", inShort(scene.policy)));
  for (const line of wrapped(row("note", ""), scene.note)) print(line);
}

export function printRun(run: Run): void {
  const pair = figuresOfRun(run);
  print(row("", `${"calls that succeeded".padEnd(28)}sent/call seen/call      p50      p99`));
  for (const lane of ["bare", "premesh"] as const) {
    const { success, attempts, seen, p50, p99 } = pair[lane];
    const numbers = [attempts.toFixed(2), seen.toFixed(2)].map((text) => text.padStart(9)).join(" ");
    const times = [p50, p99].map((ms) => duration(ms).padStart(8)).join(" ");
    print(row(lane, `${bar(success, 18)} ${percent(success).padStart(7)} ${numbers} ${times}`));
  }
  printOverTime(run);
  for (const line of decisionsOf(run)) print(line);
}

function printOverTime({ bare, premesh, lengthMs }: Run): void {
  const p99 = (samples: readonly Sample[]): number | undefined =>
    samples.length === 0
      ? undefined
      : quantile(
          samples.map(({ tookMs }) => tookMs),
          0.99,
        );
  const lanes = [bare, premesh].map((samples) => slotsOf(samples, lengthMs, SLOTS));
  const highest = Math.max(1, ...lanes.flat().map((samples) => p99(samples) ?? 0));
  print(row("over time", `${"success, 0 to 100 %".padEnd(SLOTS + 2)}p99, 0 to ${duration(highest)}`));
  for (const [index, slots] of lanes.entries()) {
    print(row(["bare", "premesh"][index] ?? "", `${sparkline(slots.map(successOf), 1)}  ${sparkline(slots.map(p99), highest)}`));
  }
}

/** What the layers did, and when the breaker opened and closed. */
function decisionsOf({ decisions, transitions }: Run): string[] {
  const byLayer = new Map<string, string[]>();
  for (const [key, times] of decisions) {
    const [layer = "", what = ""] = key.split(" ");
    if (!TRANSITIONS.has(what)) byLayer.set(layer, [...(byLayer.get(layer) ?? []), `${what.replaceAll("-", " ")} ${times}x`]);
  }
  const counted = [...byLayer].map(([layer, all]) => `${layer}: ${all.join(", ")}`);
  const moves = transitions.map(({ at, what, why }) => `${duration(at)} ${what}${why === "" ? "" : ` (${why})`}`);
  return [
    ...wrapped(row("layers", ""), counted.join("; ") || "repeated nothing and refused nothing (a wait in a queue is neither)"),
    ...wrapped(row("breaker", ""), moves.join(", ") || "stayed closed"),
  ];
}

export function printSummary(runs: readonly Run[]): void {
  const pairs = runs.map((run) => ({ kind: run.scene.kind, ...figuresOfRun(run) }));
  const columns: readonly (readonly [title: string, show: (figures: Figures) => string])[] = [
    ["succeeded", ({ success }) => percent(success)],
    ["p50", ({ p50 }) => duration(p50)],
    ["p99", ({ p99 }) => duration(p99)],
    ["seen/call", ({ seen }) => seen.toFixed(2)],
  ];
  print();
  print(styled("bold", "all of it".padEnd(LABEL)) + columns.map(([title]) => title.padStart(16)).join(" "));
  print(" ".repeat(LABEL) + columns.map(() => "    bare premesh").join(" "));
  for (const { kind, bare, premesh } of pairs) {
    print(row(kind, columns.map(([, show]) => [bare, premesh].map((figures) => show(figures).padStart(8)).join("")).join(" ")));
  }
  print();
  const costs = pairs.flatMap(({ kind, bare, premesh }) => costsOf(bare, premesh).map((cost) => `${kind}: ${cost}`));
  print(styled("bold", "what the policy made worse"));
  for (const cost of costs) print(`  ${cost}`);
  if (costs.length === 0) print("  nothing, this time");
  print();
  print("sent/call: sends per call, as the client counts; seen/call: as the peer counts");
}

/** Figures that are worse under the policy by more than chance makes them. */
function costsOf(bare: Figures, premesh: Figures): string[] {
  const costs: string[] = [];
  if (premesh.success < bare.success - 0.005)
    costs.push(`fewer calls succeeded, ${percent(premesh.success)} instead of ${percent(bare.success)}`);
  for (const which of ["p50", "p99"] as const) {
    if (premesh[which] > 1.2 * bare[which] + 1) costs.push(`${which} is ${duration(premesh[which])} instead of ${duration(bare[which])}`);
  }
  if (premesh.seen > 1.02 * bare.seen) costs.push(`the peer got ${Math.round((premesh.seen / bare.seen - 1) * 100)} % more requests`);
  return costs;
}
