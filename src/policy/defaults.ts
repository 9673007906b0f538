// withDefaults: a layer with everything written out that it leaves to its defaults.
import { breakerDefaults } from "../layers/breaker/definition.ts";
import { adaptiveDefaults } from "../layers/bulkhead/definition.ts";
import { fallbackDefaults } from "../layers/fallback/definition.ts";
import { hedgeDefaults } from "../layers/hedge/definition.ts";
import { idempotencyDefaults } from "../layers/idempotency/definition.ts";
import { rateLimitDefaults } from "../layers/rateLimit/definition.ts";
import { retryDefaults } from "../layers/retry/definition.ts";
import { routeDefaults } from "../layers/route/definition.ts";
import { sidecarDefaults } from "../layers/sidecar/definition.ts";
import { durationMs } from "./duration.ts";
import type { LayerDefinition, LayerDefinitions, LayerKind } from "./policy.ts";
import { type Queue, QUEUE_TIMEOUT } from "./schema.ts";

const queueOf = (queue: Queue | undefined): Required<Queue> | false => (queue === undefined ? false : { timeout: QUEUE_TIMEOUT, ...queue });

/** What each kind takes where its definition says nothing. `false`: it does without. */
const filled = {
  trace: () => ({}),
  rateLimit: ({ rate, per, burst, queue, key, cost, shared, onStoreLoss, learn, shadow }) => ({
    rate,
    per,
    burst: burst ?? Math.max(1, Math.ceil(rate)),
    queue: queueOf(queue),
    key: key ?? (false as const),
    cost: cost ?? (false as const),
    shared: shared === true ? { onStoreLoss: onStoreLoss ?? rateLimitDefaults.onStoreLoss } : (false as const),
    learn: learn ?? false,
    shadow: shadow ?? false,
  }),
  bulkhead: ({ limit, queue, adaptive, shadow }) => ({
    limit,
    queue: queueOf(queue),
    adaptive:
      adaptive === undefined
        ? (false as const)
        : { ...adaptiveDefaults, ...adaptive, minRtt: { ...adaptiveDefaults.minRtt, ...adaptive.minRtt } },
    shadow: shadow ?? false,
  }),
  timeout: ({ after, shadow }) => ({ after, shadow: shadow ?? false }),
  retry: ({ attempts, on, methods, statuses, backoff, budget, retryAfter, buffer }) => {
    const base = backoff?.base ?? retryDefaults.backoffBase;
    return {
      attempts: attempts ?? retryDefaults.attempts,
      on: on ?? retryDefaults.on,
      methods: methods ?? retryDefaults.methods,
      statuses: statuses ?? [],
      backoff: { base, max: backoff?.max ?? (`${durationMs(base) * retryDefaults.backoffFactor}ms` as const) },
      budget: budget === false ? (false as const) : { ...retryDefaults.budget, ...budget },
      retryAfter: retryAfter ?? { max: retryDefaults.retryAfterMax },
      buffer: buffer ?? retryDefaults.buffer,
    };
  },
  hedge: ({ after, max, methods, on, budget, buffer }) => ({
    after,
    max: max ?? hedgeDefaults.max,
    methods: methods ?? hedgeDefaults.methods,
    on: on ?? hedgeDefaults.on,
    budget: budget === false ? (false as const) : { ...hedgeDefaults.budget, ...budget },
    buffer: buffer ?? hedgeDefaults.buffer,
  }),
  breaker: ({ trip, openFor, maxOpenFor, probes, on, shared, shadow }) => {
    const open = openFor ?? breakerDefaults.openFor;
    return {
      trip: trip ?? breakerDefaults.trip,
      openFor: open,
      maxOpenFor: maxOpenFor ?? open,
      probes: probes ?? breakerDefaults.probes,
      on: on ?? breakerDefaults.on,
      shared: shared ?? false,
      shadow: shadow ?? false,
    };
  },
  fallback: ({ on, response }) => ({ on: on ?? fallbackDefaults.on, response }),
  fault: ({ delay, abort, shadow }) => ({ delay: delay ?? (false as const), abort: abort ?? (false as const), shadow: shadow ?? false }),
  idempotency: ({ header, methods }) => ({ header: header ?? idempotencyDefaults.header, methods: methods ?? idempotencyDefaults.methods }),
  route: ({ kind: _kind, name: _name, ...settings }) => ({ ...routeDefaults, ...settings }),
  sidecar: ({ address, fallback }) => ({ address: address ?? (false as const), fallback: fallback ?? sidecarDefaults.fallback }),
  adopt: ({ engine }) => ({ engine }),
} as const satisfies { readonly [K in LayerKind]: (layer: LayerDefinitions[K]) => object };

/** The settings of one kind, without `kind` and `name`. */
export type Settings<K extends LayerKind> = ReturnType<(typeof filled)[K]>;

export function withDefaults<K extends LayerKind>(layer: LayerDefinitions[K] & { readonly kind: K }): Settings<K> {
  // the cast: the table pairs each kind with its definition and its settings
  const fill = filled[layer.kind] as unknown as (layer: LayerDefinition) => Settings<K>;
  return fill(layer);
}
