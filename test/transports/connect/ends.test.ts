// How calls over Connect end early: cancelled in every state, and at deadlines of callers and policies.
import assert from "node:assert/strict";
import { getEventListeners } from "node:events";
import { suite, test } from "node:test";
import { Code, type ConnectError } from "@connectrpc/connect";
import { createWritableIterable } from "@connectrpc/connect/protocol";
import { breaker, bulkhead, type Client, type LayerDefinition, PolicyError, rateLimit, retry, timeout } from "../../../src/index.ts";
import { virtualClock } from "../../../src/testing/index.ts";
import { turns } from "../../harness/time.ts";
import type { KindsServer, Step } from "./server.ts";
import { all, failure, type KindsClient, type Text, texts } from "./service.ts";
import { openTrial } from "./trial.ts";

interface Options {
  readonly signal?: AbortSignal;
  readonly timeoutMs?: number;
}

const kinds: Readonly<Record<string, (client: KindsClient, options?: Options) => Promise<unknown>>> = {
  unary: (client, options) => client.say({ value: "a" }, options),
  "client stream": (client, options) => client.collect(texts("a", "b"), options),
  "server stream": (client, options) => all(client.count({ value: "a" }, options)),
  "duplex stream": (client, options) => all(client.talk(texts("a", "b"), options)),
};

const layers: readonly LayerDefinition[] = [
  timeout("10m"),
  bulkhead({ limit: 1, queue: { size: 5, timeout: "5m" } }),
  retry({ attempts: 3, methods: ["*"], backoff: { base: "5m" }, budget: false }),
];

/** What the bulkhead holds. */
const held = (client: Client): unknown =>
  Object.values(client.status().policies["kinds"]?.targets ?? {})
    .flat()
    .find(({ kind }) => kind === "bulkhead")?.state;

/** Settles when a layer has decided so. */
const decided = (client: Client, what: string): Promise<void> =>
  new Promise((resolve) => {
    client.on((event) => (event.type === "decision" && event.what === what ? resolve() : undefined));
  });

interface Started {
  readonly client: Client;
  readonly kinds: KindsClient;
  readonly server: KindsServer;
}

interface State {
  readonly script: readonly Step[];
  readonly layers?: readonly LayerDefinition[];
  /** Brings the call to the state. */
  readonly reach: (started: Started) => Promise<unknown>;
  /** How many attempts the server has seen of it and what came before. */
  readonly attempts: number;
}

const states: Readonly<Record<string, State>> = {
  "in flight, before the head": { script: [{ hang: true }], reach: ({ server }) => server.arrived(1), attempts: 1 },
  "in its backoff": {
    script: [{ fail: Code.Unavailable }],
    reach: ({ client }) => decided(client, "retrying"),
    attempts: 1,
  },
  "in the line of a rate limit": {
    script: [{}],
    layers: [...layers, rateLimit({ rate: 1, per: "1h", burst: 1, queue: { size: 5, timeout: "2h" } })],
    reach: () => turns(20),
    attempts: 1,
  },
};

for (const [kind, call] of Object.entries(kinds)) {
  suite(`a ${kind} call that is cancelled`, () => {
    test("before it begins is not sent", async (t) => {
      const { client, kinds: opened, server } = await openTrial(t, layers);
      const error = await failure(call(opened, { signal: AbortSignal.abort() }));
      assert.equal(error.code, Code.Canceled);
      assert.equal(client.explain(error)?.attempts, 0);
      assert.equal(server.seen.length, 0);
    });

    for (const [state, { script, layers: given = layers, reach, attempts }] of Object.entries(states)) {
      test(`${state} ends at once, and leaves nothing behind`, async (t) => {
        const trial = await openTrial(t, given, script, { client: { seed: 1 } });
        if (state.startsWith("in the line of a rate")) await trial.kinds.say({ value: "first" });
        const controller = new AbortController();
        const error = failure(call(trial.kinds, { signal: controller.signal }));
        await reach(trial);
        const reason = new Error("enough");
        controller.abort(reason);
        const { code, cause } = await error;
        assert.equal(code, Code.Canceled);
        assert.equal(cause, reason);
        assert.deepEqual(held(trial.client), { active: 0, limit: 1, waiting: 0 });
        assert.equal(getEventListeners(controller.signal, "abort").length, 0);
        assert.equal(trial.server.seen.length, attempts);
        if (state.startsWith("in flight")) assert.equal(await trial.server.seen[0]?.over, true);
      });
    }

    test("in the line of a bulkhead leaves the line", async (t) => {
      const { client, kinds: opened, server } = await openTrial(t, layers, [{ hang: true }]);
      const other = new AbortController();
      const first = failure(opened.say({ value: "a" }, { signal: other.signal }));
      await server.arrived(1);
      const controller = new AbortController();
      const second = failure(call(opened, { signal: controller.signal }));
      await turns();
      assert.deepEqual(held(client), { active: 1, limit: 1, waiting: 1 });
      controller.abort();
      assert.equal((await second).code, Code.Canceled);
      assert.deepEqual(held(client), { active: 1, limit: 1, waiting: 0 });
      assert.equal(getEventListeners(controller.signal, "abort").length, 0);
      assert.equal(server.seen.length, 1);
      other.abort();
      await first;
    });
  });
}

suite("a stream that is cancelled", () => {
  test("while the answer comes ends it there, and gives its permit back", async (t) => {
    const { client, kinds: opened, server } = await openTrial(t, layers, [{ sends: 2, hang: true }]);
    const controller = new AbortController();
    const replies = opened.count({ value: "n" }, { signal: controller.signal })[Symbol.asyncIterator]();
    assert.equal((await replies.next()).value?.value, "n1");
    assert.equal((await replies.next()).value?.value, "n2");
    const third = failure(replies.next());
    controller.abort();
    const error = await third;
    assert.equal(error.code, Code.Canceled);
    assert.equal(client.explain(error)?.attempts, 1);
    assert.equal(await server.seen[0]?.over, true);
    await turns();
    assert.deepEqual(held(client), { active: 0, limit: 1, waiting: 0 });
    assert.equal(getEventListeners(controller.signal, "abort").length, 0);
  });

  test("while the caller still sends ends that, too", async (t) => {
    const { client, kinds: opened, server } = await openTrial(t, layers);
    const controller = new AbortController();
    const stream = createWritableIterable<Text>();
    const replies = opened.talk(stream, { signal: controller.signal })[Symbol.asyncIterator]();
    void stream.write({ value: "a" });
    assert.equal((await replies.next()).value?.value, "a!");
    const next = failure(replies.next());
    controller.abort();
    assert.equal((await next).code, Code.Canceled);
    await assert.rejects(stream.write({ value: "b" }));
    await server.seen[0]?.over;
    assert.deepEqual(held(client), { active: 0, limit: 1, waiting: 0 });
  });
});

const isTimeout = (error: ConnectError): boolean => error.cause instanceof PolicyError && error.cause.code === "ERR_PREMESH_TIMEOUT";

suite("the deadline of a caller", () => {
  for (const [kind, call] of Object.entries(kinds)) {
    test(`ends a ${kind} call, and the server's work on it`, async (t) => {
      const { client, kinds: opened, server } = await openTrial(t, layers, [{ hang: true }]);
      const error = await failure(call(opened, { timeoutMs: 30 }));
      assert.equal(error.code, Code.DeadlineExceeded);
      assert.equal(isTimeout(error), false);
      assert.equal(client.explain(error)?.attempts, 1);
      await server.seen[0]?.over;
      await turns();
      assert.deepEqual(held(client), { active: 0, limit: 1, waiting: 0 });
    });
  }

  for (const [wire, field] of [
    ["gRPC", "grpc-timeout"],
    ["gRPC-web over HTTP/1.1", "grpc-timeout"],
    ["Connect over HTTP/2", "connect-timeout-ms"],
  ] as const) {
    test(`goes out with each attempt as what remains of it (${wire})`, async (t) => {
      const again = [retry({ attempts: 4, methods: ["*"], backoff: { base: "40ms" } })];
      const script = [{ fail: Code.Unavailable }, { fail: Code.Unavailable }, { fail: Code.Unavailable }, {}];
      const { kinds: opened, server } = await openTrial(t, again, script, { wire, client: { seed: 1 } });
      await opened.say({ value: "a" }, { timeoutMs: 60_000 });
      const left = server.seen.map(({ header }) => Number.parseInt(header.get(field) ?? "", 10));
      assert.equal(left.length, 4);
      assert.ok(
        left.every((ms) => ms > 0 && ms <= 60_000),
        left.join(),
      );
      assert.ok((left[3] ?? 0) < (left[0] ?? 0), left.join());
    });
  }

  test("leaves no time for a backoff that is longer", async (t) => {
    const { client, kinds: opened, server } = await openTrial(t, layers, [{ fail: Code.Unavailable }]);
    const error = await failure(opened.say({ value: "a" }, { timeoutMs: 5_000 }));
    assert.equal(error.code, Code.Unavailable);
    assert.equal(server.seen.length, 1);
    assert.ok(client.explain(error)?.decisions.some(({ what }) => what === "no-time-left"));
  });

  test("counts as a failure of the server that did not keep it", async (t) => {
    const { kinds: opened } = await openTrial(t, [breaker({ trip: { consecutive: 1 }, openFor: "1h" })], [{ hang: true }]);
    await failure(opened.say({ value: "a" }, { timeoutMs: 30 }));
    const error = await failure(opened.say({ value: "a" }));
    assert.ok(error.cause instanceof PolicyError && error.cause.code === "ERR_PREMESH_BREAKER_OPEN");
  });

  test("holds until a stream has ended", async (t) => {
    const clock = virtualClock();
    const { client, kinds: opened } = await openTrial(t, layers, [{ sends: 2, hang: true }], { client: { clock } });
    const got: string[] = [];
    const error = await failure(
      (async () => {
        for await (const { value } of opened.count({ value: "n" }, { timeoutMs: 50_000 }))
          if (got.push(value) === 2) void clock.advance(50_000);
      })(),
    );
    assert.equal(error.code, Code.DeadlineExceeded);
    assert.deepEqual(got, ["n1", "n2"]);
    assert.deepEqual(held(client), { active: 0, limit: 1, waiting: 0 });
  });

  test("that is written into the headers stays as it is", async (t) => {
    const { kinds: opened, server } = await openTrial(t, layers);
    await opened.say({ value: "a" }, { headers: { "grpc-timeout": "7000m" } });
    assert.equal(server.seen[0]?.header.get("grpc-timeout"), "7000m");
  });

  test("of 0 is none, as with Connect itself", async (t) => {
    const { kinds: opened, server } = await openTrial(t, []);
    await opened.say({ value: "a" }, { timeoutMs: 0 });
    assert.equal(server.seen[0]?.timeoutMs, undefined);
  });
});

suite("the timeout of a policy", () => {
  const each = [retry({ attempts: 3, methods: ["*"], backoff: { base: "0ms" } }), timeout("10s")];

  for (const [kind, call] of Object.entries(kinds)) {
    test(`for each attempt ends one that hangs, and the next is made (${kind})`, async (t) => {
      const clock = virtualClock();
      const { kinds: opened, server } = await openTrial(t, each, [{ hang: true }, {}], { client: { clock } });
      const reply = call(opened);
      await server.arrived(1);
      await clock.advance(10_000);
      await clock.advance(1); // the backoff
      await reply;
      assert.equal(server.seen.length, 2);
      assert.ok(await server.seen[0]?.over);
    });

    test(`for the whole call has the last word, even against a server that keeps it (${kind})`, async (t) => {
      const { client, kinds: opened } = await openTrial(t, [timeout("30ms")], [{ hang: true }]);
      for (let round = 0; round < 5; round++) {
        const error = await failure(call(opened));
        assert.equal(error.code, Code.DeadlineExceeded);
        assert.ok(isTimeout(error), error.message);
        assert.equal(error.metadata.get("premesh-by"), "timeout");
        assert.equal(client.explain(error)?.decisions.at(-1)?.what, "timed-out");
      }
    });
  }

  test("for each attempt goes out with a unary call, and not with a stream, whose head alone it is for", async (t) => {
    const { kinds: opened, server } = await openTrial(t, each);
    for (const call of Object.values(kinds)) await call(opened);
    const [unary, ...streams] = server.seen.map(({ header }) => header.get("grpc-timeout"));
    assert.ok(Number.parseInt(unary ?? "", 10) <= 10_000, unary ?? "none");
    assert.deepEqual(streams, [null, null, null]);
  });

  test("for the whole call goes out with all, and ends a stream after its head", async (t) => {
    const clock = virtualClock();
    const given = [timeout("20s"), bulkhead({ limit: 1 })];
    const { client, kinds: opened, server } = await openTrial(t, given, [{ sends: 1, hang: true }], { client: { clock } });
    const got: string[] = [];
    const error = await failure(
      (async () => {
        for await (const { value } of opened.count({ value: "n" })) if (got.push(value) === 1) void clock.advance(20_000);
      })(),
    );
    assert.deepEqual(got, ["n1"]);
    assert.ok(Number.parseInt(server.seen[0]?.header.get("grpc-timeout") ?? "", 10) <= 20_000);
    assert.equal(error.code, Code.DeadlineExceeded);
    assert.ok(isTimeout(error));
    assert.ok(client.explain(error));
    assert.deepEqual(held(client), { active: 0, limit: 1, waiting: 0 });
  });
});
