// Scenarios with a name: what most often goes wrong with a peer.
import type { Scenario } from "./scenario.ts";

/** The names. */
export type ScenarioName = "none" | "flaky" | "slow" | "brownout" | "outage" | "overload";

/** What each is, in a line, and how it goes at a rate of calls per second. */
export const scenarios: {
  readonly [N in ScenarioName]: { readonly what: string; readonly at: (rate: number) => Scenario };
} = {
  none: { what: "nothing goes wrong", at: (rate) => ({ rate, for: "5m" }) },
  flaky: {
    what: "all along 2 % of the attempts get a 503, 0.5 % are reset and 0.2 % never answered",
    at: (rate) => ({ rate, for: "5m", upstream: { statuses: { "503": 2 }, reset: 0.5, hang: 0.2 } }),
  },
  slow: {
    what: "for two minutes every tenth answer takes seconds",
    at: (rate) => ({
      rate,
      phases: [
        { name: "healthy", for: "1m" },
        { name: "slow", for: "2m", latency: { p50: "300ms", p99: "8s" } },
        { name: "healthy", for: "2m" },
      ],
    }),
  },
  brownout: {
    what: "for two minutes 40 % of the attempts get a 503, and the others take three times as long",
    at: (rate) => ({
      rate,
      phases: [
        { name: "healthy", for: "1m" },
        { name: "brownout", for: "2m", statuses: { "503": 40 }, latency: { p50: "60ms", p99: "300ms" } },
        { name: "healthy", for: "2m" },
      ],
    }),
  },
  outage: {
    what: "for a minute nothing answers: most attempts find no connection, the others hang",
    at: (rate) => ({
      rate,
      phases: [
        { name: "healthy", for: "1m" },
        { name: "down", for: "1m", refuse: 80, hang: 20 },
        { name: "healthy", for: "3m" },
      ],
    }),
  },
  overload: {
    what: "for a minute twice as many calls come as the peer can bear; it queues them and works on for callers that have gone",
    at: (rate) => ({
      rate,
      patience: "5s",
      // busy for 60 % of the time, without the rush
      upstream: { latency: { mean: "100ms" }, capacity: Math.max(1, Math.ceil((rate * 0.1) / 0.6)) },
      phases: [
        { name: "normal", for: "1m" },
        { name: "rush", for: "1m", load: 2.5 },
        { name: "normal", for: "3m" },
      ],
    }),
  },
};
