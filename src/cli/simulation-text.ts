// What `premesh simulate` tells of a simulation: figures side by side, plots over time, and what the layers did.
import type { Simulation, Slot, Transition } from "../testing/simulate/figures.ts";
import type { Phase, Scenario } from "../testing/simulate/scenario.ts";
import { durationMs } from "../policy/duration.ts";
import { bar, duration, percent, sparkline, wrapped } from "./plots.ts";

/** One simulation and what it is called: `bare`, `premesh`. */
export interface Lane {
  readonly name: string;
  readonly result: Simulation;
}

const LABEL = 12;
const WIDTH = 80;

const row = (label: string, text: string): string => `  ${label}`.padEnd(LABEL) + text;
const section = (label: string, text: string): string[] => wrapped(row(label, ""), text, WIDTH);
const counted = (count: number): string => count.toLocaleString("en-US");

/** Time since the beginning, as people say it: `1m 05s`. */
export function sinceStart(ms: number): string {
  const seconds = Math.floor(ms / 1_000);
  const [hours, minutes] = [Math.floor(seconds / 3_600), Math.floor(seconds / 60) % 60];
  if (hours > 0) return `${hours}h ${String(minutes).padStart(2, "0")}m`;
  return minutes > 0 ? `${minutes}m ${String(seconds % 60).padStart(2, "0")}s` : `${seconds}s`;
}

export function lanesText(lanes: readonly Lane[], scenario: Scenario): string[] {
  return [
    ...figuresText(lanes),
    "",
    ...plotsText(lanes, scenario),
    "",
    ...lanes.flatMap(({ name, result }) => section(name, `came out as ${outcomesText(result)}`)),
    ...lanes.filter(({ result }) => result.decisions.length > 0).flatMap(({ result }) => decisionsText(result)),
  ];
}

function figuresText(lanes: readonly Lane[]): string[] {
  const columns = (cells: readonly string[]): string => cells.map((cell) => cell.padStart(10)).join("");
  return [
    row("", `calls that succeeded       ${columns(["sent/call", "seen/call"])}`),
    ...lanes.map(({ name, result: { success, attemptsPerCall, seen, calls } }) =>
      row(
        name,
        `${bar(success, 18)} ${percent(success).padStart(8)}${columns([attemptsPerCall, seen / Math.max(1, calls)].map((per) => per.toFixed(2)))}`,
      ),
    ),
    row("", columns(["p50", "p90", "p99", "p99.9", "max"])),
    ...lanes.map(({ name, result: { latency } }) =>
      row(name, columns([latency.p50, latency.p90, latency.p99, latency.p999, latency.max].map(duration))),
    ),
  ];
}

const outcomesText = ({ outcomes }: Simulation): string =>
  Object.entries(outcomes)
    .toSorted(([, a], [, b]) => b - a)
    .map(([what, count]) => `${what} ${counted(count)}x`)
    .join(", ") || "nothing: there were no calls";

function plotsText(lanes: readonly Lane[], scenario: Scenario): string[] {
  const [first] = lanes;
  if (first === undefined) return [];
  const { slotMs, slots, lengthMs } = first.result;
  const rows = (title: string, of: (slot: Slot) => number | undefined, most: number, unit: string): string[] => [
    row(title, `0 to ${unit}`),
    ...lanes.map(({ name, result }) => row(` ${name}`, sparkline(result.slots.map(of), most))),
  ];
  const all = lanes.flatMap(({ result }) => result.slots);
  const perSecond = ({ attempts }: Slot): number => (attempts * 1_000) / slotMs;
  const [slowest, busiest] = [Math.max(1, ...all.map(({ p99 = 0 }) => p99)), Math.max(1, ...all.map(perSecond))];
  const breaking = lanes.filter(({ result }) => result.transitions.length > 0);
  return [
    row("over time", `${slots.length} columns of ${duration(slotMs)} each, ${sinceStart(lengthMs)} in all`),
    ...rows("success", ({ calls, succeeded }) => (calls === 0 ? undefined : succeeded / calls), 1, "100 %"),
    ...rows("p99", ({ p99 }) => p99, slowest, duration(slowest)),
    ...rows("sent", perSecond, busiest, `${Math.round(busiest)} per second`),
    ...(breaking.length === 0 ? [] : [row("breaker", `${CLOSED} closed, ${HALF_OPEN} half-open, ${OPEN} open`)]),
    ...breaking.map(({ name, result }) => row(` ${name}`, breakerPlot(result))),
    ...phasesText(scenario, slots.length, slotMs),
  ];
}

const [CLOSED, HALF_OPEN, OPEN] = ["·", "▒", "█"] as const;

/** In each column the worst that any breaker was in it. */
export function breakerPlot({ transitions, slots, slotMs }: Simulation): string {
  const phases = new Map<string, Transition["what"]>();
  let next = 0;
  return slots
    .map(({ at }) => {
      const seen = new Set(phases.values());
      for (let one = transitions[next]; one !== undefined && one.at < at + slotMs; one = transitions[++next]) {
        phases.set(`${one.layer} ${one.endpoint ?? ""}`, one.what);
        seen.add(one.what);
      }
      return seen.has("opened") ? OPEN : seen.has("half-opened") ? HALF_OPEN : CLOSED;
    })
    .join("");
}

/** The number of each phase below the column where it begins, and what the numbers mean. */
function phasesText({ phases = [] }: Scenario, columns: number, slotMs: number): string[] {
  if (phases.length < 2) return [];
  const marks = Array.from({ length: columns }, () => " ");
  let at = 0;
  const names = phases.map((phase, index) => {
    const column = Math.floor(at / slotMs);
    const mark = String(index + 1);
    if (column < columns) marks.splice(column, mark.length, ...mark.split(""));
    at += phase.for === undefined ? 0 : durationMs(phase.for);
    return `${mark} ${phase.name ?? unnamed(phase)}`;
  });
  return [row("phases", marks.join("").trimEnd()), ...section("", names.join(", "))];
}

/** A phase that has no name, by what it changes. */
function unnamed({ load, latency, statuses = {}, reset, refuse, hang, capacity }: Phase): string {
  const shares = Object.entries({ ...statuses, reset, refuse, hang }).flatMap(([what, share]) =>
    share === undefined ? [] : [`${share} % ${what}`],
  );
  const more = [
    load === undefined ? [] : [`${load}x the calls`],
    latency === undefined ? [] : ["another latency"],
    capacity === undefined ? [] : [`capacity ${capacity}`],
  ];
  return [...shares, ...more.flat()].join(" and ") || "as usual";
}

/** How many changes of a breaker are told one by one. */
const MOST_CHANGES = 8;

function decisionsText({ decisions, transitions }: Simulation): string[] {
  const byLayer = new Map<string, string[]>();
  for (const { index, layer, what, count } of decisions) {
    const key = `${index} ${layer}`;
    byLayer.set(key, [...(byLayer.get(key) ?? []), `${what.replaceAll("-", " ")} ${counted(count)}x`]);
  }
  const layers = [...byLayer].map(([key, all]) => `${key.slice(key.indexOf(" ") + 1)}: ${all.join(", ")}`);
  const changes = transitions.slice(0, MOST_CHANGES).map(({ at, what }) => `${sinceStart(at)} ${what}`);
  if (transitions.length > MOST_CHANGES) changes.push(`and ${transitions.length - MOST_CHANGES} more changes`);
  return [...section("layers", layers.join("; ")), ...(changes.length === 0 ? [] : section("breaker", changes.join(", ")))];
}
