// Measures for docs/decisions/0001-retry-loop-is-ours.md: cockatiel's retry against the retry layer.
import { alone } from "../../../src/call/build.ts";
import { ConstantBackoff, ExponentialBackoff, handleAll, noJitterGenerator, retry as cockatielRetry } from "cockatiel";
import type { Next } from "../../../src/call/call.ts";
import { errorOutcome } from "../../../src/call/classify.ts";
import { retry } from "../../../src/layers/retry/definition.ts";
import { buildRetry } from "../../../src/layers/retry/runtime.ts";
import { after, env, healthy, microseconds, plainCall, scope, show } from "./measure.ts";

const failing = (count: () => void): Next<unknown> => {
  const failure = errorOutcome(Object.assign(new Error("reset"), { code: "ECONNRESET" }), true);
  return () => {
    count();
    return Promise.resolve(failure);
  };
};
const boom = (): never => {
  throw new Error("boom");
};
const call = plainCall();

const theirs = cockatielRetry(handleAll, { maxAttempts: 2, backoff: new ConstantBackoff(0) });
const ours = alone(buildRetry(retry(), env, scope("retry")))(healthy);
show("cockatiel: a healthy call", await microseconds(() => theirs.execute(() => 1)), "us");
show("premesh: a healthy call", await microseconds(() => ours(call)), "us");

const oursZero = alone(buildRetry(retry({ backoff: { base: "0ms", max: "0ms" }, budget: false }), env, scope("retry")))(
  failing(() => undefined),
);
show("cockatiel: 2 retries, backoff 0", await microseconds(() => theirs.execute(boom).catch(() => undefined), 100), "us");
show("premesh: 2 retries, backoff 0", await microseconds(() => oursZero(call), 100), "us");

async function abortInBackoff(run: (signal: AbortSignal, count: () => void) => Promise<unknown>): Promise<string> {
  const abort = new AbortController();
  let calls = 0;
  const began = performance.now();
  const running = run(abort.signal, () => calls++).catch(() => undefined);
  await after(20);
  abort.abort();
  await running;
  return `settled ${Math.round(performance.now() - began - 20)} ms after the abort, ${calls} calls in all`;
}
const slow = cockatielRetry(handleAll, { maxAttempts: 3, backoff: new ConstantBackoff(300) });
show(
  "cockatiel: abort 20 ms into a backoff of 300 ms",
  await abortInBackoff((signal, count) =>
    slow.execute(() => {
      count();
      boom();
    }, signal),
  ),
);
show(
  "premesh: abort 20 ms into a backoff of 300 ms",
  await abortInBackoff((signal, count) =>
    alone(buildRetry(retry({ backoff: { base: "5m", max: "5m" }, budget: false }), env, scope("retry")))(failing(count))(plainCall(signal)),
  ),
);

let step = new ExponentialBackoff({ generator: noJitterGenerator, initialDelay: 25, maxDelay: 250 }).next();
const schedule = Array.from({ length: 5 }, () => {
  const { duration } = step;
  step = step.next(undefined);
  return duration;
});
show("cockatiel's exponential schedule, 25 ms to 250 ms (kept)", schedule.join(", "), "ms");
