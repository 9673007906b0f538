// Peak-EWMA: of two endpoints drawn at random the one where an attempt would take less time, by its latency of late and the attempts under way.
// Finagle's and Linkerd's measure (https://linkerd.io/2016/03/16/beyond-round-robin-load-balancing-for-latency/): it rises to a peak at once and
// forgets it slowly, so that an endpoint that has become slow is left with its first slow answer, and tried again when the peak has faded. Weighed
// against least-request, which learns of a slow endpoint only while attempts pile up there.
import type { Balancer, Endpoint } from "../endpoint.ts";
import { newSampler } from "./sampler.ts";
import type { Shares } from "./slow-start.ts";

export interface PeakEwmaRule {
  /** How long a latency counts: after this time 37 % of it are left. */
  readonly decayMs: number;
  /** What is taken for the latency of an endpoint that is not known yet. */
  readonly defaultRttMs: number;
}

export function peakEwmaBalancer(random: () => number, shares: Shares, { decayMs, defaultRttMs }: PeakEwmaRule): Balancer {
  const sampler = newSampler(random, shares);
  let meanWeight = 1;
  const faded = ({ latencyMs, latencyAt }: Endpoint, now: number): number =>
    now <= latencyAt ? latencyMs : latencyMs * Math.exp((latencyAt - now) / decayMs);
  // the weights are in the draw already; here they say how much of the load an endpoint can bear
  const cost = (endpoint: Endpoint, now: number): number =>
    faded(endpoint, now) * ((endpoint.active * meanWeight) / (endpoint.weight * shares.part(endpoint, now)) + 1);
  return {
    update: (members, usable) => {
      let sum = 0;
      for (const endpoint of members) {
        if (endpoint.latencyMs === 0) endpoint.latencyMs = defaultRttMs;
        sum += endpoint.weight;
      }
      meanWeight = sum / members.length;
      sampler.update(usable);
    },
    pick: (choice) => {
      const first = sampler.first(choice);
      if (first === undefined) return undefined;
      const second = sampler.second(choice, first);
      return second === undefined || cost(first, choice.now) <= cost(second, choice.now) ? first : second;
    },
    settled: (endpoint, failed, tookMs, now) => {
      const { latencyMs } = endpoint;
      // a failure is often fast, but that makes nothing of the endpoint: it cannot look better by failing, and its latency does not fade meanwhile
      if (failed) endpoint.latencyMs = Math.max(latencyMs, tookMs);
      else {
        const before = faded(endpoint, now);
        const kept = latencyMs === 0 ? 1 : before / latencyMs;
        endpoint.latencyMs = tookMs > before ? tookMs : before + tookMs * (1 - kept);
      }
      if (now > endpoint.latencyAt) endpoint.latencyAt = now;
    },
  };
}
