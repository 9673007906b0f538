// Hundreds of endpoints in virtual time: calls arrive at random, are sent where the pool says, wait their turn there, and are answered.
import { seededRandom } from "../../src/call/env.ts";
import type { Outcome } from "../../src/call/outcome.ts";
import type { Endpoint } from "../../src/layers/route/endpoint.ts";
import { newPool, type PoolOptions } from "../../src/layers/route/pool.ts";
import { quantile } from "../bench/kit.ts";
import { answered } from "../layers/route/outcomes.ts";

/** What a server does with a call that it takes up at a time. */
export interface Service {
  readonly tookMs: number;
  readonly status: number;
}

export interface Simulated {
  readonly endpoints: readonly Endpoint[];
  readonly pool: PoolOptions;
  readonly seed?: number;
  /** Calls in a second, of all clients. */
  readonly rate: number;
  readonly forMs: number;
  /** How many calls a server works on at a time; others wait there. Default: any number. */
  readonly workers?: number;
  /** `random`: the dice of the servers, not those of the pool. */
  readonly serve: (endpoint: Endpoint, now: number, random: () => number) => Service;
  /** Each millisecond that a call arrives or ends in. */
  readonly watch?: (now: number) => void;
  /** What happens to the world at a time: endpoints that come and go. */
  readonly at?: readonly (readonly [ms: number, what: (pool: ReturnType<typeof newPool>) => void])[];
}

export interface Seen {
  readonly endpoint: Endpoint;
  /** When it was sent. */
  readonly since: number;
  readonly tookMs: number;
  readonly status: number;
}

interface Told {
  readonly what: string;
  readonly now: number;
  readonly out: number;
  readonly detail: Readonly<Record<string, unknown>>;
}

export interface Result {
  readonly calls: readonly Seen[];
  /** How many calls found nobody. */
  readonly lost: number;
  /** What the pool has told; `out`: how many endpoints were ejected then. */
  readonly told: readonly Told[];
}

export function simulate({ endpoints, pool: options, seed = 1, rate, forMs, workers, serve, watch, at = [] }: Simulated): Result {
  const arrivals = seededRandom(seed + 1);
  const dice = seededRandom(seed + 2);
  const queue = newQueue();
  const calls: Seen[] = [];
  const told: Told[] = [];
  let now = 0;
  let lost = 0;
  const report = (_call: unknown, what: string, detail: Readonly<Record<string, unknown>>): void => {
    told.push({ what, now, out: endpoints.filter(({ ejected }) => ejected).length, detail });
  };
  const pool = newPool(options, { random: seededRandom(seed), report }, now);
  pool.update(endpoints, now);
  /** When each worker of a server is free again. */
  const free = new Map<Endpoint, number[]>();

  function finishes(endpoint: Endpoint, tookMs: number): number {
    if (workers === undefined) return now + tookMs;
    const all = free.get(endpoint) ?? Array.from({ length: workers }, () => 0);
    free.set(endpoint, all);
    const first = all.indexOf(Math.min(...all));
    const end = Math.max(now, all[first] ?? 0) + tookMs;
    all[first] = end;
    return end;
  }

  function send(): void {
    const endpoint = pool.pick({ now });
    if (endpoint === undefined) {
      lost++;
      return;
    }
    const since = now;
    endpoint.active++;
    const { tookMs, status } = serve(endpoint, now, dice);
    const outcome: Outcome<unknown> = answered(status);
    queue.add(finishes(endpoint, tookMs), () => {
      endpoint.active--;
      pool.settled(endpoint, outcome, now - since, now);
      calls.push({ endpoint, since, tookMs: now - since, status });
    });
  }

  function arrive(): void {
    send();
    const next = now - Math.log(1 - arrivals()) * (1_000 / rate);
    if (next < forMs) queue.add(next, arrive);
  }

  for (const [ms, what] of at) queue.add(ms, () => what(pool));
  queue.add(0, arrive);
  for (let next = queue.take(); next !== undefined; next = queue.take()) {
    ({ at: now } = next);
    next.run();
    watch?.(now);
  }
  return { calls, lost, told };
}

/** An exponentially distributed time, as servers take. */
export const aroundMs = (mean: number, random: () => number): number => -Math.log(1 - random()) * mean;

export const latency = (calls: readonly Seen[], q: number): number =>
  quantile(
    calls.map(({ tookMs }) => tookMs),
    q,
  );

interface Event {
  readonly at: number;
  readonly nth: number;
  readonly run: () => void;
}

/** What is to come, the earliest first; what is due at the same time in the order in which it was added. */
function newQueue() {
  const heap: Event[] = [];
  let added = 0;
  const isBefore = (a: Event | undefined, b: Event | undefined): boolean =>
    a !== undefined && b !== undefined && (a.at < b.at || (a.at === b.at && a.nth < b.nth));
  function swap(a: number, b: number): void {
    [heap[a], heap[b]] = [heap[b] as Event, heap[a] as Event]; // the casts: both are places of the heap
  }
  return {
    add(at: number, run: () => void): void {
      let place = heap.push({ at, nth: added++, run }) - 1;
      for (let parent = (place - 1) >> 1; place > 0 && isBefore(heap[place], heap[parent]); parent = (place - 1) >> 1) {
        swap(place, parent);
        place = parent;
      }
    },
    take(): Event | undefined {
      if (heap.length <= 1) return heap.pop();
      swap(0, heap.length - 1);
      const first = heap.pop();
      for (let place = 0; ;) {
        const left = 2 * place + 1;
        const child = isBefore(heap[left + 1], heap[left]) ? left + 1 : left;
        if (!isBefore(heap[child], heap[place])) return first;
        swap(place, child);
        place = child;
      }
    },
  };
}
