// Steps: several of them in a row, as one function, do what each would do by itself.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { Call, Layer, Next } from "../../src/call/call.ts";
import { brokenOutcome } from "../../src/call/classify.ts";
import type { Outcome } from "../../src/call/outcome.ts";
import { compose, keep, type Passed, step } from "../../src/call/step.ts";

/** What a layer of the test does with every call. */
type Does = "looks on" | "changes it" | "refuses" | "goes another way" | "sends again" | "answers later" | "passes" | "is no step";

const words: readonly Does[] = [
  "looks on",
  "changes it",
  "refuses",
  "goes another way",
  "sends again",
  "answers later",
  "passes",
  "is no step",
];

const refusal = brokenOutcome("connect", false, "refused");

/** The layer, and what it is told, written down. */
function layerOf(does: Does, name: number, log: string[]): Layer {
  const told = (came: Passed["came"] = (outcome) => outcome): Passed => ({
    outer: undefined,
    came: (outcome) => {
      log.push(`${name} came`);
      return came(outcome);
    },
  });
  if (does === "is no step")
    return (next) => (call) => {
      log.push(`${name} passes`);
      return next(call).then((outcome) => {
        log.push(`${name} came`);
        return outcome;
      });
    };
  return step((next) => (call) => {
    log.push(`${name} passes`);
    if (does === "passes") return call;
    if (does === "refuses") return Promise.resolve(refusal);
    if (does === "goes another way") return next(call).then((outcome) => ({ ...outcome, status: name }));
    if (does === "sends again") keep(told((outcome) => (outcome.ok ? outcome : next(call))));
    else if (does === "answers later") keep(told((outcome) => Promise.resolve({ ...outcome, status: name })));
    else keep(told());
    return does === "changes it" ? { ...call, attempt: call.attempt + 1 } : call;
  });
}

const anyLayers = fc.array(fc.constantFrom(...words), { maxLength: 6 });

/** One after the other, as if none were a step among others. */
const oneByOne = (layers: readonly Layer[], send: Next<unknown>): Next<unknown> =>
  layers.reduceRight<Next<unknown>>((next, layer) => layer(next), send);

async function ran(
  put: typeof compose,
  does: readonly Does[],
  fails: number,
): Promise<{ readonly log: readonly string[]; readonly outcome: Outcome<unknown> }> {
  const log: string[] = [];
  let left = fails;
  const send: Next<unknown> = (call) => {
    log.push(`sent ${call.attempt}`);
    return Promise.resolve(left-- > 0 ? refusal : { ok: true, response: "yes" });
  };
  const layers = does.map((one, index) => layerOf(one, index, log));
  const outcome = await put(layers, send)({ attempt: 1 } as Call); // the cast: nothing else of it is looked at
  return { log, outcome };
}

test("steps in a row pass calls and hear of them as they would one by one", async () => {
  await fc.assert(
    fc.asyncProperty(anyLayers, fc.nat(3), async (does, fails) => {
      assert.deepEqual(await ran(compose, does, fails), await ran(oneByOne, does, fails));
    }),
    { numRuns: 500 },
  );
});

test("calls that pass at the same time are told apart", async () => {
  const heard: number[] = [];
  const counted = step(() => (call) => {
    keep({
      outer: undefined,
      came: (outcome) => {
        heard.push(call.attempt);
        return outcome;
      },
    });
    return call;
  });
  const waiting: (() => void)[] = [];
  const stack = compose([counted, counted], () => new Promise((resolve) => waiting.push(() => resolve({ ok: true, response: undefined }))));
  const calls = [1, 2, 3].map((attempt) => stack({ attempt } as Call)); // the cast: nothing else of it is looked at
  for (const answer of waiting.toReversed()) answer();
  await Promise.all(calls);
  assert.deepEqual(heard, [3, 3, 2, 2, 1, 1]);
});

test("what throws while it passes leaves nothing behind for the next call", async () => {
  let heard = 0;
  const throws = step(() => (call) => {
    keep({ outer: undefined, came: (outcome) => (heard++, outcome) });
    if (call.attempt === 1) throw new Error("no");
    return call;
  });
  const send: Next<unknown> = () => Promise.resolve({ ok: true, response: undefined });
  assert.throws(() => void compose([throws], send)({ attempt: 1 } as Call)); // the casts: nothing else of it is looked at
  await compose([step(() => (call) => call)], send)({ attempt: 2 } as Call);
  assert.equal(heard, 0);
});
