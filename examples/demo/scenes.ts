// The scenes of the demo: what goes wrong, how calls arrive, and the policy that an engineer would give such a peer.
import { breaker, bulkhead, definePolicy, type LayerDefinition, type Policy, rateLimit, retry, timeout } from "../../src/index.ts";
import { type PeerKind, QUOTA } from "./peers.ts";

export interface Scene {
  readonly kind: PeerKind;
  /** What the peer does, in a line. */
  readonly what: string;
  /** What to look at. */
  readonly note: string;
  /** Share of the demo's time. */
  readonly share: number;
  /** Calls per second, `at` milliseconds into the scene. */
  readonly rate: (at: number) => number;
  /** From when to when the peer is down, as shares of the scene. */
  readonly down?: readonly [from: number, to: number];
  readonly policy: Policy;
}

/** How long a bare call waits; the whole call under the policy has the same time. */
export const PATIENCE_MS = 2_000;

const steady = (): number => 100;

/** The peer's words tell the engineer what to put between `retry` and the rest; nothing else is tuned to a scene. */
function policyFor(kind: PeerKind, extra: readonly LayerDefinition[] = []): Policy {
  return definePolicy({
    name: kind,
    layers: [
      timeout(`${PATIENCE_MS}ms`),
      retry({ attempts: 3, on: ["connect-failure", "refused-stream", "reset", "gateway-error", "unavailable", "resource-exhausted"] }),
      ...extra,
      // In production the window and openFor would be some ten times longer; here you would not live to see it close.
      breaker({ trip: [{ consecutive: 10 }, { failureRate: 0.5, minCalls: 20, window: "2s" }], openFor: "1s" }),
      timeout("300ms"),
    ],
  });
}

export const scenes: readonly Scene[] = [
  {
    kind: "errors",
    what: "15 % of the answers are 503, 2 % are 500",
    note: "503 is worth another attempt, 500 is not (unless you say so)",
    share: 5,
    rate: steady,
    policy: policyFor("errors"),
  },
  {
    kind: "resets",
    what: "10 % of requests are reset, 1 % in the middle of the body",
    note: "an answer that has begun is yours: nobody retries it behind your back",
    share: 4,
    rate: steady,
    policy: policyFor("resets"),
  },
  {
    kind: "tails",
    what: "2 % are never answered, 6 % take 100 to 250 ms",
    note: "an attempt without an answer is given up after 300 ms and made again",
    share: 5,
    rate: steady,
    policy: policyFor("tails"),
  },
  {
    kind: "overload",
    what: `takes ${QUOTA.rate}/s with ${QUOTA.workers} workers, else 429 or 503 with Retry-After: 1`,
    note: "calls come in waves; under the policy they wait here instead of being refused there",
    share: 6,
    rate: (at) => (at % 2_000 < 1_000 ? 130 : 10), // 70/s on average
    policy: policyFor("overload", [
      // The peer's documented quota, a little below it, and its workers. Inside retry, since the peer counts requests, not calls.
      rateLimit({ rate: QUOTA.rate - 4, per: "1s", burst: QUOTA.burst - 4, queue: { size: 100, timeout: "1s" } }),
      bulkhead({ limit: QUOTA.workers, queue: { size: 100, timeout: "1s" } }),
    ]),
  },
  {
    kind: "outage",
    what: "healthy, then hangs, then is restarted",
    note: "nobody can answer for a dead peer; the breaker fails fast, spares the peer, and finds out a little late that it is back",
    share: 10,
    rate: steady,
    down: [0.25, 0.6],
    policy: policyFor("outage"),
  },
];
