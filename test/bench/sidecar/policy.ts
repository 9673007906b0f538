// The seven layers of the sidecar's benches: those of the design's example, with limits that are never reached.
import type { Policy } from "../../../src/index.ts";

export const seven = (upstream: number): readonly Policy[] => [
  {
    name: "seven",
    match: [{ host: "*" }, { service: "*" }],
    layers: [
      { kind: "trace" },
      { kind: "rateLimit", rate: 1e9, per: "1s" },
      { kind: "timeout", after: "10s" },
      { kind: "retry", attempts: 3 },
      { kind: "breaker", trip: { failureRate: 0.5, minCalls: 20, window: "10s" }, openFor: "5s" },
      { kind: "timeout", after: "5s" },
      { kind: "route", to: [{ endpoints: [`http://127.0.0.1:${upstream}`] }], balance: "least-request" },
    ],
  },
];
