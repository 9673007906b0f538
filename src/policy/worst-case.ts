// The worst case of a policy: how long a call may take, how often it may be sent, and how much load an outage adds. Pure arithmetic over the layers.
//
// Each layer is a function of what is inside it, as when it runs, so the list is folded from its end. Times are upper bounds; Infinity is no bound.
import { QUEUE_TIMEOUT, type Queue } from "./schema.ts";
import { type RetryDefinition, retryDefaults } from "../layers/retry/definition.ts";
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
  const retryAt = layers.findIndex(({ kind }) => kind === "retry");
  const cases = [PEER];
  for (const [index, layer] of [...layers.entries()].toReversed()) {
    // the cast: the table pairs each kind with the function of its own definition
    const around = worst[layer.kind] as (layer: LayerDefinition, inner: WorstCase, insideRetry: boolean) => WorstCase;
    cases.push(around(layer, cases.at(-1) ?? PEER, retryAt !== -1 && retryAt < index));
  }
  return cases.toReversed();
}

type Around<D> = (layer: D, inner: WorstCase, insideRetry: boolean) => WorstCase;

const same = (_layer: LayerDefinition, inner: WorstCase): WorstCase => inner;

const worst: { readonly [K in LayerKind]: Around<LayerDefinitions[K]> } = {
  trace: same,
  breaker: same,
  idempotency: same,
  route: same, // it waits only for the first answer of its sources
  adopt: same, // what an adopted instance does is not written in the policy
  rateLimit: ({ queue, shadow }, inner) => later(inner, shadow === true ? 0 : queueMs(queue)),
  bulkhead: ({ queue, shadow }, inner) => later(inner, shadow === true ? 0 : queueMs(queue)),
  fault: ({ delay, shadow }, inner) =>
    later(inner, shadow === true || delay === undefined || delay.percent === 0 ? 0 : durationMs(delay.for)),
  timeout: ({ after, shadow }, inner, insideRetry) => {
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

/** How many attempts a retry may make: one, when its budget has no place ever. */
export function attemptsOf({ attempts = retryDefaults.attempts, budget }: RetryDefinition): number {
  const { percent, min } = budget === false ? { percent: 100, min: 1 } : { ...retryDefaults.budget, ...budget };
  return percent === 0 && min === 0 ? 1 : attempts;
}

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
function budgetFactor({ budget }: RetryDefinition): number {
  if (budget === false) return Infinity;
  return 1 / (1 - { ...retryDefaults.budget, ...budget }.percent / 100);
}

/** With so few calls under way all of them can be repeated, and from so many on the budget is its share; undefined: there is no budget, or no such number. */
export function budgetBounds({ budget }: RetryDefinition): { readonly all: number; readonly share: number } | undefined {
  if (budget === false) return undefined;
  const { percent, min } = { ...retryDefaults.budget, ...budget };
  return percent === 0 ? undefined : { all: min, share: Math.ceil((min * 100) / percent) };
}
