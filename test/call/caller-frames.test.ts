// Caller frames: whoever gets an error sees in its stack who made the call.
import assert from "node:assert/strict";
import test from "node:test";
import { addCallerFrames } from "../../src/call/caller-frames.ts";
import { createClient, definePolicy, PolicyError, retry, timeout } from "../../src/index.ts";
import { closedPort, openUpstream } from "../harness/upstream.ts";
import { stoppedTime } from "../harness/time.ts";

const policy = definePolicy({ name: "traced", match: [{ host: "*" }], layers: [timeout("10s"), retry({ attempts: 1 }), timeout("1s")] });

async function theirFunction(call: () => Promise<unknown>): Promise<Error> {
  try {
    await call();
  } catch (error) {
    assert.ok(error instanceof Error);
    return error;
  }
  return assert.fail("nothing was thrown");
}

const framesOf = (error: Error): number => error.stack?.split("at async theirFunction").length ?? 0;

test("the stack of fetch's own error names the caller, once", async () => {
  const client = createClient({ policies: [policy] });
  const url = await closedPort();
  const error = await theirFunction(() => client.fetch(url));
  assert.equal(error.message, "fetch failed");
  assert.equal(framesOf(error), 2);
});

test("the stack of a timeout names the caller, though a timer made it", async (t) => {
  const time = stoppedTime(t);
  const upstream = await openUpstream(t, ["hang"]);
  const client = createClient({ policies: [policy] });
  const caught = theirFunction(() => client.fetch(upstream.url));
  await upstream.arrived(1);
  await time.pass(1_000);
  const error = await caught;
  assert.ok(error instanceof PolicyError);
  assert.equal(framesOf(error), 2);
});

test("an error that is thrown for many calls does not grow, and a frozen one stays", async () => {
  const shared = new TypeError("always the same");
  const client = createClient({ policies: [policy], fetch: () => Promise.reject(shared) });
  const again = async (): Promise<unknown> => client.fetch("http://a.test/", { method: "POST" });
  for (let call = 0; call < 3; call++) await theirFunction(again);
  const once = shared.stack;
  await theirFunction(again);
  assert.equal(shared.stack, once);
  const frozen = Object.freeze(new TypeError("frozen"));
  assert.doesNotThrow(() => addCallerFrames(frozen, theirFunction));
});

test("the reason of an abort is left as the caller made it", async () => {
  const client = createClient({ policies: [policy] });
  const reason = new RangeError("mine");
  const { stack } = reason;
  await theirFunction(() => client.fetch("http://a.test/", { signal: AbortSignal.abort(reason) }));
  assert.equal(reason.stack, stack);
});
