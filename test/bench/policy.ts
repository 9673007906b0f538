// The seven layers that the benches use: limits too high to be reached, so that every call is healthy and passes all of them.
import { breaker, bulkhead, definePolicy, rateLimit, retry, timeout, trace } from "../../src/index.ts";

export const LIMITS = {
  rate: 1e9,
  overallMs: 10_000,
  attempts: 3,
  windowMs: 10_000,
  openForMs: 5_000,
  concurrent: 100_000,
  attemptMs: 5_000,
};

export const sevenLayers = definePolicy({
  name: "seven",
  match: [{ host: "*" }],
  layers: [
    trace(),
    rateLimit({ rate: LIMITS.rate, per: "1s" }),
    timeout("10s"),
    retry({ attempts: LIMITS.attempts }),
    breaker({ trip: { failureRate: 0.5, minCalls: 20, window: "10s" }, openFor: "5s" }),
    bulkhead({ limit: LIMITS.concurrent }),
    timeout("5s"),
  ],
});
