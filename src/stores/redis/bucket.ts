// Bucket: a token bucket in Redis, kept by Bottleneck's scripts; the one file that loads Bottleneck.
//
// A job of Bottleneck's is three scripts, four timers and, where another process was quicker between two of the scripts, a wait that nothing ends. So no jobs
// are run: a lease is the one script that matters, `register`, which takes a weight from the reservoir or says that it is not there. What else of Bottleneck
// is closed here, and why its scripts are used at all, stands in docs/decisions/0008-shared-limits-are-leased.md.
import Bottleneck from "bottleneck";
import type { Redis } from "ioredis";

/** The parts of a limiter's store that are used. They are private: package.json pins the version, and test/engines/bottleneck.test.ts holds their shape. */
interface Store {
  __register__(index: string, weight: number, expiration: number): Promise<{ readonly success: boolean }>;
  __currentReservoir__(): Promise<number | null>;
  __incrementReservoir__(units: number): Promise<unknown>;
}

export interface Bucket {
  /** Takes so many units, or nothing. */
  take(units: number): Promise<boolean>;
  /** How many units are there. */
  left(): Promise<number>;
  giveBack(units: number): Promise<unknown>;
  /** The key of the processes that were seen of late. */
  readonly seenKey: string;
  forget(): void;
}

/** What opens the buckets of one connection. */
export type OpenBucket = (id: string, size: number) => Promise<Bucket>;

/** Units that flow into every bucket in a millisecond. It is the same for all, and what a permit costs is said with each lease: so no client's rate is stored. */
export const UNITS_PER_MS = 1_000;

/** After so long without a script of a process, it does not count among those that use the limit. */
const SEEN_FOR_MS = 10_000;

/** A taken lease is over at once for Bottleneck, which would count it as running. */
const OVER_MS = 1;

const LONGEST_TIMER_MS = 2_147_483_647;
const SHORTEST_KEPT_MS = 60_000;

const CLIENTS_CLOCK = "local now = tonumber(ARGV[1])";

/**
 * The server's clock in place of the client's, so that a process whose clock is wrong neither fills nor starves the bucket. A last refill that lies ahead of it,
 * since that clock was set back, is taken for now.
 */
const SERVERS_CLOCK = `local clock = redis.call('time')
local now = tonumber(clock[1]) * 1000 + math.floor(tonumber(clock[2]) / 1000)
local refilled = tonumber(redis.call('hget', settings_key, 'lastReservoirIncrease'))
if refilled ~= nil and refilled > now + 1000 then redis.call('hset', settings_key, 'lastReservoirIncrease', now) end`;

/** Needs a connection that is up. */
export function newBuckets(redis: Redis): OpenBucket {
  const connection = new Bottleneck.IORedisConnection({ client: facade(redis) });
  return async (id, size) => {
    const refillMs = Math.ceil(size / UNITS_PER_MS);
    const limiter = new Bottleneck({
      id,
      connection,
      reservoir: size,
      reservoirIncreaseInterval: 1,
      reservoirIncreaseAmount: UNITS_PER_MS,
      reservoirIncreaseMaximum: size,
      timeout: Math.max(SHORTEST_KEPT_MS, 2 * refillMs), // a bucket that is full is as good as none
      clientTimeout: SEEN_FOR_MS,
      heartbeatInterval: LONGEST_TIMER_MS,
    });
    limiter.on("error", () => undefined); // whoever asked hears it
    const store = (limiter as unknown as { readonly _store: Store })._store; // the cast: see Store
    try {
      await limiter.ready();
      await Promise.resolve(limiter.updateSettings({ reservoirIncreaseMaximum: size })); // else that of whoever came first would hold. Its types know of no promise
    } catch (error) {
      void limiter.disconnect(false);
      throw error;
    }
    let taken = 0;
    return {
      take: async (units) => (await store.__register__(`${++taken}`, units, OVER_MS)).success,
      left: async () => (await store.__currentReservoir__()) ?? 0,
      giveBack: (units) => store.__incrementReservoir__(units),
      seenKey: `b_${id}_client_last_seen`,
      forget: () => void limiter.disconnect(false),
    };
  };
}

type Command = (...args: unknown[]) => unknown;
type Answer = (error: Error | null, reply?: unknown) => void;

/** Redis 7 puts ERR before what a script says; without it Bottleneck knows that it is to set up a bucket again that was flushed or has expired. */
const SAID = /^ERR (?=(?:SETTINGS_KEY_NOT_FOUND|UNKNOWN_CLIENT)$)/;

const heard =
  (answer: Answer): Answer =>
  (error, reply) => {
    if (error !== null && SAID.test(error.message)) error.message = error.message.replace(SAID, "");
    answer(error, reply);
  };

/** What Bottleneck sees of a client: scripts go by the server's clock, and there is no subscriber, since nobody waits for a message. */
function facade(redis: Redis): object {
  const quiet = {
    status: "ready",
    setMaxListeners: () => quiet,
    on: () => quiet,
    subscribe: (_channel: string, done: () => void) => done(),
    unsubscribe: () => Promise.resolve(),
    disconnect: () => undefined,
  };
  const seen: Record<string, unknown> = {
    ...quiet,
    duplicate: () => quiet,
    defineCommand: (name: string, { lua }: { readonly lua: string }) => {
      if (!lua.includes(CLIENTS_CLOCK)) throw new Error(`Bottleneck's script ${name} does not read the clock where it did`);
      redis.defineCommand(`bottleneck_${name}`, { lua: lua.replace(CLIENTS_CLOCK, SERVERS_CLOCK) });
      const command = (redis as unknown as Record<string, Command>)[`bottleneck_${name}`]; // the cast: it was just defined
      seen[name] = (...args: unknown[]) => command?.apply(redis, [...args.slice(0, -1), heard(args.at(-1) as Answer)]); // the cast: Bottleneck ends with its callback
    },
  };
  return seen;
}
