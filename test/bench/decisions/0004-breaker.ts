// Measures for docs/decisions/0004-breaker-state-machine.md: opossum's circuit against the breaker layer.
import { alone } from "../../../src/call/build.ts";
import CircuitBreaker from "opossum";
import { breaker } from "../../../src/layers/breaker/definition.ts";
import { buildBreaker } from "../../../src/layers/breaker/runtime.ts";
import { errorOutcome } from "../../../src/call/classify.ts";
import type { Next } from "../../../src/call/call.ts";
import { after, env, healthy, microseconds, plainCall, scope, show } from "./measure.ts";

const call = plainCall();
const circuit = new CircuitBreaker(async () => 1, { timeout: false, rollingPercentilesEnabled: false });
const ours = alone(buildBreaker(breaker(), env, scope("breaker")))(healthy);
show("opossum: a healthy fire, percentiles off", await microseconds(() => circuit.fire()), "us");
show("premesh: a healthy call", await microseconds(() => ours(call)), "us");
circuit.shutdown();

type Work = [ms: number, fails: boolean];
const work = (...[ms, fails]: Work): Promise<number> =>
  new Promise((resolve, reject) => (ms === 0 ? undefined : setTimeout(() => (fails ? reject(new Error("x")) : resolve(1)), ms)));
const opened = async (breakerOptions: object): Promise<CircuitBreaker<Work, number>> => {
  const made = new CircuitBreaker<Work, number>(work, { timeout: false, resetTimeout: 50, ...breakerOptions });
  await made.fire(1, true).catch(() => undefined);
  return made;
};

const hung = await opened({});
await after(80);
void hung.fire(0, false).catch(() => undefined);
await after(300);
show(
  "opossum: 300 ms into a hung probe (resetTimeout 50 ms), a call gets",
  await hung.fire(1, false).then(String, (e: Error) => e.message),
);
hung.shutdown();

const stale = new CircuitBreaker<Work, number>(work, { timeout: false, resetTimeout: 50 });
const old = stale.fire(200, false);
for (let n = 0; n < 2; n++) await stale.fire(1, true).catch(() => undefined);
await after(100);
const wasHalfOpen = stale.halfOpen;
await old;
show("opossum: half-open, then a call from before the opening succeeds: closed", wasHalfOpen && stale.closed);
stale.shutdown();

const source = new CircuitBreaker<Work, number>(work, { timeout: false, resetTimeout: 300 });
await after(400);
await source.fire(1, true).catch(() => undefined);
const { state } = (source as unknown as { toJSON(): { state: object } }).toJSON(); // the cast: missing in the types
const imported = new CircuitBreaker<Work, number>(work, { timeout: false, resetTimeout: 300, state } as object);
show("opossum: a breaker exported open is imported as", imported.halfOpen ? "half-open" : imported.opened ? "open" : "closed");
source.shutdown();
imported.shutdown();

const full = new CircuitBreaker<Work, number>(work, { timeout: false, capacity: 1 });
await Promise.allSettled([full.fire(20, false), full.fire(20, false), full.fire(20, false)]);
show("opossum: capacity 1, three healthy calls at once: opened", full.opened);
full.shutdown();

for (const rollingPercentilesEnabled of [true, false]) {
  const many = new CircuitBreaker(async (fails: boolean) => (fails ? Promise.reject(new Error("x")) : 1), {
    rollingPercentilesEnabled,
    timeout: false,
    enableSnapshots: false,
    errorThresholdPercentage: 100,
    rollingCountTimeout: 60_000,
  });
  for (let n = 0; n < 20_000; n++) await many.fire(false);
  const began = performance.now();
  for (let n = 0; n < 20; n++) await many.fire(true).catch(() => undefined);
  show(
    `opossum: one failed call at 20,000 samples, percentiles ${rollingPercentilesEnabled ? "on" : "off"}`,
    (performance.now() - began) / 20,
    "ms",
  );
  many.shutdown();
}

const failures: Next<unknown> = () => Promise.resolve(errorOutcome({ code: "ECONNRESET" }, true));
const neverOpen = breaker({ trip: { failureRate: 1, minCalls: 1_000_000, window: "1m" } });
const failed = alone(buildBreaker(neverOpen, env, scope("breaker")))(failures);
show("premesh: one failed call, 140,000 calls in the window", await microseconds(() => failed(call)), "us");

/** Bytes and idle CPU of many breakers that nobody calls. */
async function idle(what: string, make: () => unknown): Promise<void> {
  globalThis.gc?.();
  const heap = process.memoryUsage().heapUsed;
  const all = Array.from({ length: 10_000 }, make);
  globalThis.gc?.();
  show(`${what}: bytes of one of 10,000`, (process.memoryUsage().heapUsed - heap) / all.length, "B");
  await after(500);
  const cpu = process.cpuUsage();
  await after(3_000);
  const { user, system } = process.cpuUsage(cpu);
  show(`${what}: CPU of 10,000 idle ones`, (user + system) / 30_000, "% of a core");
  for (const one of all) if (one instanceof CircuitBreaker) one.shutdown();
}
const plan = buildBreaker(breaker(), env, scope("breaker"));
await idle("premesh", () => plan.layer(plan.newState()));
await idle("opossum", () => new CircuitBreaker(async () => 1, { timeout: false, rollingPercentilesEnabled: false }));
