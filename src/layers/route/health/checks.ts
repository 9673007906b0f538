// Health checks: asks each endpoint of a pool again and again, one question at a time, and says when it is well and when it is not.
//
// The endpoints that are there when checks begin are taken for well until a check says otherwise, so that the first calls have somewhere to go; one that
// joins later takes no calls before its first good check. Envoy takes all for unwell at first, and starts by panic. As there, the first check of an
// endpoint decides alone, and an answer that says no counts at once, while an answer that does not come has to fail to come several times.
import { setIdleTimer } from "../../../call/clock.ts";
import type { Env } from "../../../call/env.ts";
import { durationMs } from "../../../policy/duration.ts";
import type { Endpoint } from "../endpoint.ts";
import { healthDefaults, type HealthOptions } from "./definition.ts";
import { grpcProbe } from "./grpc.ts";
import { httpProbe } from "./http.ts";
import { noAnswer, type Probe, type Verdict } from "./probe.ts";

/** Who hears of checks: the pool, and telemetry. */
export interface HealthWorld {
  /** `healthy` of the endpoint has changed. */
  changed(endpoint: Endpoint): void;
  /** A check has passed, whether or not it was well before. */
  passed(endpoint: Endpoint, now: number): void;
  report(what: "healthy" | "unhealthy", detail: Readonly<Record<string, unknown>>): void;
  /** What calls say in Host or `:authority`; absent: the endpoint's own. */
  readonly authority?: string | undefined;
}

export interface HealthChecks {
  /** All endpoints anew. Those that are gone are not asked any more. */
  update(endpoints: readonly Endpoint[]): void;
  /** An attempt goes to one of them. Cheap. */
  used(): void;
  /** What is known of an endpoint, as plain JSON. */
  status(endpoint: Endpoint): Readonly<Record<string, unknown>>;
  /** Ends all questions. */
  close(): void;
}

/** One endpoint that is asked. */
interface Watched {
  /** Checks in a row that came out unlike `healthy`. */
  against: number;
  checked: boolean;
  /** Why it is not well. */
  why: string | undefined;
  timer: unknown;
  readonly closing: AbortController;
}

export function newHealthChecks(options: HealthOptions, env: Pick<Env, "now" | "timers" | "random">, world: HealthWorld): HealthChecks {
  const { intervalJitterPercent, unhealthyThreshold, healthyThreshold } = { ...healthDefaults, ...options };
  const [interval, initialJitter, noTrafficInterval, timeout] = (
    ["interval", "initialJitter", "noTrafficInterval", "timeout"] as const
  ).map((field) => durationMs(options[field] ?? healthDefaults[field])) as [number, number, number, number]; // the cast: as many come out as go in
  const probe: Probe = options.http === undefined ? grpcProbe(options.grpc, world.authority) : httpProbe(options.http, world.authority);
  const watched = new Map<Endpoint, Watched>();
  let begun = false;
  let usedAt = env.now();

  function soon(endpoint: Endpoint, it: Watched, inMs: number): void {
    it.timer = setIdleTimer(env.timers, () => void check(endpoint, it), inMs);
  }

  async function check(endpoint: Endpoint, it: Watched): Promise<void> {
    const verdict = await asked(endpoint, it.closing.signal);
    if (it.closing.signal.aborted) return;
    judge(endpoint, it, verdict);
    const idle = env.now() - usedAt > noTrafficInterval;
    soon(endpoint, it, (idle ? Math.max(interval, noTrafficInterval) : interval) * (1 + (intervalJitterPercent / 100) * env.random()));
  }

  async function asked(endpoint: Endpoint, closing: AbortSignal): Promise<Verdict> {
    const giving = new AbortController();
    const close = (): void => giving.abort(closing.reason);
    closing.addEventListener("abort", close, { once: true });
    const timer = setIdleTimer(env.timers, () => giving.abort(new Error(`no answer within ${timeout} ms`)), timeout);
    try {
      return await probe(endpoint.url, giving.signal);
    } catch (error) {
      return noAnswer(error); // what could not even be asked
    } finally {
      env.timers.clearTimer(timer);
      closing.removeEventListener("abort", close);
    }
  }

  function judge(endpoint: Endpoint, it: Watched, verdict: Verdict): void {
    const now = env.now();
    const first = !it.checked;
    it.checked = true;
    it.why = verdict.well ? undefined : verdict.why;
    if (verdict.well === endpoint.healthy) it.against = 0;
    else {
      it.against++;
      const needed = first || (!verdict.well && verdict.answered) ? 1 : verdict.well ? healthyThreshold : unhealthyThreshold;
      if (it.against >= needed) turn(endpoint, it, verdict, now);
    }
    if (verdict.well) world.passed(endpoint, now);
  }

  function turn(endpoint: Endpoint, it: Watched, verdict: Verdict, now: number): void {
    const checks = it.against;
    it.against = 0;
    endpoint.healthy = verdict.well;
    if (verdict.well) endpoint.since = now; // slow start counts from here
    world.changed(endpoint);
    world.report(verdict.well ? "healthy" : "unhealthy", { endpoint: endpoint.key, checks, ...(verdict.well ? {} : { why: verdict.why }) });
  }

  function leave(endpoint: Endpoint, { timer, closing }: Watched): void {
    env.timers.clearTimer(timer);
    closing.abort(new Error("the endpoint is not checked any more"));
    watched.delete(endpoint);
  }

  return {
    update: (endpoints) => {
      const staying = new Set(endpoints);
      const known = new Set([...watched.keys()].map(({ key }) => key)); // one that has moved to another priority has not come
      for (const [endpoint, it] of watched) if (!staying.has(endpoint)) leave(endpoint, it);
      for (const endpoint of endpoints) {
        if (watched.has(endpoint)) continue;
        const it: Watched = { against: 0, checked: false, why: undefined, timer: undefined, closing: new AbortController() };
        watched.set(endpoint, it);
        if (begun && endpoint.healthy && !known.has(endpoint.key)) {
          endpoint.healthy = false;
          world.changed(endpoint);
        }
        soon(endpoint, it, initialJitter * env.random());
      }
      begun ||= endpoints.length > 0;
    },
    used: () => {
      usedAt = env.now();
    },
    status: (endpoint) => {
      const it = watched.get(endpoint);
      if (it === undefined) return {};
      return { health: { checked: it.checked, healthy: endpoint.healthy, ...(it.why === undefined ? {} : { why: it.why }) } };
    },
    close: () => {
      for (const [endpoint, it] of watched) leave(endpoint, it);
    },
  };
}
