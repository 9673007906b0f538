// What the layers make of attempts over Connect: codes, resets, refusals, and what the caller is told.
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { Code, type ConnectError, createContextValues } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport } from "@connectrpc/connect-node";
import { premeshOptions, premeshTransport } from "../../../src/connect.ts";
import {
  breaker,
  bulkhead,
  createClient,
  definePolicy,
  fallback,
  fault,
  idempotency,
  type LayerDefinition,
  PolicyError,
  rateLimit,
  retry,
  route,
} from "../../../src/index.ts";
import { turns } from "../../harness/time.ts";
import { closedPort } from "../../harness/upstream.ts";
import { openKinds, RST, type Step } from "./server.ts";
import { all, failure, kindsClient, SERVICE, texts } from "./service.ts";
import { openTrial } from "./trial.ts";

const again: readonly LayerDefinition[] = [retry({ attempts: 3, backoff: { base: "0ms" } })];

suite("which calls are tried again", () => {
  const unavailable: readonly Step[] = [{ fail: Code.Unavailable }, {}];

  test("a method that the descriptor calls idempotent, or free of side effects", async (t) => {
    const { kinds, server } = await openTrial(t, again, [...unavailable, { fail: Code.Unavailable }, {}]);
    assert.equal((await kinds.read({ value: "a" })).value, "a!");
    assert.equal((await kinds.put({ value: "b" })).value, "b!");
    assert.deepEqual(
      server.seen.map(({ method }) => method),
      ["Read", "Read", "Put", "Put"],
    );
  });

  test("no other, once the server may have seen it", async (t) => {
    const { client, kinds, server } = await openTrial(t, again, unavailable);
    const error = await failure(kinds.say({ value: "a" }));
    assert.equal(error.rawMessage, "as scripted");
    assert.equal(server.seen.length, 1);
    assert.deepEqual(
      client.explain(error)?.decisions.map(({ what }) => what),
      ["not-idempotent"],
    );
  });

  test("any, on the caller's word", async (t) => {
    const { kinds, server } = await openTrial(t, again, unavailable);
    const contextValues = createContextValues().set(premeshOptions, { idempotent: true });
    assert.equal((await kinds.say({ value: "a" }, { contextValues })).value, "a!");
    assert.equal(server.seen.length, 2);
  });

  test("none, on the caller's word", async (t) => {
    const { kinds, server } = await openTrial(t, again, unavailable);
    const contextValues = createContextValues().set(premeshOptions, { idempotent: false });
    await failure(kinds.read({ value: "a" }, { contextValues }));
    assert.equal(server.seen.length, 1);
  });

  test("any that found no connection", async () => {
    const client = createClient({ policies: [definePolicy({ name: "p", match: [{ service: "*" }], layers: again })] });
    const baseUrl = await closedPort();
    for (const transport of [createGrpcTransport({ baseUrl }), createConnectTransport({ baseUrl, httpVersion: "1.1" })]) {
      const kinds = kindsClient(premeshTransport(client, transport));
      for (const call of [kinds.say({ value: "a" }), kinds.collect(texts("a")), all(kinds.count({ value: "a" }))]) {
        const error = await failure(call);
        assert.equal(error.code, Code.Unavailable);
        assert.equal(client.explain(error)?.attempts, 3);
      }
    }
  });

  test("any whose stream the server refused", async (t) => {
    const { kinds, server } = await openTrial(t, again, [{ reset: RST.refused }, {}]);
    assert.equal((await kinds.say({ value: "a" })).value, "a!");
    assert.equal(server.seen.length, 2);
  });

  test("an idempotent one whose stream was reset", async (t) => {
    const { kinds, server } = await openTrial(t, again, [{ reset: RST.internal }, { reset: RST.cancel }, {}]);
    assert.equal((await kinds.read({ value: "a" })).value, "a!");
    assert.equal(server.seen.length, 3);
  });

  for (const code of [Code.InvalidArgument, Code.NotFound, Code.Aborted, Code.Internal, Code.DeadlineExceeded, Code.Canceled]) {
    test(`none that the server answers with ${Code[code]}, unless the policy says so`, async (t) => {
      const { kinds, server } = await openTrial(t, again, [{ fail: code }]);
      const error = await failure(kinds.read({ value: "a" }));
      assert.equal(error.code, code);
      assert.equal(server.seen.length, 1);
    });
  }

  for (const wire of ["gRPC", "Connect over HTTP/1.1", "gRPC-web over HTTP/2"]) {
    for (const [pushback, attempts] of [
      ["-1", 1],
      ["soon", 1],
      ["1", 2],
      ["3600000", 1],
    ] as const) {
      test(`one whose server asks for ${pushback} ms: ${attempts} (${wire})`, async (t) => {
        const metadata = { "grpc-retry-pushback-ms": pushback };
        const { kinds, server } = await openTrial(t, again, [{ fail: Code.Unavailable, metadata }, {}], { wire });
        await Promise.allSettled([kinds.read({ value: "a" })]);
        assert.equal(server.seen.length, attempts);
      });
    }
  }

  for (const wire of ["gRPC", "Connect over HTTP/1.1"]) {
    test(`not one that an Envoy's rate limit refused (${wire})`, async (t) => {
      const metadata = { "x-envoy-ratelimited": "true" };
      const { kinds, server } = await openTrial(t, again, [{ fail: Code.Unavailable, metadata }, {}], { wire });
      await failure(kinds.read({ value: "a" }));
      assert.equal(server.seen.length, 1);
    });
  }

  test("all with the same idempotency key", async (t) => {
    const { kinds, server } = await openTrial(t, [idempotency({ methods: ["*"] }), ...again], unavailable);
    assert.equal((await kinds.say({ value: "a" })).value, "a!");
    const [first, second] = server.seen.map(({ header }) => header.get("idempotency-key"));
    assert.match(first ?? "", /^".+"$/);
    assert.equal(first, second);
  });
});

suite("what a layer refuses is a ConnectError", () => {
  const refused = (error: ConnectError): readonly unknown[] => {
    assert.ok(error.cause instanceof PolicyError);
    return [Code[error.code], error.cause.code, error.metadata.get("premesh-by"), error.metadata.get("premesh-policy")];
  };

  test("of a breaker", async (t) => {
    const { client, kinds, server } = await openTrial(
      t,
      [breaker({ trip: { consecutive: 1 }, openFor: "1h" })],
      [{ fail: Code.Unavailable }],
    );
    await failure(kinds.say({ value: "a" }));
    const error = await failure(kinds.say({ value: "a" }));
    assert.deepEqual(refused(error), ["Unavailable", "ERR_PREMESH_BREAKER_OPEN", "breaker", "kinds"]);
    assert.ok(Number(error.metadata.get("premesh-retry-after-ms")) > 3_000_000);
    assert.equal(client.explain(error)?.attempts, 0);
    assert.equal(server.seen.length, 1);
    for (const call of [kinds.collect(texts("a")), all(kinds.count({ value: "a" })), all(kinds.talk(texts("a")))])
      assert.deepEqual(refused(await failure(call)), ["Unavailable", "ERR_PREMESH_BREAKER_OPEN", "breaker", "kinds"]);
  });

  test("of a rate limit", async (t) => {
    const { kinds } = await openTrial(t, [rateLimit({ rate: 1, per: "1h", burst: 1 })]);
    await kinds.say({ value: "a" });
    const error = await failure(kinds.say({ value: "a" }));
    assert.deepEqual(refused(error), ["ResourceExhausted", "ERR_PREMESH_RATE_LIMITED", "rateLimit", "kinds"]);
  });

  test("of a fault", async (t) => {
    const { kinds, server } = await openTrial(t, [fault({ abort: { code: "not-found", percent: 100 } })]);
    assert.deepEqual(refused(await failure(all(kinds.count({ value: "a" })))), ["NotFound", "ERR_PREMESH_FAULT", "fault", "kinds"]);
    assert.equal(server.seen.length, 0);
  });

  test("that a retry outside may try again", async (t) => {
    const { kinds, server } = await openTrial(
      t,
      [retry({ attempts: 9, methods: ["*"], backoff: { base: "0ms" } }), fault({ abort: { code: "unavailable", percent: 50 } })],
      [],
      { client: { seed: 4 } },
    );
    assert.equal((await kinds.collect(texts("a", "b"))).value, "a,b!");
    assert.equal(server.seen.length, 1);
  });
});

suite("a breaker counts", () => {
  const tripped = async (kinds: { say(input: { value: string }): Promise<unknown> }): Promise<boolean> =>
    (await failure(kinds.say({ value: "b" }))).cause instanceof PolicyError;
  const layers = [breaker({ trip: { consecutive: 1 }, openFor: "1h" })];

  for (const code of [Code.Unavailable, Code.Internal, Code.Unknown, Code.DataLoss, Code.DeadlineExceeded]) {
    test(`${Code[code]} as a failure of the server`, async (t) => {
      const { kinds } = await openTrial(t, layers, [{ fail: code }]);
      await failure(kinds.say({ value: "a" }));
      assert.equal(await tripped(kinds), true);
    });
  }

  for (const code of [Code.NotFound, Code.InvalidArgument, Code.PermissionDenied]) {
    test(`${Code[code]} as an answer`, async (t) => {
      const { kinds } = await openTrial(t, layers, [{ fail: code }]);
      await failure(kinds.say({ value: "a" }));
      assert.equal(await tripped(kinds), false);
    });
  }

  test("a message that cannot be written as the caller's mistake", async (t) => {
    const { kinds, server } = await openTrial(t, layers);
    const unwritable = { toString: () => assert.fail("no text") } as unknown as string; // the cast: a mistake of a caller without types
    await assert.rejects(kinds.say({ value: unwritable }), /no text/);
    await assert.rejects(kinds.collect(texts(unwritable)), /no text/);
    assert.equal((await kinds.say({ value: "a" })).value, "a!");
    assert.ok(server.seen.length <= 2);
  });
});

suite("a fallback", () => {
  test("answers with a message, for every kind of RPC", async (t) => {
    const { client, kinds } = await openTrial(t, [fallback({ response: { status: 200, body: "spare" } })], [{ fail: Code.Unavailable }]);
    const headers: (string | null)[] = [];
    const options = { onHeader: (header: Headers) => void headers.push(header.get("premesh-fallback")) };
    assert.equal((await kinds.say({ value: "a" }, options)).value, "spare");
    assert.equal((await kinds.collect(texts("a"), options)).value, "spare");
    assert.deepEqual(await all(kinds.count({ value: "a" }, options)), ["spare"]);
    assert.deepEqual(await all(kinds.talk(texts("a"), options)), ["spare"]);
    assert.deepEqual(headers, ["kinds", "kinds", "kinds", "kinds"]);
    const reply = await kinds.say({ value: "a" });
    assert.deepEqual(
      client.explain(reply)?.decisions.map(({ what }) => what),
      ["answered"],
    );
  });

  test("lets go of the caller's own stream", async (t) => {
    const { kinds } = await openTrial(t, [fallback({ response: { status: 200, body: "spare" } })], [{ fail: Code.Unavailable, reads: 1 }]);
    const fate: unknown[] = [];
    async function* endless(): AsyncGenerator<{ value: string }> {
      try {
        for (;;) yield { value: "a" };
      } catch (error) {
        fate.push(error);
      } finally {
        fate.push("ended");
      }
    }
    assert.equal((await kinds.collect(endless())).value, "spare");
    await turns();
    assert.deepEqual(fate, ["ended"]);
  });

  test("answers a stream with a list of messages", async (t) => {
    const { kinds } = await openTrial(t, [fallback({ response: { status: 200, body: ["x", "y"] } })], [{ fail: Code.Unavailable }]);
    assert.deepEqual(await all(kinds.count({ value: "a" })), ["x", "y"]);
  });

  test("with an error status gives its code", async (t) => {
    const { kinds } = await openTrial(t, [fallback({ response: { status: 404, body: "gone" } })], [{ fail: Code.Unavailable }]);
    const error = await failure(kinds.say({ value: "a" }));
    assert.deepEqual([error.code, error.rawMessage], [Code.NotFound, "gone"]);
  });

  test("whose body is no such message says so", async (t) => {
    const { kinds } = await openTrial(t, [fallback({ response: { status: 200, body: { x: 1 } } })], [{ fail: Code.Unavailable }]);
    const error = await failure(kinds.say({ value: "a" }));
    assert.match(error.message, /fallback's body is no google\.protobuf\.StringValue, which Say gives/);
  });

  test("goes to another server over a transport that is made once", async (t) => {
    const other = await openKinds(t, "2");
    const made: string[] = [];
    const elsewhere = (baseUrl: string): ReturnType<typeof createGrpcTransport> => {
      made.push(baseUrl);
      return createGrpcTransport({ baseUrl });
    };
    const { kinds, server } = await openTrial(t, [fallback({ response: { target: other.baseUrl } })], [{ fail: Code.Unavailable }], {
      transport: { elsewhere },
    });
    assert.equal((await kinds.say({ value: "a" })).value, "a!");
    assert.equal((await kinds.collect(texts("a", "b"))).value, "a,b!");
    assert.deepEqual([server.seen.length, other.seen.length, made], [2, 2, [other.baseUrl]]);
  });

  test("to another server needs a transport to it, and says so", async (t) => {
    const { kinds } = await openTrial(t, [fallback({ response: { target: "http://spare.internal" } })], [{ fail: Code.Unavailable }]);
    const error = await failure(kinds.say({ value: "a" }));
    assert.match(error.message, /sends calls to http:\/\/spare\.internal.*give it elsewhere/);
  });
});

suite("a route", () => {
  test("sends each attempt to an endpoint, a retry to another one, over transports that are made once", async (t) => {
    const bad = await openKinds(t, "2", [{ fail: Code.Unavailable }]);
    const good = await openKinds(t, "2");
    const made: string[] = [];
    const elsewhere = (baseUrl: string): ReturnType<typeof createGrpcTransport> => {
      made.push(baseUrl);
      return createGrpcTransport({ baseUrl });
    };
    const layers = [
      retry({ attempts: 2, methods: ["*"], backoff: { base: "0ms" } }),
      route({ to: [{ endpoints: [bad.baseUrl, good.baseUrl] }], balance: "round-robin" }),
    ];
    const { kinds, server } = await openTrial(t, layers, [], { transport: { elsewhere } });
    for (let call = 0; call < 4; call++) {
      assert.equal((await kinds.say({ value: "a" })).value, "a!");
      assert.equal((await kinds.collect(texts("a", "b"))).value, "a,b!");
    }
    assert.deepEqual([server.seen.length, good.seen.length, made.toSorted()], [0, 8, [bad.baseUrl, good.baseUrl].toSorted()]);
    assert.ok(bad.seen.length > 0);
  });

  test("needs transports to its endpoints, and says so", async (t) => {
    const { kinds } = await openTrial(t, [route({ to: [{ endpoints: ["http://10.0.0.1:8080"] }] })]);
    assert.match((await failure(kinds.say({ value: "a" }))).message, /sends calls to http:\/\/10\.0\.0\.1:8080.*give it elsewhere/);
  });
});

suite("what happened can be asked for", () => {
  test("by the message of a unary call, by messages of a stream, and by an error", async (t) => {
    const { client, kinds } = await openTrial(t, again, [{ fail: Code.Unavailable }, {}, {}, { fail: Code.NotFound }]);
    const reply = await kinds.read({ value: "a" });
    assert.equal(client.explain(reply)?.attempts, 2);
    assert.equal(client.explain(reply)?.method, `${SERVICE}/Read`);
    for await (const message of kinds.count({ value: "n" })) assert.equal(client.explain(message)?.method, `${SERVICE}/Count`);
    assert.equal(client.explain(await failure(kinds.say({ value: "a" })))?.attempts, 1);
  });

  test("and the status names the server, or the service where it is not known", async (t) => {
    const { client, kinds, server } = await openTrial(t, [bulkhead({ limit: 1 })]);
    await kinds.say({ value: "a" });
    const { host } = new URL(server.baseUrl);
    assert.deepEqual(Object.keys(client.status().policies["kinds"]?.targets ?? {}), [host]);
    await kindsClient(premeshTransport(client, createGrpcTransport({ baseUrl: server.baseUrl }))).say({ value: "a" });
    assert.deepEqual(Object.keys(client.status().policies["kinds"]?.targets ?? {}), [host, SERVICE]);
  });
});

suite("what a response says of the peer's limit counts where the policy learns", () => {
  const metadata = { "x-ratelimit-remaining": "0", "x-ratelimit-reset": "30" };
  const learns = [rateLimit({ rate: 1_000_000, per: "1s", learn: true })];

  for (const [what, step] of [
    ["an answer", { metadata }],
    ["a failure", { fail: Code.NotFound, metadata }],
  ] as const) {
    test(what, async (t) => {
      const { client, kinds, server } = await openTrial(t, learns, [step], { client: { now: () => 0 } });
      await kinds.read({ value: "a" }).catch(() => undefined);
      const error = await failure(kinds.read({ value: "b" }));
      assert.equal(client.explain(error)?.attempts, 0);
      assert.equal(server.seen.length, 1);
    });
  }

  test("a stream", async (t) => {
    const { kinds, server } = await openTrial(t, learns, [{ metadata }], { client: { now: () => 0 } });
    await all(kinds.count({ value: "a" }));
    await assert.rejects(all(kinds.count({ value: "b" })));
    assert.equal(server.seen.length, 1);
  });
});
