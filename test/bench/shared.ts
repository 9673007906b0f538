// Bench: a limit that processes share over a Redis: what a decision costs on the call's path, and whether eight processes use the limit, and no more, and fairly.
import { setTimeout as passed } from "node:timers/promises";
import Bottleneck from "bottleneck";
import { alone } from "../../src/call/build.ts";
import { newCall, type Next } from "../../src/call/call.ts";
import { monotonicNow, systemTimers } from "../../src/call/clock.ts";
import { seededRandom } from "../../src/call/env.ts";
import { newRecord } from "../../src/call/record.ts";
import { rateLimit } from "../../src/layers/rateLimit/definition.ts";
import { buildRateLimit } from "../../src/layers/rateLimit/runtime.ts";
import { redisStore } from "../../src/redis.ts";
import { runFleet } from "../harness/fleet.ts";
import { noRedis, openRedis } from "../harness/redis.ts";
import { scope } from "./decisions/measure.ts";
import { type Bench, median, type Row, shown } from "./kit.ts";

const ROUNDS = 9;
const ROUND_MS = 400;
const PER_MS = 20;
const answered = Promise.resolve({ ok: true, response: undefined } as const);
const next = (() => answered) as unknown as Next<unknown>; // the cast: a layer is generic in the response, and nobody looks at it

const call = newCall({
  record: newRecord({ policy: { name: "bench", layers: [] }, revision: "" }, "http", "bench", "GET", 0),
  metadata: { get: () => undefined },
  signal: undefined,
  idempotent: undefined,
  idempotencyKey: undefined,
  payload: { replayable: true },
  send: next,
});

/** Microseconds of CPU per call at 20,000 calls a second, leases and all else that the process does included. */
async function cpu(decide: () => unknown): Promise<number> {
  const began = performance.now();
  const before = process.cpuUsage();
  let made = 0;
  for (let ran = 0; ran < ROUND_MS; ran = performance.now() - began) {
    for (; made < ran * PER_MS; made++) decide();
    await passed(1);
  }
  const { user, system } = process.cpuUsage(before);
  return (user + system) / made;
}

/** Milliseconds per job, one after the other. */
async function jobs(limiter: Bottleneck, count: number): Promise<number> {
  const began = performance.now();
  for (let n = 0; n < count; n++) await limiter.schedule(() => Promise.resolve());
  return (performance.now() - began) / count;
}

async function measured(url: string): Promise<readonly Row[]> {
  const store = redisStore(url);
  const env = { now: monotonicNow, timers: systemTimers, random: seededRandom(1), report: () => undefined, shared: store };
  const limited = alone(buildRateLimit(rateLimit({ rate: 1e6, per: "1s", shared: true }), env, scope("rateLimit")))(next);
  const limiter = new Bottleneck({ id: "bench", datastore: "ioredis", clientOptions: { port: Number(new URL(url).port) }, reservoir: 1e9 });
  await limiter.ready();
  const [bare, shared, job]: [number[], number[], number[]] = [[], [], []];
  for (let round = -2; round < ROUNDS; round++) {
    const one = [await cpu(() => next(call)), await cpu(() => limited(call)), await jobs(limiter, 40)] as const;
    if (round < 0) continue;
    bare.push(one[0]);
    shared.push(one[1]);
    job.push(one[2]);
  }
  const over = shared.map((us, round) => us - (bare[round] ?? 0));
  await limiter.disconnect();
  await store.close();
  return [
    {
      figure: "a shared decision, leases included",
      value: shown(over, 2, " us"),
      peer: `a Bottleneck job over Redis ${shown(job, 1, " ms")}`,
      target: "at most 2 us",
      ok: median(over) <= 2,
    },
    ...(await fleet(url)),
  ];
}

const PROCESSES = 8;
const RATE = 500;
const BURST = 50;
const FOR_S = 10;

async function fleet(url: string): Promise<readonly Row[]> {
  const { counts, tookMs } = await runFleet(PROCESSES, {
    url,
    limit: { rate: RATE, per: "1s", burst: BURST },
    calls: 1,
    everyMs: 1_000 / 120,
    forMs: FOR_S * 1_000,
  });
  const each = counts.map(({ passed: through }) => through);
  const total = each.reduce((sum, one) => sum + one, 0);
  const limit = (RATE * tookMs) / 1_000;
  const share = Math.min(...each) / (limit / PROCESSES);
  const asked = `of ${counts.reduce((sum, one) => sum + one.passed + one.refused, 0)} asked, in ${(tookMs / 1_000).toFixed(2)} s`;
  return [
    {
      figure: `8 processes, ${RATE}/s, burst ${BURST}: passed, less the burst`,
      value: `${(((total - BURST) / limit) * 100).toFixed(1)} % of the limit`,
      peer: `${total} ${asked}`,
      target: "at most 101 %",
      ok: total - BURST <= limit * 1.01,
    },
    {
      figure: "of the limit used",
      value: `${((total / limit) * 100).toFixed(1)} %`,
      peer: "",
      target: "at least 95 %",
      ok: total >= limit * 0.95,
    },
    {
      figure: "the least that a process got",
      value: `${(share * 100).toFixed(0)} % of its fair share`,
      peer: each.toSorted((a, b) => a - b).join(", "),
      target: "at least 50 %",
      ok: share >= 0.5,
    },
  ];
}

export const bench: Bench = {
  title: "Shared rate limit over Redis",
  how: "a redis-server on loopback; CPU per call at 20,000 calls a second, 9 rounds, less a bare next; 8 processes that ask 960 times a second for 10 s",
  run: async () => {
    if (noRedis !== false) return [{ figure: "not run", value: noRedis, peer: "", target: "" }];
    const ends: (() => unknown)[] = [];
    const server = await openRedis({ after: (end) => void ends.push(end as () => unknown) }); // the cast: it takes no context
    try {
      return await measured(server.url);
    } finally {
      for (const end of ends) await end();
    }
  },
};
