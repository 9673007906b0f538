// A model of callers who share keys: some work at a time under each key, some die in the middle, some renew, and time passes between any two steps.
import assert from "node:assert/strict";
import fc from "fast-check";
import type { AnswerStore, Begun } from "../../src/call/answers.ts";
import type { Answer } from "../../src/call/incoming.ts";

/** What happens next. `who` and `key` choose among those there are. */
export type Step =
  | { readonly do: "begin"; readonly key: number; readonly asked: number }
  | { readonly do: "finish" | "renew" | "crash" | "giveUp" | "tooLong" | "none"; readonly who: number }
  | { readonly do: "pass"; readonly ms: number };

export const LEASE = 1_000;
export const KEEP = 10_000;

export const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    {
      weight: 5,
      arbitrary: fc.record({ do: fc.constant("begin" as const), key: fc.nat(2), asked: fc.nat(4).map((n) => Math.max(0, n - 3)) }),
    },
    {
      weight: 5,
      arbitrary: fc.record({ do: fc.constantFrom("finish", "renew", "crash", "giveUp", "tooLong", "none"), who: fc.nat(5) }),
    },
    { weight: 2, arbitrary: fc.record({ do: fc.constant("pass" as const), ms: fc.constantFrom(1, 400, LEASE, LEASE + 1, KEEP + LEASE) }) },
  ),
  { maxLength: 60 },
);

interface Worker {
  readonly key: string;
  readonly token: string;
  readonly nth: number;
}

/** What the model knows of a key. */
interface Known {
  readonly asked: string;
  readonly holder: Worker;
  leaseUntil: number;
  expiresAt: number;
  done: { readonly answer: Answer | undefined } | undefined;
}

const answerOf = (nth: number): Answer => ({
  status: 201,
  fields: [["x-nth", String(nth)]],
  body: Buffer.from(`answer ${nth}`),
  trailers: [],
});

/**
 * Runs the steps against a store and the model beside it. What must hold: within what is kept, a key is worked on once, and again only on the user's word,
 * when its lease has run out; whoever has lost the key changes nothing; all who come get what the model says, so all get one answer.
 */
export async function play(
  store: AnswerStore,
  list: readonly Step[],
  {
    repeat,
    pass,
    prefix = "",
  }: { readonly repeat: boolean; readonly pass: (ms: number) => Promise<void> | void; readonly prefix?: string },
): Promise<void> {
  const known = new Map<string, Known>();
  const workers: Worker[] = [];
  let now = 0;
  let executions = 0;
  const terms = { leaseMs: LEASE, keepMs: KEEP, repeat };

  function live(key: string): Known | undefined {
    const one = known.get(key);
    if (one !== undefined && one.expiresAt > now) return one;
    known.delete(key);
    return undefined;
  }

  function took(key: string, asked: string, begun: Begun): void {
    assert.equal(begun.state, "begun");
    if (begun.state !== "begun") return;
    const holder = { key, token: begun.token, nth: ++executions };
    workers.push(holder);
    known.set(key, { asked, holder, leaseUntil: now + LEASE, expiresAt: now + KEEP, done: undefined });
  }

  for (const step of list) {
    if (step.do === "pass") {
      now += step.ms;
      await pass(step.ms);
      continue;
    }
    if (step.do === "begin") {
      const [key, asked] = [`${prefix}key-${step.key}`, `asked-${step.asked}`];
      const begun = await store.begin(key, asked, terms);
      const before = live(key);
      if (before === undefined) {
        took(key, asked, begun);
        if (begun.state === "begun") assert.equal(begun.again, false);
      } else if (before.done !== undefined) {
        assert.deepEqual(shown(begun), { state: "done", asked: before.asked, answer: before.done.answer?.fields[0]?.[1] });
      } else if (before.leaseUntil > now) assert.deepEqual(begun, { state: "running", asked: before.asked });
      else if (repeat && before.asked === asked) {
        took(key, asked, begun);
        if (begun.state === "begun") assert.equal(begun.again, true);
      } else assert.deepEqual(begun, { state: "lost", asked: before.asked });
      continue;
    }
    const worker = workers[step.who % Math.max(1, workers.length)];
    if (worker === undefined) continue;
    const one = live(worker.key);
    const holds = one?.holder === worker && one.done === undefined;
    if (step.do === "crash") {
      workers.splice(workers.indexOf(worker), 1); // nothing is heard of it any more
    } else if (step.do === "renew" || step.do === "none") {
      const ms = step.do === "none" ? 0 : LEASE;
      assert.equal(await store.renew(worker.key, worker.token, ms), holds, step.do);
      if (one !== undefined && holds) {
        one.leaseUntil = now + ms;
        one.expiresAt = Math.max(one.expiresAt, one.leaseUntil);
      }
    } else if (step.do === "giveUp") {
      await store.giveUp(worker.key, worker.token);
      if (holds) known.delete(worker.key);
      workers.splice(workers.indexOf(worker), 1);
    } else {
      const answer = step.do === "tooLong" ? undefined : answerOf(worker.nth);
      assert.equal(await store.finish(worker.key, worker.token, answer, KEEP), holds, step.do);
      if (one !== undefined && holds) {
        one.done = { answer };
        one.expiresAt = now + KEEP;
      }
      // it may say so again, and then nobody listens
    }
  }
}

const shown = (begun: Begun): unknown =>
  begun.state === "done" ? { state: begun.state, asked: begun.asked, answer: begun.answer?.fields[0]?.[1] } : begun;
