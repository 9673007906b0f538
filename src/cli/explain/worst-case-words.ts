// The worst case of a call in words: time, attempts and amplification, and what bounds them.
import { hedgeDefaults } from "../../layers/hedge/definition.ts";
import { idempotencyDefaults } from "../../layers/idempotency/definition.ts";
import { retryDefaults } from "../../layers/retry/definition.ts";
import { counted, round, time } from "../../policy/figures.ts";
import { attemptsOf, budgetBounds, waitCeilings } from "../../policy/worst-case.ts";
import type { Explained, ExplainedLayer } from "./explained.ts";

export function worstCaseWords(explained: Explained): (readonly [label: string, lines: readonly string[]])[] {
  return [
    ["time", timeWords(explained)],
    ["attempts", sendWords(explained)],
    ["amplification", loadWords(explained)],
  ];
}

function timeWords({ layers, cases }: Explained): readonly string[] {
  const worst = cases[0];
  if (worst === undefined) return [];
  const adopted = layers.some(({ layer }) => layer.kind === "adopt") ? ["what an adopted instance does comes on top"] : [];
  if (worst.headMs === Infinity) return ["unbounded: the peer may never answer; a timeout would bound it", ...adopted];
  const { headMs, headPushedMs, endMs } = worst;
  return [
    `${time(headMs)} to the head of the response: ${origin(layers, cases)}`,
    ...(headPushedMs > headMs ? [`${time(headPushedMs)} if the peer asks for the longest waits by Retry-After`] : []),
    endMs === Infinity ? "unbounded to its end: a timeout before retry would bound the body" : `${time(endMs)} to its end, body included`,
    ...adopted,
  ];
}

/** Where the time to the head comes from, from the outermost layer on that has a part in it. */
function origin(layers: readonly ExplainedLayer[], cases: Explained["cases"]): string {
  for (const [at, { index, layer }] of layers.entries()) {
    const [here, inner] = [cases[index]?.headMs ?? Infinity, cases[index + 1]?.headMs ?? Infinity];
    if (here === inner) continue;
    const rest = origin(layers.slice(at + 1), cases);
    if (layer.kind === "timeout") return `layer ${index} ends it`;
    if (layer.kind === "fallback") return `two targets, for each ${rest}`;
    if (layer.kind === "hedge") return `the last copy begins after ${time(here - inner)}, then ${rest}`;
    if (layer.kind !== "retry") return `${time(here - inner)} ${"queue" in layer ? "in the queue of" : "by"} layer ${index}, then ${rest}`;
    const waits = waitCeilings(layer).reduce((sum, wait) => sum + wait, 0);
    return `${counted(attemptsOf(layer), "attempt")} of ${time(inner)}${waits === 0 ? "" : ` and waits of ${time(waits)}`}`;
  }
  return "";
}

function sendWords(explained: Explained): readonly string[] {
  const sends = explained.cases[0]?.sends ?? 1;
  return [sends === 1 ? "1" : `at most ${sends}`, ...(sends > 1 ? unrepeated(explained) : [])];
}

/** For whom a retry or a hedge sends less often than its attempts say. */
function unrepeated({ question: { call }, layers }: Explained): readonly string[] {
  const retried = layers.some(({ layer }) => layer.kind === "retry");
  const only = retried ? "only where the peer never saw it" : "it is sent once"; // a hedge does not know what the peer has seen
  const any = layers.some(({ layer }) => (layer.kind === "retry" || layer.kind === "hedge") && layer.methods?.includes("*") === true);
  const anyKey = layers.some(({ layer }) => layer.kind === "idempotency" && layer.methods?.includes("*") === true);
  if (any || anyKey) return [];
  if (call === undefined) return [`work is repeated if the call says idempotent: true, else ${only}`];
  if ("rpc" in call) return [`an RPC is repeated if it is idempotent, else ${only}`];
  const repeated = layers.flatMap(({ layer }): readonly string[] => {
    if (layer.kind === "retry") return layer.methods ?? retryDefaults.methods;
    if (layer.kind === "hedge") return layer.methods ?? hedgeDefaults.methods;
    return layer.kind === "idempotency" ? (layer.methods ?? idempotencyDefaults.methods) : [];
  });
  return repeated.includes(call.method) ? [] : [`${call.method} is repeated if the call says idempotent: true, else ${only}`];
}

function loadWords({ layers, cases }: Explained): readonly string[] {
  const { sends = 1, sendsUnderLoad = 1 } = cases[0] ?? {};
  const retries = layers.flatMap(({ layer }) => (layer.kind === "retry" && attemptsOf(layer) > 1 ? [layer] : []));
  if (sends === 1) return ["1x: nothing is sent twice"];
  if (sendsUnderLoad === sends) return [`${sends}x while every attempt fails, whatever the load`];
  const [retry] = retries;
  const bounds = retry === undefined || retries.length > 1 ? undefined : budgetBounds(retry);
  if (bounds === undefined)
    return [`${sends}x while every attempt fails and few calls are under way`, `about ${round(sendsUnderLoad)}x with many, by the budgets`];
  const { percent } = { ...retryDefaults.budget, ...(retry?.budget === false ? {} : retry?.budget) };
  return [
    `${sends}x while every attempt fails and at most ${counted(bounds.all, "call")} are under way`,
    `about ${round(sendsUnderLoad)}x with ${bounds.share} calls or more: the budget is ${percent} %`,
  ];
}
