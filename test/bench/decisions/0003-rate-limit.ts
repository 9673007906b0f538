// Measures for docs/decisions/0003-rate-limit-is-gcra.md: bottleneck against the rateLimit layer.
import { alone } from "../../../src/call/build.ts";
import Bottleneck from "bottleneck";
import { rateLimit } from "../../../src/layers/rateLimit/definition.ts";
import { gcraRule, gcraSpend, gcraWait } from "../../../src/layers/rateLimit/gcra.ts";
import { buildRateLimit } from "../../../src/layers/rateLimit/runtime.ts";
import { env, healthy, microseconds, plainCall, scope, show } from "./measure.ts";

const call = plainCall();
const unlimited = new Bottleneck();
show(
  "bottleneck, no limit set: one job after the other",
  (await microseconds(() => unlimited.schedule(async () => 1), 100, 3)) / 1_000,
  "ms",
);
const began = performance.now();
await Promise.all(Array.from({ length: 1_000 }, () => unlimited.schedule(async () => 1)));
show("bottleneck, no limit set: 1,000 jobs at once", (1_000 * 1_000) / (performance.now() - began), "jobs/s");

const ours = alone(buildRateLimit(rateLimit({ rate: 1e9, per: "1s" }), env, scope("rateLimit")))(healthy);
show("premesh: a call that passes", await microseconds(() => ours(call)), "us");
show("premesh: the bare promise of that call", await microseconds(() => healthy(call)), "us");

const rule = gcraRule(1e9, 1_000, 1e9);
const cell = { due: 0 };
let now = 0;
const decisions = 2_000_000;
for (let n = 0; n < decisions; n++) if (gcraWait(cell, rule, now++) === 0) gcraSpend(cell, rule, now);
const start = performance.now();
for (let n = 0; n < decisions; n++) if (gcraWait(cell, rule, env.now()) === 0) gcraSpend(cell, rule, env.now());
show("premesh: one decision, clock included", ((performance.now() - start) * 1_000) / decisions, "us");

const window = new Bottleneck({ reservoir: 5, reservoirRefreshAmount: 5, reservoirRefreshInterval: 500 });
const from = performance.now();
await new Promise((resolve) => setTimeout(resolve, 480));
const times = await Promise.all(Array.from({ length: 10 }, () => window.schedule(async () => performance.now() - from)));
show('bottleneck, "5 per 500 ms": 10 jobs submitted 480 ms in, ran within', Math.max(...times) - Math.min(...times), "ms");
await window.disconnect();
await unlimited.disconnect();
process.exit(); // bottleneck's heartbeat would keep the process
