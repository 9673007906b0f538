// Pool: the endpoints of one target by priority levels, and the way to one of them.
import type { Call } from "../../call/call.ts";
import { newBalancer } from "./balance/balancer.ts";
import type { Balance, SlowStartOptions } from "./balance/definition.ts";
import type { Choice, Endpoint, Pool } from "./endpoint.ts";
import { isAvailable, type Level, newLevel, placeOf, recount, tellBalancer } from "./level.ts";
import { LOCALITY_RANKS, localityRank } from "./locality.ts";
import type { OutliersOptions } from "./outliers/definition.ts";
import { newOutliers } from "./outliers/detector.ts";
import { verdictOf } from "./outliers/verdict.ts";
import { levelAt, priorityLoads, type PriorityRule } from "./priority.ts";

/** What a pool goes by. Defaults: {@link poolDefaults}; no slow start, no locality, no outlier detection. */
export interface PoolOptions extends Partial<PriorityRule> {
  readonly balance?: Balance | undefined;
  readonly slowStart?: SlowStartOptions | undefined;
  /** Where this process runs (`ownLocality`): nearer endpoints come first. */
  readonly locality?: string | undefined;
  readonly outliers?: OutliersOptions | undefined;
}

/** The world of a pool. */
export interface PoolWorld {
  readonly random: () => number;
  /** Tells of a decision: `panicked`, `calmed`, and those of outlier detection. `call` is absent where no call was behind it. */
  readonly report: (call: Call | undefined, what: string, detail: Readonly<Record<string, unknown>>) => void;
}

export const poolDefaults = { balance: "least-request", overprovisioningFactor: 1.4, panicThreshold: 50 } as const;

/** A pool without endpoints. `now`: when outlier detection begins, on the clock of `Env.now`. */
export function newPool(options: PoolOptions, { random, report }: PoolWorld, now: number): Pool {
  const { balance = poolDefaults.balance, slowStart, locality } = options;
  const { overprovisioningFactor = poolDefaults.overprovisioningFactor, panicThreshold = poolDefaults.panicThreshold } = options;
  const outliers = options.outliers === undefined ? undefined : newOutliers(options.outliers, { random, changed, report }, now);
  let endpoints: readonly Endpoint[] = [];
  let levels: readonly Level[] = [];
  let levelOf = new Map<Endpoint, Level>();
  /** Something has changed since the last look. */
  let stale = false;
  /** When the first breaker lets calls through again. */
  let reopensAt = Number.POSITIVE_INFINITY;

  function update(all: readonly Endpoint[]): void {
    for (const endpoint of endpoints) endpoint.usable = false;
    endpoints = all;
    outliers?.update(all);
    const byOrder = new Map<number, Endpoint[]>();
    for (const endpoint of all) {
      if (!(endpoint.weight > 0)) continue;
      const order = endpoint.priority * LOCALITY_RANKS + localityRank(locality, endpoint.locality);
      const there = byOrder.get(order);
      if (there === undefined) byOrder.set(order, [endpoint]);
      else there.push(endpoint);
    }
    const old = new Map(levels.map((level) => [level.order, level]));
    levels = [...byOrder]
      .toSorted(([a], [b]) => a - b)
      .map(([order, members]) => {
        const level = old.get(order) ?? newLevel(order, newBalancer(balance, random, slowStart));
        level.setMembers(members);
        return level;
      });
    levelOf = new Map(levels.flatMap((level) => level.members.map((endpoint) => [endpoint, level])));
    stale = true;
  }

  function changed(endpoint: Endpoint): void {
    const level = levelOf.get(endpoint);
    if (level?.hasWeightOf(endpoint) === true) level.stale = stale = true;
    else if (level !== undefined || endpoints.includes(endpoint)) update(endpoints);
  }

  /** Who is available, which level takes how much, and who may be picked: found anew, before a pick, where something has changed. */
  function refresh(at: number): void {
    for (const level of levels) if (level.stale || at >= reopensAt) recount(level, at);
    reopensAt = Number.POSITIVE_INFINITY;
    for (const level of levels) reopensAt = Math.min(reopensAt, level.reopensAt);
    const loads = priorityLoads(levels, { overprovisioningFactor, panicThreshold });
    for (const [index, level] of levels.entries()) {
      const { load = 0, panic = false } = loads[index] ?? {};
      const turned = panic !== level.panic;
      level.load = load;
      level.panic = panic;
      if (level.stale || turned) tellBalancer(level, at);
      if (turned)
        report(undefined, panic ? "panicked" : "calmed", { ...placeOf(level), available: level.available, endpoints: level.endpoints });
    }
    stale = false;
  }

  function look(at: number): void {
    outliers?.sweep(at);
    if (stale || at >= reopensAt) refresh(at);
  }

  function levelFor({ hash }: Choice): Level | undefined {
    if ((levels[0]?.load ?? 100) === 100) return levels[0];
    return levels[levelAt(levels, hash === undefined ? random() * 100 : hash % 100)]; // by the hash, so that a key stays where it is
  }

  return {
    get endpoints() {
      return endpoints;
    },
    update,
    changed,
    pick: (choice) => {
      look(choice.now);
      const level = levelFor(choice);
      const endpoint = level?.balancer.pick(choice);
      if (endpoint !== undefined) return endpoint;
      // nobody there, or all of them were tried: another level, or else one of them again
      for (const other of levels) {
        const there = other === level ? undefined : other.balancer.pick(choice);
        if (there !== undefined) return there;
      }
      const { tried, now: at, hash } = choice;
      return tried === undefined || tried.size === 0 ? undefined : level?.balancer.pick({ now: at, hash });
    },
    settled: (endpoint, outcome, tookMs, at, call) => {
      const verdict = verdictOf(outcome);
      const isAborted = !outcome.ok && outcome.by === "caller"; // it would have taken at least so long
      if (verdict !== "nothing" || isAborted) levelOf.get(endpoint)?.balancer.settled?.(endpoint, verdict !== "success", tookMs, at);
      outliers?.settled(endpoint, outcome, at, call);
    },
    passed: (endpoint, at) => outliers?.passed(endpoint, at),
    status: (at) => {
      look(at);
      return {
        levels: levels.map((level) => Object.assign(placeOf(level), statusOf(level))),
        endpoints: endpoints.map((endpoint) => Object.assign(endpointStatus(endpoint, at), outliers?.status(endpoint, at))),
      };
    },
  };
}

const statusOf = ({ endpoints, available, load, panic }: Level) => ({ endpoints, available, load, panic });

const endpointStatus = (endpoint: Endpoint, at: number) => ({
  endpoint: endpoint.key,
  active: endpoint.active,
  available: isAvailable(endpoint, at),
  ...(endpoint.healthy ? {} : { healthy: false }),
  ...(endpoint.shutUntil > at ? { shut: true } : {}),
});
