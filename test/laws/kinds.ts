// What the laws need to know of each kind of layer. A kind without an entry here does not compile.
import { EventEmitter } from "node:events";
import {
  bulkhead as cockatielBulkhead,
  circuitBreaker,
  ConsecutiveBreaker,
  ConstantBackoff,
  handleAll,
  handleWhenResult,
  retry as cockatielRetry,
  timeout as cockatielTimeout,
  TimeoutStrategy,
  wrap,
} from "cockatiel";
import fc from "fast-check";
import CircuitBreaker from "opossum";
import {
  adopt,
  type Adoptable,
  type Balance,
  breaker,
  bulkhead,
  type Duration,
  fallback,
  fault,
  hedge,
  idempotency,
  type LayerDefinition,
  type LayerKind,
  rateLimit,
  retry,
  route,
  sidecar,
  timeout,
  trace,
  type Trip,
} from "../../src/index.ts";
import { type Answer, type Bare, failing, hung, reset } from "../harness/bare.ts";

/** A state in which a layer of this kind holds a call. */
export interface Holding {
  readonly state: string;
  readonly layer: LayerDefinition;
  /** Brings the layer there: what is sent before, which is let go of by `release`. */
  readonly before?: (bare: Bare) => (() => void) | void;
  readonly answers?: readonly Answer[];
  /** How many calls have reached the bottom when it is there. */
  readonly sent: number;
}

export interface Kind {
  /** Settings under which a healthy call passes untouched. */
  readonly healthy: fc.Arbitrary<LayerDefinition>;
  /** Settings and a script in which it acts on failures. */
  readonly acting: fc.Arbitrary<LayerDefinition>;
  readonly holding: readonly Holding[];
  /** Where it refuses: the layer, and the calls before the one that it refuses. */
  readonly refusing?: { readonly layer: (shadow: boolean) => LayerDefinition; readonly before: readonly Answer[]; readonly held?: boolean };
  /** It may send a call more than once. */
  readonly repeats: boolean;
}

const long: Duration = "1h";
const ms = (max: number): fc.Arbitrary<Duration> => fc.integer({ min: 1, max }).map((n): Duration => `${n}ms`);
const share = fc.constantFrom(0.1, 0.5, 1);
const trip: fc.Arbitrary<Trip> = fc.oneof(
  fc.record({ consecutive: fc.integer({ min: 1, max: 4 }) }),
  fc.record({ failureRate: share, minCalls: fc.integer({ min: 1, max: 4 }), window: ms(1_000) }),
  fc.record({ slowRate: share, slowerThan: ms(1_000), minCalls: fc.integer({ min: 1, max: 4 }), window: ms(1_000) }),
);
const someEndpoints = fc
  .integer({ min: 1, max: 12 })
  .map((count) => Array.from({ length: count }, (_, n) => `http://10.0.0.${n + 1}:8080`));
const balance: fc.Arbitrary<Balance> = fc.constantFrom<Balance[]>(
  "round-robin",
  "least-request",
  "peak-ewma",
  "random",
  { ringHash: { path: true } },
  { maglev: { header: "x-user" } },
);
const hour = { slowerThan: long, window: long, minCalls: 1, slowRate: 0.1 } as const;

/** Another call that stays in flight until it is let go of. */
const inFlight = (bare: Bare): (() => void) => {
  const controller = new AbortController();
  void bare.call({ signal: controller.signal });
  return () => controller.abort();
};

/** A breaker without timers of its own. */
const opossum = (options: CircuitBreaker.Options = {}): CircuitBreaker =>
  new CircuitBreaker(() => Promise.resolve(), {
    timeout: false,
    enableSnapshots: false,
    rotateBucketController: new EventEmitter(),
    ...options,
  });

const badResult = handleWhenResult((result) => (result as { status?: number } | undefined)?.status !== 200); // the cast: any value can be asked

/**
 * Live instances, new for each run: they have state. A limiter of Bottleneck takes several turns of the loop for every call, with timers of its own, and
 * does not fit in here; test/layers/adopt/bottleneck.test.ts holds it to the same laws.
 */
const adopted = (...makes: readonly (() => Adoptable)[]): fc.Arbitrary<LayerDefinition> =>
  fc.nat(makes.length - 1).map((index) => adopt((makes[index] ?? opossum)()));

export const kinds: { readonly [K in LayerKind]: Kind } = {
  trace: {
    healthy: fc.constant(trace()),
    acting: fc.constant(trace()),
    holding: [{ state: "in flight", layer: trace(), sent: 1 }],
    repeats: false,
  },
  rateLimit: {
    healthy: fc.oneof(
      fc.integer({ min: 1, max: 1_000 }).map((rate) => rateLimit({ rate, per: "1s" })),
      fc.constant(rateLimit({ rate: 1, per: "1s", key: { header: "x-tenant" }, queue: { size: 1 } })),
    ),
    acting: fc.oneof(
      fc.constant(rateLimit({ rate: 1, per: "1s", burst: 1 })),
      ms(2_000).map((timeoutAfter) => rateLimit({ rate: 1, per: "1s", burst: 1, queue: { size: 2, timeout: timeoutAfter } })),
    ),
    holding: [
      { state: "in flight", layer: rateLimit({ rate: 1, per: "1s" }), sent: 1 },
      {
        state: "queued",
        layer: rateLimit({ rate: 1, per: long, burst: 1, queue: { size: 1, timeout: long } }),
        before: inFlight,
        sent: 1,
      },
    ],
    refusing: { layer: (shadow) => rateLimit({ rate: 1, per: long, burst: 1, shadow }), before: [failing(200)] },
    repeats: false,
  },
  bulkhead: {
    healthy: fc
      .record({ limit: fc.integer({ min: 1, max: 9 }), fixed: fc.boolean() })
      .map(({ limit, fixed }) => bulkhead({ limit, ...(fixed ? {} : { adaptive: { min: 1 } }) })),
    acting: fc.oneof(
      fc.constantFrom(
        bulkhead({ limit: 1 }),
        bulkhead({ limit: 2, queue: { size: 9 }, adaptive: { min: 1, window: "10ms", minRtt: { interval: "50ms", requests: 2 } } }),
      ),
      ms(100).map((after) => bulkhead({ limit: 1, queue: { size: 2, timeout: after } })),
    ),
    holding: [
      { state: "in flight", layer: bulkhead({ limit: 1 }), sent: 1 },
      { state: "queued", layer: bulkhead({ limit: 1, queue: { size: 1, timeout: long } }), before: inFlight, sent: 1 },
    ],
    refusing: { layer: (shadow) => bulkhead({ limit: 1, shadow }), before: [hung], held: true },
    repeats: false,
  },
  timeout: {
    healthy: fc.constantFrom(timeout(long), timeout({ after: long, shadow: true })),
    acting: ms(100).map((after) => timeout(after)),
    holding: [{ state: "in flight", layer: timeout(long), sent: 1 }],
    repeats: false,
  },
  retry: {
    healthy: fc.integer({ min: 1, max: 5 }).map((attempts) => retry({ attempts })),
    acting: fc
      .record({ attempts: fc.integer({ min: 1, max: 4 }), base: ms(50), budget: fc.constantFrom(false as const, { percent: 20, min: 1 }) })
      .map(({ attempts, base, budget }) => retry({ attempts, backoff: { base }, budget })),
    holding: [
      { state: "in flight", layer: retry(), sent: 1 },
      { state: "backoff", layer: retry({ backoff: { base: long, max: long } }), answers: [failing(503)], sent: 1 },
      {
        state: "waiting as the peer has asked",
        layer: retry({ retryAfter: { max: long } }),
        answers: [failing(503, { retryAfterMs: 3_000_000 })],
        sent: 1,
      },
      { state: "second attempt", layer: retry({ backoff: { base: "0ms", max: "0ms" } }), answers: [failing(503), hung], sent: 2 },
    ],
    repeats: true,
  },
  hedge: {
    healthy: fc.constantFrom(hedge({ after: long }), hedge({ after: "p95", max: 3 })),
    acting: fc
      .record({ after: ms(50), max: fc.integer({ min: 1, max: 3 }), some: fc.boolean() })
      .map(({ after, max, some }) => hedge({ after, max, methods: [some ? "GET" : "*"] })),
    holding: [
      { state: "in flight", layer: hedge({ after: long }), sent: 1 },
      { state: "two copies", layer: hedge({ after: "1ms" }), answers: [hung], sent: 2 },
      { state: "one copy has failed", layer: hedge({ after: "1ms" }), answers: [hung, failing(503)], sent: 2 },
    ],
    repeats: true,
  },
  breaker: {
    healthy: trip.map((one) => breaker({ trip: "slowRate" in one ? hour : one })),
    acting: fc.record({ trip, openFor: ms(200), probes: fc.integer({ min: 1, max: 3 }) }).map((options) => breaker(options)),
    holding: [
      { state: "in flight", layer: breaker(), sent: 1 },
      {
        state: "probe",
        layer: breaker({ openFor: long }),
        before: (bare) => bare.state("breaker").restore?.({ phase: "half-open", remainingMs: 0 }),
        sent: 1,
      },
    ],
    refusing: { layer: (shadow) => breaker({ trip: { consecutive: 1 }, openFor: long, shadow }), before: [failing(503)] },
    repeats: false,
  },
  fallback: {
    healthy: fc.constantFrom(fallback({ response: { status: 200 } }), fallback({ response: { target: "http://other.test" } })),
    acting: fc.constantFrom(
      fallback({ response: { status: 200 } }),
      fallback({ response: { target: "http://other.test" } }),
      fallback({ on: ["refusal", "timeout"], response: { status: 503 } }),
    ),
    holding: [
      { state: "in flight", layer: fallback({ response: { status: 200 } }), sent: 1 },
      {
        state: "at another target",
        layer: fallback({ response: { target: "http://other.test" } }),
        answers: [failing(503), hung],
        sent: 2,
      },
    ],
    repeats: true,
  },
  fault: {
    healthy: fc.constantFrom(
      fault({ abort: { status: 503, percent: 0 } }),
      fault({ delay: { for: long, percent: 0 } }),
      fault({ delay: { for: long, percent: 100 }, abort: { code: "internal", percent: 100 }, shadow: true }),
    ),
    acting: fc
      .record({
        delay: fc.record({ for: ms(100), percent: fc.nat(100) }),
        abort: fc.record({ status: fc.constant(503), percent: fc.nat(100) }),
      })
      .map((options) => fault(options)),
    holding: [
      { state: "in flight", layer: fault({ abort: { status: 503, percent: 0 } }), sent: 1 },
      { state: "delay", layer: fault({ delay: { for: long, percent: 100 } }), sent: 0 },
    ],
    refusing: { layer: (shadow) => fault({ abort: { status: 503, percent: 100 }, shadow }), before: [] },
    repeats: false,
  },
  idempotency: {
    healthy: fc.constantFrom(idempotency(), idempotency({ methods: ["*"], header: "X-Key" })),
    acting: fc.constant(idempotency({ methods: ["*"] })),
    holding: [{ state: "in flight", layer: idempotency({ methods: ["*"] }), sent: 1 }],
    repeats: false,
  },
  route: {
    healthy: fc
      .record({ endpoints: someEndpoints, balance, outliers: fc.constantFrom(undefined, {}), weight: fc.constantFrom(undefined, 3) })
      .map(({ endpoints, weight, outliers, ...options }) =>
        route({
          to: [{ endpoints, ...(weight === undefined ? {} : { weight }) }],
          ...options,
          ...(outliers === undefined ? {} : { outliers }),
        }),
      ),
    acting: fc.oneof(
      someEndpoints.map((endpoints) => route({ to: [{ endpoints }], outliers: { consecutive5xx: 1, baseEjectionTime: "100ms" } })),
      fc.record({ endpoints: someEndpoints, balance }).map(({ endpoints, ...options }) => route({ to: [{ endpoints }], ...options })),
      fc.constant(route({ to: [{ match: { methods: ["POST"] }, endpoints: ["http://10.0.0.1"] }] })),
      fc.constant(route({ to: [{ endpoints: [] }] })),
    ),
    holding: [
      { state: "in flight", layer: route({ to: [{ endpoints: ["http://10.0.0.1"] }] }), sent: 1 },
      {
        state: "waiting for the first answer of a source",
        layer: route({ to: [{ endpoints: () => new Promise<never>(() => undefined) }] }),
        sent: 0,
      },
    ],
    repeats: false,
  },
  sidecar: {
    // without an address it is no more than a line in the list; test/laws/seam.test.ts holds it to its own law
    healthy: fc.constant(sidecar()),
    acting: fc.constantFrom(sidecar(), sidecar({ fallback: "fail" })),
    holding: [{ state: "in flight", layer: sidecar(), sent: 1 }],
    repeats: false,
  },
  adopt: {
    healthy: adopted(
      () => cockatielRetry(handleAll, { maxAttempts: 2 }),
      () => circuitBreaker(handleAll, { halfOpenAfter: 1_000, breaker: new ConsecutiveBreaker(1) }),
      () => cockatielBulkhead(2, 1),
      () => cockatielTimeout(3_600_000, TimeoutStrategy.Aggressive),
      () => wrap(cockatielRetry(handleAll, { maxAttempts: 1 }), cockatielTimeout(3_600_000, TimeoutStrategy.Cooperative)),
      opossum,
      () => opossum({ timeout: 3_600_000, capacity: 1 }),
    ),
    acting: adopted(
      () => cockatielRetry(badResult, { maxAttempts: 2, backoff: new ConstantBackoff(20) }),
      () => cockatielRetry(handleAll, { maxAttempts: 2, backoff: new ConstantBackoff(0) }),
      () => circuitBreaker(handleAll, { halfOpenAfter: 100, breaker: new ConsecutiveBreaker(2) }),
      () => cockatielBulkhead(1, 1),
      () => cockatielTimeout(50, TimeoutStrategy.Aggressive),
      () => cockatielTimeout(50, TimeoutStrategy.Cooperative),
      () => wrap(cockatielRetry(badResult, { maxAttempts: 1 }), cockatielTimeout(50, TimeoutStrategy.Aggressive), cockatielBulkhead(1, 2)),
      () => opossum({ resetTimeout: 100 }),
      () => opossum({ resetTimeout: 100, timeout: 50, capacity: 2 }),
    ),
    holding: [
      { state: "in flight in cockatiel", layer: adopt(cockatielRetry(handleAll, { maxAttempts: 1 })), sent: 1 },
      {
        state: "in cockatiel's backoff",
        layer: adopt(cockatielRetry(handleAll, { maxAttempts: 1, backoff: new ConstantBackoff(3_600_000) }).dangerouslyUnref()),
        answers: [reset],
        sent: 1,
      },
      { state: "in cockatiel's queue", layer: adopt(cockatielBulkhead(1, 1)), before: inFlight, sent: 1 },
      { state: "in flight in opossum", layer: adopt(opossum({ timeout: 3_600_000 })), sent: 1 },
    ],
    repeats: true,
  },
};

/** Stacks of 1 to 6 layers in any order; `trace`, `idempotency` and `route` at most once, as definitions ask. */
export function stacks(field: "healthy" | "acting", keep: (kind: Kind) => boolean = () => true): fc.Arbitrary<readonly LayerDefinition[]> {
  const layers = fc.oneof(
    ...Object.values(kinds)
      .filter(keep)
      .map((kind) => kind[field]),
  );
  const single = ({ kind }: LayerDefinition): boolean => kind === "trace" || kind === "idempotency" || kind === "route";
  return fc
    .array(layers, { minLength: 1, maxLength: 6 })
    .map((list) => list.filter((layer, index) => !single(layer) || list.findIndex(({ kind }) => kind === layer.kind) === index));
}
