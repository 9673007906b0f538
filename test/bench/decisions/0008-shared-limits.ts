// Measures for docs/decisions/0008-shared-limits-are-leased.md: leases as jobs of Bottleneck's, and as what premesh/redis makes of its scripts.
import { setTimeout as passed } from "node:timers/promises";
import Bottleneck from "bottleneck";
import { Redis } from "ioredis";
import { redisStore } from "../../../src/redis.ts";
import { noRedis, openRedis } from "../../harness/redis.ts";
import { settledWithin, show } from "./measure.ts";

if (noRedis !== false) throw new Error(noRedis);
const ends: (() => unknown)[] = [];
const { port, url } = await openRedis({ after: (end) => void ends.push(end as () => unknown) }); // the cast: it takes no context
const redis = new Redis(url);
const ROUNDS = 200;

async function commandsOf(work: () => Promise<unknown>): Promise<number> {
  const scripts = async (): Promise<number> => Number(/cmdstat_evalsha:calls=(\d+)/.exec(await redis.info("commandstats"))?.[1] ?? 0);
  const before = await scripts();
  await work();
  return (await scripts()) - before;
}

async function timed(what: string, once: () => Promise<unknown>): Promise<void> {
  for (let n = 0; n < 20; n++) await once();
  const began = performance.now();
  const scripts = await commandsOf(async () => {
    for (let n = 0; n < ROUNDS; n++) await once();
  });
  show(`${what}: one after the other`, (performance.now() - began) / ROUNDS, "ms");
  show(`${what}: scripts for each`, scripts / ROUNDS);
}

const job = (id: string): Bottleneck =>
  new Bottleneck({
    id,
    datastore: "ioredis",
    clientOptions: { port },
    reservoir: 50_000,
    reservoirIncreaseInterval: 1,
    reservoirIncreaseAmount: 1_000,
    reservoirIncreaseMaximum: 50_000,
    highWater: 0,
    strategy: Bottleneck.strategy.OVERFLOW, // a job for which there is no room is dropped at once
  });

const one = job("plenty");
await one.ready();
await timed("a job of weight 1", () => one.schedule({ weight: 1 }, () => Promise.resolve()));
const store = redisStore(url);
const limit = store.limit("plenty", { intervalMs: 0.001, burst: 1e6 });
await timed("a lease", () => limit.take(1, 1));

// Eight who share one limit and want 4 permits every 25 ms: 1,280 a second where 500 flow.
const eight = Array.from({ length: 8 }, () => job("scarce"));
await Promise.all(eight.map((limiter) => limiter.ready()));
let [ran, dropped, stuck] = [0, 0, 0];
await Promise.all(
  eight.map(async (limiter) => {
    for (let n = 0; n < 100; n++) {
      const leased = limiter
        .schedule({ weight: 8_000 }, () => Promise.resolve())
        .then(
          () => ran++,
          () => dropped++,
        );
      if (!(await settledWithin(leased, 50))) stuck++;
      await passed(15 + Math.random() * 20);
    }
  }),
);
show("eight who want more than there is, as jobs: ran", ran);
show("dropped at once, since there was no room", dropped);
show("in neither state after 50 ms: another was quicker between two scripts", stuck);
for (const limiter of [one, ...eight]) await limiter.disconnect(false);
await store.close();
redis.disconnect();
for (const end of ends) await end();
process.exit(); // Bottleneck's jobs that are stuck would keep the process
