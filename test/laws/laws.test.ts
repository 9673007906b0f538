// The laws that every layer keeps, alone and in any order with the others.
import assert from "node:assert/strict";
import { getEventListeners } from "node:events";
import test from "node:test";
import fc from "fast-check";
import { abortedOutcome } from "../../src/call/classify.ts";
import { systemTimers } from "../../src/call/clock.ts";
import { endNow } from "../../src/call/end.ts";
import type { Outcome } from "../../src/call/outcome.ts";
import { waited } from "../../src/call/waiting.ts";
import { answer, type Answer, bare, heldAnswer, hung, refused, type Reply, reset, streaming, successOf } from "../harness/bare.ts";
import { stoppedTime, turns, watch } from "../harness/time.ts";
import { kinds, stacks } from "./kinds.ts";

const timers = (): number => process.getActiveResourcesInfo().filter((kind) => kind === "Timeout").length;

test("passes through when healthy: the same response, one attempt, nothing to report, nothing kept", async () => {
  await fc.assert(
    fc.asyncProperty(stacks("healthy"), async (layers) => {
      const before = timers();
      const stack = bare(layers);
      const given = answer();
      stack.answers(() => given);
      const got = await stack.call({ method: "POST" });
      assert.equal(got.response, given.response);
      assert.equal(got.ok, true);
      assert.equal(stack.sent.length, 1);
      assert.equal(given.response?.dropped, 0);
      assert.deepEqual(
        stack.whats().filter((what) => !what.startsWith("would-")),
        [],
      );
      stack.idle();
      assert.equal(timers(), before);
    }),
    { numRuns: 300 },
  );
});

test("releases at the end of the response, not before, and by whatever way it ends", async () => {
  await fc.assert(
    fc.asyncProperty(stacks("healthy"), fc.boolean(), async (layers, broken) => {
      const before = timers();
      const caller = new AbortController();
      const stack = bare(layers);
      const stream = streaming();
      stack.answers(stream.answer);
      successOf(await stack.call({ signal: caller.signal }));
      const bulkheads = layers.filter(({ kind }) => kind === "bulkhead").length;
      if (bulkheads > 0) assert.equal(stack.status("bulkhead")["active"], 1);
      endNow(stream.end, broken ? new Error("reset") : undefined);
      stack.idle();
      assert.equal(timers(), before);
      assert.equal(getEventListeners(caller.signal, "abort").length, 0);
    }),
    { numRuns: 200 },
  );
});

test("honours an abort at once, in any stack", async () => {
  await fc.assert(
    fc.asyncProperty(stacks("healthy"), async (layers) => {
      const before = timers();
      const caller = new AbortController();
      const stack = bare(layers);
      stack.answers(hung);
      const call = watch(stack.call({ signal: caller.signal }));
      await turns(1);
      assert.equal(call.settled, false);
      caller.abort(new Error("the caller's own"));
      await turns(1);
      assert.ok(call.value !== undefined && !call.value.ok && call.value.by === "caller" && call.value.cause === caller.signal.reason);
      assert.equal(stack.sent.length, 1);
      stack.idle();
      assert.equal(timers(), before);
      assert.equal(getEventListeners(caller.signal, "abort").length, 0);
    }),
    { numRuns: 200 },
  );
});

for (const [kind, { holding }] of Object.entries(kinds)) {
  for (const { state, layer, before, answers, sent } of holding) {
    test(`${kind} honours an abort at once: ${state}`, async () => {
      const timersBefore = timers();
      const caller = new AbortController();
      const stack = bare([layer]);
      stack.answers(hung);
      if (before !== undefined && state === "probe") await stack.call({ signal: AbortSignal.abort() }); // so that its state is there
      const sentBefore = stack.sent.length;
      const release = before?.(stack);
      await turns(1);
      if (answers !== undefined) stack.answers(...answers);
      const call = watch(stack.call({ signal: caller.signal }));
      // two turns of the event loop are enough for a timer of 0 ms, which the second attempt waits for
      while (stack.sent.length - sentBefore < sent) await turns(1);
      await turns(1);
      assert.equal(stack.sent.length - sentBefore, sent);
      assert.equal(call.settled, false);
      caller.abort();
      await turns(1);
      assert.ok(call.value !== undefined && !call.value.ok);
      assert.equal(call.value.by, "caller");
      assert.equal(stack.sent.length - sentBefore, sent, "no further send");
      release?.();
      await turns(1);
      stack.idle();
      assert.equal(timers(), timersBefore);
      assert.equal(getEventListeners(caller.signal, "abort").length, 0);
    });
  }
}

/** Answers of all kinds: successes and failures, at once or late, whole or streaming, and none at all. */
const answers = fc.array(
  fc.oneof(
    fc.record({
      status: fc.constantFrom(200, 204, 404, 429, 500, 503),
      lateMs: fc.constantFrom(0, 5, 150),
      retryAfterMs: fc.constantFrom(undefined, 10),
    }),
    fc.constantFrom("reset" as const, "refused" as const, "hung" as const),
  ),
  { minLength: 1, maxLength: 8 },
);

type Scripted = typeof answers extends fc.Arbitrary<readonly (infer T)[]> ? T : never;

/** The answer of one script entry; every response that it makes is put into `made`. A deaf one answers late although it has been aborted. */
function scripted(entry: Scripted, made: Reply[], deaf: boolean): Answer {
  if (entry === "reset") return reset;
  if (entry === "refused") return refused;
  if (entry === "hung") return hung;
  const given = (): Outcome<Reply> => {
    const outcome = answer(entry.status, entry.retryAfterMs === undefined ? {} : { retryAfterMs: entry.retryAfterMs });
    if (outcome.response !== undefined) made.push(outcome.response);
    return outcome;
  };
  if (entry.lateMs === 0) return given;
  return async (call) => {
    const passed = await waited(systemTimers, entry.lateMs, deaf ? undefined : call.signal);
    return passed ? given() : abortedOutcome(call.signal, true);
  };
}

test("whatever happens beneath: never rejects, drops exactly what the caller does not get, and holds nothing afterwards", async (t) => {
  const time = stoppedTime(t);
  await fc.assert(
    fc.asyncProperty(
      stacks("acting"),
      answers,
      fc.integer({ min: 1, max: 4 }),
      fc.option(fc.nat(200), { nil: undefined }),
      async (layers, script, calls, abortAt) => {
        const stack = bare(layers);
        const made: Reply[] = [];
        stack.answers(...script.map((entry) => scripted(entry, made, abortAt === undefined)));
        const caller = new AbortController();
        const all = Array.from({ length: calls }, (_, n) =>
          watch(stack.call({ signal: caller.signal, method: n % 2 === 0 ? "GET" : "POST" })),
        );
        if (abortAt !== undefined) {
          await time.pass(abortAt);
          caller.abort();
          await turns(3);
          for (const call of all) assert.ok(call.settled, "an abort ends every call");
        }
        for (let n = 0; n < 60 && !all.every(({ settled }) => settled); n++) await time.pass(50);
        // what hangs with no timeout around it ends by the abort
        caller.abort();
        await time.pass(200);
        const got = new Set<Reply>();
        for (const call of all) {
          assert.equal(call.error, undefined);
          assert.ok(call.value !== undefined, "every call settles");
          if (call.value.response !== undefined) got.add(call.value.response);
        }
        for (const reply of made) assert.equal(reply.dropped, got.has(reply) ? 0 : 1);
        stack.idle();
        assert.equal(getEventListeners(caller.signal, "abort").length, 0);
      },
    ),
    { numRuns: 150 },
  );
});

test("no kind but those that say so ever runs what follows twice", async (t) => {
  const time = stoppedTime(t);
  await fc.assert(
    fc.asyncProperty(
      stacks("acting", ({ repeats }) => !repeats),
      answers,
      async (layers, script) => {
        const stack = bare(layers);
        stack.answers(...script.map((entry) => scripted(entry, [], true)));
        const caller = new AbortController();
        for (let n = 0; n < 4; n++) {
          const before = stack.sent.length;
          const call = watch(stack.call({ signal: caller.signal }));
          for (let step = 0; step < 12 && !call.settled; step++) await time.pass(200);
          assert.ok(stack.sent.length - before <= 1);
        }
        caller.abort();
        await time.pass(200);
      },
    ),
    { numRuns: 60 },
  );
});

for (const [kind, { refusing }] of Object.entries(kinds)) {
  if (refusing === undefined) continue;
  for (const shadow of [false, true]) {
    test(`${kind} ${shadow ? "in shadow never changes an outcome, but says what it would have done" : "refuses, where its shadow would not"}`, async () => {
      const stack = bare([refusing.layer(shadow)]);
      const done = new AbortController();
      for (const one of refusing.before) {
        stack.answers(one);
        const call = stack.call({ signal: done.signal });
        if (refusing.held !== true) await call;
      }
      const sent = stack.sent.length;
      const given = answer();
      stack.answers(() => given);
      const got = await stack.call();
      assert.equal(got === given, shadow);
      assert.equal(stack.sent.length - sent, shadow ? 1 : 0);
      assert.equal(
        stack.whats().some((what) => what.startsWith("would-")),
        shadow,
      );
      done.abort();
      await turns(1);
      stack.idle();
    });
  }
}

test("a timeout in shadow lets the late answer through and says that it was late", async (t) => {
  const time = stoppedTime(t);
  const stack = bare([{ kind: "timeout", after: "10ms", shadow: true }]);
  const given = answer();
  const held = heldAnswer(given);
  stack.answers(held.answer);
  const call = stack.call();
  await time.pass(10);
  held.release();
  assert.equal((await call).response, given.response);
  assert.deepEqual(stack.whats(), ["would-time-out"]);
  assert.equal(stack.sent[0]?.deadline, Number.POSITIVE_INFINITY, "and nobody is told of a deadline");
});
