// Healthy: the policy under which strangers' code must not notice premesh, and a client that has it for every host.
import {
  breaker,
  bulkhead,
  type Client,
  type ClientOptions,
  createClient,
  definePolicy,
  idempotency,
  type Policy,
  rateLimit,
  retry,
  timeout,
  trace,
} from "../../src/index.ts";

/** One layer of each kind that runs in the process, none of which has a reason to act. Backoffs are short, since tests wait for them. */
export const healthy: Policy = definePolicy({
  name: "healthy",
  match: [{ host: "*" }],
  layers: [
    trace(),
    rateLimit({ rate: 100_000, per: "1s", burst: 100_000 }),
    timeout("60s"),
    idempotency(),
    retry({ attempts: 3, backoff: { base: "1ms", max: "5ms" }, budget: { percent: 100, min: 100 } }),
    breaker({ trip: { failureRate: 0.99, minCalls: 100_000, window: "10s" }, openFor: "1s" }),
    bulkhead({ limit: 10_000 }),
    timeout("30s"),
  ],
});

export function healthyClient(options: Partial<ClientOptions> = {}): Client {
  return createClient({ policies: [healthy], ...options });
}

/** What a healthy policy may add to a request, and nothing else. */
export const ADDED_FIELDS: ReadonlySet<string> = new Set([
  "x-envoy-expected-rq-timeout-ms",
  "idempotency-key",
  "traceparent",
  "tracestate",
]);
