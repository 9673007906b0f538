// route: rules, weights and picks; what happens when there is nowhere to go; and the layers behind it.
import assert from "node:assert/strict";
import test from "node:test";
import type { Call } from "../../../src/call/call.ts";
import {
  breaker,
  bulkhead,
  fallback,
  type LayerDefinition,
  PolicyError,
  rateLimit,
  retry,
  route,
  type RouteOptions,
} from "../../../src/index.ts";
import { answer, type Answer, type Bare, bare, failing, hung, ok, reset } from "../../harness/bare.ts";
import { stoppedTime, turns, watch } from "../../harness/time.ts";

const [A, B, C] = ["http://10.0.0.1:8080", "http://10.0.0.2:8080", "http://10.0.0.3:8080"] as const;
const atOnce = { backoff: { base: "0ms", max: "0ms" } } as const;

const wentTo = (stack: Bare): readonly (string | undefined)[] => stack.sent.map(({ endpoint }) => endpoint?.key);

/** How many calls went to each endpoint. */
function counts(stack: Bare): Readonly<Record<string, number>> {
  const all: Record<string, number> = {};
  for (const key of wentTo(stack)) all[String(key)] = (all[String(key)] ?? 0) + 1;
  return all;
}

/** Answers by endpoint; the others are well. */
const by =
  (answers: Readonly<Record<string, Answer>>): Answer =>
  (call) =>
    (answers[call.endpoint?.key ?? ""] ?? ok)(call);

async function calls(stack: Bare, count: number, more: Partial<Call> = {}): Promise<void> {
  for (let n = 0; n < count; n++) await stack.call(more);
}

const withFields = (fields: Readonly<Record<string, string>>): Partial<Call> => ({ metadata: { get: (name) => fields[name] } });

test("sends calls to the endpoints, and each knows where it goes", async () => {
  const stack = bare([route({ to: [{ endpoints: [A, B] }], balance: "round-robin" })]);
  await calls(stack, 4);
  assert.deepEqual(counts(stack), { [A]: 2, [B]: 2 });
  const [first] = stack.sent;
  assert.deepEqual([first?.target, first?.origin, first?.authority], ["peer", undefined, undefined]);
  assert.deepEqual(stack.whats(), []);
});

test("with host: rewrite the peer is called by its address", async () => {
  const stack = bare([route({ to: [{ endpoints: [A] }], host: "rewrite" })]);
  await stack.call();
  assert.equal(stack.sent[0]?.authority, "10.0.0.1:8080");
});

test("a retry goes to endpoints that the call has not tried, and comes back to them when there is no other", async () => {
  for (let seed = 0; seed < 20; seed++) {
    const stack = bare([retry({ attempts: 4, ...atOnce, budget: false }), route({ to: [{ endpoints: [A, B, C] }] })]);
    stack.answers(failing(503));
    await stack.call();
    const went = wentTo(stack);
    assert.equal(new Set(went.slice(0, 3)).size, 3, String(went));
    assert.equal(went.length, 4);
  }
});

test("before retry it picks once, and all attempts go to the same endpoint", async () => {
  const stack = bare([route({ to: [{ endpoints: [A, B, C] }] }), retry({ attempts: 3, ...atOnce })]);
  stack.answers(failing(503));
  await stack.call();
  assert.equal(new Set(wentTo(stack)).size, 1);
  assert.equal(stack.sent.length, 3);
});

test("weights share calls between entries, however many endpoints each has; 0 takes none", async () => {
  const stack = bare([
    route({
      to: [
        { endpoints: [A, B], weight: 90 },
        { endpoints: [C], weight: 10 },
        { endpoints: ["http://10.0.0.4"], weight: 0 },
      ],
    }),
  ]);
  await calls(stack, 1_000);
  const { [C]: canary = 0, "http://10.0.0.4": none = 0 } = counts(stack);
  assert.ok(canary > 60 && canary < 140, `${canary} of 1000`);
  assert.equal(none, 0);
});

test("without weights, entries of one match are one pool", async () => {
  const stack = bare([route({ to: [{ endpoints: [A, B] }, { endpoints: [C] }], balance: "round-robin" })]);
  await calls(stack, 9);
  assert.deepEqual(counts(stack), { [A]: 3, [B]: 3, [C]: 3 });
});

test("a weighted entry that has no endpoints leaves its share to the others", async () => {
  const stack = bare([
    route({
      to: [
        { endpoints: [], weight: 50 },
        { endpoints: [A], weight: 50 },
      ],
    }),
  ]);
  await calls(stack, 10);
  assert.deepEqual(counts(stack), { [A]: 10 });
});

test("sticky: the same value goes to the same weighted entry, and values share by weight", async () => {
  for (const [sticky, fields] of [
    [{ header: "X-User" }, (user: number) => ({ "x-user": `user ${user}` })],
    [{ cookie: "sid" }, (user: number) => ({ cookie: `a=b; sid=${user}; c=d` })],
    [{ path: true }, (user: number) => ({ ":path": `/users/${user}?q=1` })],
  ] as const) {
    const stack = bare([
      route({
        to: [
          { endpoints: [A], weight: 80 },
          { endpoints: [B], weight: 20 },
        ],
        sticky,
      }),
    ]);
    let toB = 0;
    for (let user = 0; user < 200; user++) {
      const before = stack.sent.length;
      await calls(stack, 3, withFields(fields(user)));
      const went = new Set(wentTo(stack).slice(before));
      assert.equal(went.size, 1, `user ${user} went to ${[...went].join()}`);
      toB += Number(went.has(B));
    }
    assert.ok(toB > 15 && toB < 75, `${toB} of 200`);
  }
});

test("with a consistent balance the same value goes to the same endpoint", async () => {
  for (const balance of [{ ringHash: { header: "x-user" } }, { maglev: { cookie: "user" } }] as const) {
    const stack = bare([route({ to: [{ endpoints: [A, B, C] }], balance })]);
    for (let user = 0; user < 30; user++) {
      const before = stack.sent.length;
      await calls(stack, 3, withFields({ "x-user": `${user}`, cookie: `user=${user}` }));
      assert.equal(new Set(wentTo(stack).slice(before)).size, 1);
    }
    assert.equal(Object.keys(counts(stack)).length, 3);
  }
});

test("the first entry whose match fits decides, and entries with the same match belong together", async () => {
  const stack = bare([
    route({
      to: [
        { match: { path: "/v2", methods: ["GET"] }, endpoints: [A] },
        { match: { methods: ["GET"], path: "/v2" }, endpoints: ["http://10.0.0.9"] },
        { match: { path: "/v2" }, endpoints: [B] },
        { endpoints: [C] },
      ],
      balance: "round-robin",
    }),
  ]);
  await calls(stack, 2, { ...withFields({ ":path": "/v2/x" }) });
  await stack.call({ method: "POST", ...withFields({ ":path": "/v2/x" }) });
  await stack.call({ ...withFields({ ":path": "/v20" }) });
  assert.deepEqual(new Set(wentTo(stack).slice(0, 2)), new Set([A, "http://10.0.0.9"]));
  assert.deepEqual(wentTo(stack).slice(2), [B, C]);
});

const nowhere: readonly (readonly [name: string, options: RouteOptions, code: string, word: string])[] = [
  ["no endpoints", { to: [{ endpoints: [] }] }, "ERR_PREMESH_NO_ENDPOINT", "no-endpoint"],
  ["weights of zero", { to: [{ endpoints: [A], weight: 0 }] }, "ERR_PREMESH_NO_ENDPOINT", "no-endpoint"],
  ["endpoints with weight zero", { to: [{ endpoints: [{ url: A, weight: 0 }] }] }, "ERR_PREMESH_NO_ENDPOINT", "no-endpoint"],
  ["no entry that fits", { to: [{ match: { methods: ["POST"] }, endpoints: [A] }] }, "ERR_PREMESH_NO_ROUTE", "no-route"],
];
for (const [name, options, code, word] of nowhere) {
  test(`${name}: refused by route, unsent, and not worth another attempt`, async () => {
    const stack = bare([retry({ attempts: 3, ...atOnce }), breaker({ trip: { consecutive: 1 } }), route(options)]);
    for (let n = 0; n < 2; n++) {
      const outcome = await stack.call();
      assert.ok(!outcome.ok);
      assert.deepEqual([outcome.by, outcome.sent, outcome.layer], ["route", false, "route"]);
      assert.ok(outcome.cause instanceof PolicyError);
      assert.equal(outcome.cause.code, code);
    }
    assert.equal(stack.sent.length, 0);
    assert.deepEqual(stack.whats(), [word, word]);
    assert.equal(stack.status("breaker")["phase"], "closed", "it is no failure of the peer");
  });
}

test("a fallback answers where there is no endpoint", async () => {
  const stack = bare([fallback({ response: { status: 200 } }), route({ to: [{ endpoints: [] }] })]);
  assert.equal((await stack.call()).ok, true);
});

test("layers behind have a state for each endpoint, those before one for the target", async () => {
  const trip = { consecutive: 1 } as const;
  const stack = bare([
    bulkhead({ name: "all", limit: 10 }),
    route({ to: [{ endpoints: [A, B] }], balance: "round-robin" }),
    breaker({ trip }),
  ]);
  stack.answers(by({ [A]: failing(500) }));
  await calls(stack, 6);
  assert.deepEqual(counts(stack), { [A]: 1, [B]: 5 });
  assert.deepEqual(stack.whats(), ["opened"], "no call was refused: the endpoint with the open breaker was passed over");
  stack.idle();
});

test("an endpoint is back as soon as its breaker lets calls pass, and when it is reset", async (t) => {
  const time = stoppedTime(t);
  const stack = bare([
    route({ to: [{ endpoints: [A, B] }], balance: "round-robin" }),
    breaker({ trip: { consecutive: 1 }, openFor: "5s" }),
  ]);
  stack.answers(by({ [A]: failing(500) }));
  await calls(stack, 4);
  stack.answers(ok);
  await time.pass(5_000);
  await calls(stack, 4);
  assert.deepEqual(counts(stack), { [A]: 3, [B]: 5 });
  stack.answers(by({ [A]: failing(500) }));
  await calls(stack, 4);
  const before = counts(stack)[A] ?? 0;
  stack.answers(ok);
  for (const { layer, state } of stack.states()) if (layer === "breaker") state.reset?.();
  await calls(stack, 4);
  assert.equal(counts(stack)[A], before + 2);
});

test("while a probe is under way its endpoint takes no other call", async (t) => {
  const time = stoppedTime(t);
  const stack = bare([
    route({ to: [{ endpoints: [A, B] }], balance: "round-robin" }),
    breaker({ trip: { consecutive: 1 }, openFor: "1s" }),
  ]);
  stack.answers(by({ [A]: failing(500) }));
  await calls(stack, 2);
  await time.pass(1_000);
  const done = new AbortController();
  stack.answers(by({ [A]: hung }));
  const probe = Array.from({ length: 2 }, () => watch(stack.call({ signal: done.signal })));
  await turns();
  assert.equal(probe.filter(({ settled }) => !settled).length, 1);
  await calls(stack, 5);
  assert.equal(stack.whats().includes("refused"), false);
  done.abort();
  await turns();
  stack.idle();
});

test("when the breakers of all endpoints are open, the call is refused by one of them, which says how long", async () => {
  const stack = bare([route({ to: [{ endpoints: [A, B] }] }), breaker({ trip: { consecutive: 1 }, openFor: "5s" })]);
  stack.answers(failing(500));
  await calls(stack, 2);
  const outcome = await stack.call();
  assert.ok(!outcome.ok);
  assert.equal(outcome.by, "breaker");
  assert.ok((outcome.retryAfterMs ?? 0) > 4_000);
  assert.equal(stack.sent.length, 2);
});

test("a breaker in shadow keeps nothing from an endpoint", async () => {
  const stack = bare([route({ to: [{ endpoints: [A, B] }], balance: "round-robin" }), breaker({ trip: { consecutive: 1 }, shadow: true })]);
  stack.answers(by({ [A]: failing(500) }));
  await calls(stack, 6);
  assert.deepEqual(counts(stack), { [A]: 3, [B]: 3 });
});

test("outlier detection takes an endpoint out that fails, says so, and keeps the others", async () => {
  const stack = bare([route({ to: [{ endpoints: [A, B, C] }], balance: "round-robin", outliers: { consecutive5xx: 2 } })]);
  stack.answers(by({ [A]: reset }));
  await calls(stack, 12);
  assert.equal(counts(stack)[A], 2);
  assert.equal(stack.status("route")["ejected"], 1);
  assert.deepEqual(stack.whats(), ["ejected"]);
});

test("refusals of layers behind say nothing about an endpoint", async () => {
  const stack = bare([route({ to: [{ endpoints: [A] }], outliers: { consecutive5xx: 1 } }), rateLimit({ rate: 1, per: "1h", burst: 1 })]);
  await calls(stack, 3);
  assert.equal(stack.status("route")["ejected"], 0);
});

test("a fallback behind asks its target without the endpoint, and layers behind that have a state of their own", async () => {
  const stack = bare([
    route({ to: [{ endpoints: [A] }] }),
    fallback({ response: { target: "http://backup.test" } }),
    breaker({ trip: { consecutive: 1 } }),
  ]);
  stack.answers((call) => (call.target === "backup.test" ? answer(200) : answer(500)));
  for (let n = 0; n < 3; n++) assert.equal((await stack.call()).ok, true);
  assert.deepEqual(
    stack.sent.map(({ target, origin, endpoint }) => [target, origin, endpoint?.key]),
    [
      ["peer", undefined, A],
      ["backup.test", "http://backup.test", undefined],
      ["backup.test", "http://backup.test", undefined],
      ["backup.test", "http://backup.test", undefined],
    ],
  );
});

test("a fallback before it has endpoints of the same route for its target", async () => {
  const layers: readonly LayerDefinition[] = [
    fallback({ response: { target: "http://backup.test" } }),
    route({ to: [{ endpoints: [A] }] }),
  ];
  const stack = bare(layers);
  stack.answers(failing(500), ok);
  assert.equal((await stack.call()).ok, true);
  assert.deepEqual(
    stack.sent.map(({ target, endpoint }) => [target, endpoint?.key]),
    [
      ["peer", A],
      ["backup.test", A],
    ],
  );
});
