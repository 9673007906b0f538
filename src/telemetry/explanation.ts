// Explanation: what happened to one call and why, as data and as text.
import type { CallRecord, Decision } from "../call/call.ts";
import { codeName } from "../call/codes.ts";
import { errorTypeOf } from "../call/error-type.ts";
import type { Outcome } from "../call/outcome.ts";
import type { LayerDefinition, LayerKind } from "../policy/policy.ts";
import { sentenceOf } from "./sentences.ts";
import { counted, duration } from "./words.ts";

/** What one layer of the policy did to the call. */
export interface ExplainedLayer {
  readonly index: number;
  readonly kind: LayerKind;
  /** Its `name`, else its kind. */
  readonly layer: string;
  /** False: a layer before it ended the call, so it never came here. */
  readonly reached: boolean;
  /** What it decided, in order; empty where it let the call pass. */
  readonly decisions: readonly Decision[];
}

/** What happened to one call, and why. */
export interface Explanation {
  readonly policy: string;
  readonly revision: string;
  readonly target: string;
  readonly method: string;
  /** How often it was sent. */
  readonly attempts: number;
  /** How it came out, in words: `200`, `refused by breaker`. */
  readonly outcome: string;
  /** How long that took, in milliseconds, until the head of the response. */
  readonly tookMs: number;
  /** Every layer of the policy, outermost first, with what it did. */
  readonly layers: readonly ExplainedLayer[];
  /** What layers decided, where they did more than pass the call on, in order of time. */
  readonly decisions: readonly Decision[];
  /** Where a `route` layer has sent the attempts: the endpoint of each, by its origin. Empty without a route. */
  readonly endpoints: readonly { readonly attempt: number; readonly endpoint: string }[];
  /** The same for people: one line for each layer and each decision. */
  readonly text: string;
}

export function explanationOf(record: CallRecord): Explanation {
  const { policy, revision, target, method, attempts, decisions = [], tookMs = 0 } = record;
  const layers = explainedLayers(record);
  const outcome = record.cameOut ?? "under way";
  const times = attempts === 0 ? "unsent" : `after ${counted(attempts, "attempt")}`;
  const head = `${method} ${target} under policy ${policy}: ${outcome}, ${times}, in ${duration(tookMs)}`;
  return {
    policy,
    revision,
    target,
    method,
    attempts,
    outcome,
    tookMs,
    layers,
    decisions,
    endpoints: endpointsOf(record),
    text: [head, ...lines(record, layers)].join("\n"),
  };
}

function explainedLayers({ layers, decisions = [], attempts, cameOut, seam }: CallRecord): readonly ExplainedLayer[] {
  // what was never sent was ended on its way in, by the innermost layer that had a say
  const ended = attempts === 0 && seam !== "crossed" && cameOut !== undefined ? Math.max(-1, ...decisions.map(({ index }) => index)) : -1;
  return layers.map(({ kind, name }, index) => ({
    index,
    kind,
    layer: name ?? kind,
    reached: ended === -1 || index <= ended,
    decisions: decisions.filter((decision) => decision.index === index),
  }));
}

function endpointsOf({ visits }: CallRecord): Explanation["endpoints"] {
  const all: { readonly attempt: number; readonly endpoint: string }[] = [];
  for (let visit = visits; visit !== undefined; visit = visit.before) all.push({ attempt: visit.nth, endpoint: visit.address.key });
  return all.toReversed();
}

function lines(record: CallRecord, explained: readonly ExplainedLayer[]): readonly string[] {
  const { layers } = record;
  const endpoints = endpointsOf(record);
  const labels = layers.map(labelOf);
  const width = Math.max(0, ...labels.map(({ length }) => length));
  const seamAt = record.seam === undefined ? -1 : layers.findIndex(({ kind }) => kind === "sidecar");
  return explained.flatMap(({ index, reached, decisions }) => {
    const sent = layers[index]?.kind === "route" ? endpoints.map((one) => `sent attempt ${one.attempt} to ${one.endpoint}`) : [];
    const did = [...sent, ...decisions.map(sentenceOf)];
    if (index === seamAt && reached) did.push(...atSeam(record));
    const there = record.seam === "crossed" && index > seamAt ? "ran in the sidecar" : "let it pass";
    if (did.length === 0) did.push(reached ? there : "was not reached");
    return did.map((sentence, line) => `  ${(line === 0 ? (labels[index] ?? "") : "").padEnd(width)}  ${sentence}`);
  });
}

/** What became of the call at the seam, as far as no decision says so. */
function atSeam({ seam, protocol }: CallRecord): readonly string[] {
  if (seam === "crossed") return ["gave it to the sidecar"];
  if (seam !== "cannot-cross") return [];
  const whose =
    protocol === "http"
      ? "this fetch function, dispatcher or mock"
      : `calls by ${protocol}${protocol === "grpc" ? " with credentials or an address like this" : ""}`;
  return [`ran the layers behind it in the process, since ${whose} cannot cross`];
}

/** Timeouts are told apart by their times. */
const labelOf = (layer: LayerDefinition): string => layer.name ?? (layer.kind === "timeout" ? `timeout ${layer.after}` : layer.kind);

/** How a call came out, in words. */
export function outcomeWords(outcome: Outcome<unknown>): string {
  const status = outcome.reply?.status ?? outcome.status;
  if (outcome.ok) return `${status ?? "ok"}${outcome.fallback === undefined ? "" : " by the fallback"}`;
  if (outcome.by === "caller")
    return outcome.sent || outcome.cause instanceof DOMException ? "aborted by the caller" : "ended by the caller";
  if (outcome.by === "timeout") return `timed out by ${outcome.layer ?? "timeout"}`;
  if (outcome.by === "fault") return `${status ?? codeName(outcome.code)} by fault`;
  if (outcome.by !== "peer") return `refused by ${outcome.layer ?? outcome.by}`;
  return String(status ?? errorTypeOf(outcome));
}
