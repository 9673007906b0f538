// The worst case of a policy: how long a call may take, how often it may be sent, and how much load an outage adds. Pure arithmetic over the layers.
//
// Each layer is a function of what is inside it, as when it runs, so the list is folded from its end. Times are upper bounds; Infinity is no bound.
import { EXTRA_SENDS, QUEUE_TIMEOUT, type Queue } from "./schema.ts";
import { type RetryDefinition, retryDefaults } from "../layers/retry/definition.ts";
import { type HedgeDefinition, hedgeDefaults, quantileOf } from "../layers/hedge/definition.ts";
import { durationMs } from "./duration.ts";
import type { LayerDefinition, LayerDefinitions, LayerKind } from "./policy.ts";

export interface WorstCase {
  /** Milliseconds until the head of the response, or the error. */
  readonly headMs: number;
  /** The same when the peer asks for the longest waits that `retryAfter` heeds. */
  readonly headPushedMs: number;
  /** Milliseconds until the response has ended. */
  readonly endMs: number;
  /** How often the call is sent at most. */
  readonly sends: number;
  /** Sends for each call while every one fails and many are under way, so that budgets bound retries. */
  readonly sendsUnderLoad: number;
}

/** What is beneath all layers: a peer that answers when it likes. */
const PEER: WorstCase = { headMs: Infinity, headPushedMs: Infinity, endMs: Infinity, sends: 1, sendsUnderLoad: 1 };

/** The worst case of a list of layers, outermost first. */
export const worstCaseOf = (layers: readonly LayerDefinition[]): WorstCase => worstCasesOf(layers)[0] ?? PEER;

/** The worst case from each layer on inward, and last the peer's own: one more than there are layers. */
export function worstCasesOf(layers: readonly LayerDefinition[]): readonly WorstCase[] {
  const repeatsAt = layers.findIndex(isRepeating);
  const retry = layers.find((layer) => layer.kind === "retry");
  const cases = [PEER];
  for (const [index, layer] of [...layers.entries()].toReversed()) {
    // the cast: the table pairs each kind with the function of its own definition
    const around = worst[layer.kind] as (layer: LayerDefinition, inner: WorstCase, where: Where) => WorstCase;
    cases.push(around(layer, cases.at(-1) ?? PEER, { insideRetry: repeatsAt !== -1 && repeatsAt < index, retry }));
  }
  return cases.toReversed();
}

interface Where {
  /** It sees attempts and not calls. */
  readonly insideRetry: boolean;
  /** Whose budget holds for all who send more than once. */
  readonly retry: RetryDefinition | undefined;
}

type Around<D> = (layer: D, inner: WorstCase, where: Where) => WorstCase;

/** Whether what is inside a layer sees attempts and not calls. */
export const isRepeating = ({ kind }: LayerDefinition): boolean => kind === "retry" || kind === "hedge";

const same = (_layer: LayerDefinition, inner: WorstCase): WorstCase => inner;

const worst: { readonly [K in LayerKind]: Around<LayerDefinitions[K]> } = {
  trace: same,
  breaker: same,
  idempotency: same,
  route: same, // it waits only for the first answer of its sources
  sidecar: same, // the hop over loopback is nothing beside a peer
  adopt: same, // what an adopted instance does is not written in the policy
  rateLimit: ({ queue, shadow }, inner) => later(inner, shadow === true ? 0 : queueMs(queue)),
  bulkhead: ({ queue, shadow }, inner) => later(inner, shadow === true ? 0 : queueMs(queue)),
  fault: ({ delay, shadow }, inner) =>
    later(inner, shadow === true || delay === undefined || delay.percent === 0 ? 0 : durationMs(delay.for)),
  timeout: ({ after, shadow }, inner, { insideRetry }) => {
    if (shadow === true) return inner;
    const most = durationMs(after);
    return {
      ...inner,
      headMs: Math.min(most, inner.headMs),
      headPushedMs: Math.min(most, inner.headPushedMs),
      endMs: insideRetry ? inner.endMs : Math.min(most, inner.endMs), // inside retry it ends with the head
    };
  },
  retry: (layer, inner) => {
    const attempts = attemptsOf(layer);
    const repeats = attempts - 1;
    const waits = waitCeilings(layer).reduce((sum, wait) => sum + wait, 0);
    const pushed = layer.retryAfter === false ? 0 : durationMs(layer.retryAfter?.max ?? retryDefaults.retryAfterMax);
    return {
      headMs: times(attempts, inner.headMs) + waits,
      headPushedMs: times(attempts, inner.headPushedMs) + waits + repeats * pushed,
      endMs: times(repeats, inner.headPushedMs) + waits + repeats * pushed + inner.endMs,
      sends: attempts * inner.sends,
      sendsUnderLoad: Math.min(attempts, budgetFactor(layer)) * inner.sendsUnderLoad,
    };
  },
  hedge: (layer, inner, { retry }) => {
    const { copies, lateMs } = lateCopies(layer, inner.headMs, retry);
    const pushed = lateCopies(layer, inner.headPushedMs, retry).lateMs;
    // a retry with attempts has counted what the budget allows both
    const factor = retry !== undefined && attemptsOf(retry) > 1 ? 1 : Math.min(1 + copies, budgetFactor(retry ?? layer));
    return {
      headMs: inner.headMs + lateMs,
      headPushedMs: inner.headPushedMs + pushed,
      endMs: inner.endMs + lateMs,
      sends: (1 + copies) * inner.sends,
      sendsUnderLoad: factor * inner.sendsUnderLoad,
    };
  },
  fallback: ({ response }, inner) => {
    if (!("target" in response)) return inner;
    return {
      headMs: 2 * inner.headMs,
      headPushedMs: 2 * inner.headPushedMs,
      endMs: inner.headPushedMs + inner.endMs,
      sends: 2 * inner.sends,
      sendsUnderLoad: 2 * inner.sendsUnderLoad,
    };
  },
};

const later = (inner: WorstCase, ms: number): WorstCase => ({
  ...inner,
  headMs: inner.headMs + ms,
  headPushedMs: inner.headPushedMs + ms,
  endMs: inner.endMs + ms,
});

/** How long a call may wait in a queue. */
const queueMs = (queue: Queue | undefined): number => (queue === undefined ? 0 : durationMs(queue.timeout ?? QUEUE_TIMEOUT));

/** None of what never ends is nothing. */
const times = (count: number, ms: number): number => (count === 0 ? 0 : count * ms);

/** How many copies a hedge may send beside the first, and how late the last of them; none if each copy is over before the next would be sent. */
function lateCopies(layer: HedgeDefinition, headMs: number, retry?: RetryDefinition): { readonly copies: number; readonly lateMs: number } {
  const { after, max = hedgeDefaults.max } = layer;
  const afterMs = quantileOf(after) === undefined ? durationMs(after) : headMs; // a percentile is what most calls take at most
  if (hasNoPlace(retry ?? layer) || (afterMs >= headMs && quantileOf(after) === undefined)) return { copies: 0, lateMs: 0 };
  return { copies: max, lateMs: max * afterMs };
}

interface Budgeted {
  readonly budget?: RetryDefinition["budget"];
}

/** A budget that never has a place. */
function hasNoPlace({ budget }: Budgeted): boolean {
  if (budget === false) return false;
  const { percent, min } = { ...EXTRA_SENDS, ...budget };
  return percent === 0 && min === 0;
}

/** How many attempts a retry may make: one, when its budget has no place ever. */
export const attemptsOf = (layer: RetryDefinition): number => (hasNoPlace(layer) ? 1 : (layer.attempts ?? retryDefaults.attempts));

/** The longest waits before the 1st, 2nd, ... repeat. */
export function waitCeilings(layer: RetryDefinition): readonly number[] {
  const base = durationMs(layer.backoff?.base ?? retryDefaults.backoffBase);
  const max = layer.backoff?.max === undefined ? base * retryDefaults.backoffFactor : durationMs(layer.backoff.max);
  return Array.from({ length: attemptsOf(layer) - 1 }, (_, repeat) => Math.min(base * 2 ** repeat, max));
}

/**
 * Sends for each call that fails, with many under way. Retries are at most a share p of the calls under way; a call counts from its beginning through
 * its retries, so of all the time that is spent on calls about p goes to retries, and the sends are about 1 / (1 - p) times the calls; fewer where waits
 * are longer than attempts.
 */
function budgetFactor({ budget }: Budgeted): number {
  if (budget === false) return Infinity;
  return 1 / (1 - { ...EXTRA_SENDS, ...budget }.percent / 100);
}

/** With so few calls under way all of them can be repeated, and from so many on the budget is its share; undefined: there is no budget, or no such number. */
export function budgetBounds({ budget }: RetryDefinition): { readonly all: number; readonly share: number } | undefined {
  if (budget === false) return undefined;
  const { percent, min } = { ...EXTRA_SENDS, ...budget };
  return percent === 0 ? undefined : { all: min, share: Math.ceil((min * 100) / percent) };
}
