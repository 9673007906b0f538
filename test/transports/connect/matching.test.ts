// Which policy a call over Connect goes through, what goes through untouched, and what is wrong with what premeshTransport was given.
import assert from "node:assert/strict";
import { suite, test, type TestContext } from "node:test";
import { Code, createContextValues, type Transport } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { premeshOptions, premeshTransport, type PremeshTransportOptions } from "../../../src/connect.ts";
import { type Client, createClient, definePolicy, idempotency, type Match, PolicyError, trace } from "../../../src/index.ts";
import { openKinds } from "./server.ts";
import { failure, kindsClient, SERVICE, texts } from "./service.ts";

const client = (...matches: readonly Match[]): Client =>
  createClient({
    policies: [
      ...matches.map((match, index) => definePolicy({ name: `p${index}`, match: [match], layers: [trace()] })),
      definePolicy({ name: "by-name", layers: [trace()] }),
    ],
  });

async function policyOf(t: TestContext, matches: readonly Match[], options?: PremeshTransportOptions): Promise<string | undefined> {
  const { baseUrl } = await openKinds(t, "2");
  const given = client(...matches);
  const kinds = kindsClient(premeshTransport(given, createGrpcTransport({ baseUrl }), options ?? { baseUrl }));
  return given.explain(await kinds.say({ value: "a" }))?.policy;
}

suite("a policy is found", () => {
  const rows: readonly (readonly [matches: readonly Match[], policy: string | undefined])[] = [
    [[{ service: SERVICE }], "p0"],
    [[{ service: "*" }], "p0"],
    [[{ service: "other.v1.Other" }], undefined],
    [[{ service: SERVICE }, { service: SERVICE, method: "Say" }], "p1"],
    [[{ service: SERVICE, method: "Read" }], undefined],
    [[{ host: "127.0.0.1" }], "p0"],
    [[{ host: "other.internal" }], undefined],
    [[{ host: "*" }], "p0"],
    [[{ service: SERVICE, host: "other.internal" }], undefined],
  ];
  for (const [matches, policy] of rows) {
    test(`${JSON.stringify(matches)}: ${policy ?? "none"}`, async (t) => assert.equal(await policyOf(t, matches), policy));
  }

  test("by its service where the base URL is not known, and then by no host", async (t) => {
    assert.equal(await policyOf(t, [{ service: SERVICE }], {}), "p0");
    assert.equal(await policyOf(t, [{ host: "127.0.0.1" }], {}), undefined);
  });

  test("by its name, for a transport or for a call", async (t) => {
    assert.equal(await policyOf(t, [{ service: SERVICE }], { policy: "by-name" }), "by-name");
    const { baseUrl } = await openKinds(t, "2");
    const given = client({ service: SERVICE });
    const kinds = kindsClient(premeshTransport(given, createGrpcTransport({ baseUrl })));
    const contextValues = createContextValues().set(premeshOptions, { policy: "by-name" });
    assert.equal(given.explain(await kinds.say({ value: "a" }, { contextValues }))?.policy, "by-name");
  });
});

test("a call that nothing matches reaches the transport as it came", async () => {
  const input: unknown[] = [];
  const took = (...given: unknown[]): Promise<never> => {
    input.push(given);
    return new Promise(() => undefined);
  };
  const transport = premeshTransport(client({ service: "other.v1.Other" }), { unary: took, stream: took });
  const { signal } = new AbortController();
  const headers = { "x-a": "b" };
  const message = { value: "a" };
  const messages = texts("a");
  const contextValues = createContextValues();
  void kindsClient(transport).say(message, { signal, timeoutMs: 7, headers, contextValues });
  void kindsClient(transport).collect(messages, { signal, timeoutMs: 7, headers, contextValues });
  const same = (index: number, from: number, value: unknown): void => assert.equal((input[index] as unknown[])[from], value);
  for (const [index, sent] of [message, messages].entries()) {
    for (const [from, value] of [signal, 7, headers, sent, contextValues].entries()) same(index, from + 1, value);
  }
});

test("what the caller sends comes through a policy: headers, context, deadline", async (t) => {
  const { baseUrl, seen } = await openKinds(t, "2");
  const transport = premeshTransport(client({ service: SERVICE }), createGrpcTransport({ baseUrl }));
  let header = new Headers();
  let trailer = new Headers();
  await kindsClient(transport).say(
    { value: "a" },
    { headers: [["x-a", "b"]], timeoutMs: 60_000, onHeader: (got) => (header = got), onTrailer: (got) => (trailer = got) },
  );
  assert.equal(seen[0]?.header.get("x-a"), "b");
  assert.equal(seen[0]?.header.get("grpc-previous-rpc-attempts"), null);
  assert.ok((seen[0]?.timeoutMs ?? 0) > 1_000 && (seen[0]?.timeoutMs ?? 0) <= 60_000);
  assert.equal(header.get("content-type"), "application/grpc+proto");
  assert.equal(trailer.get("grpc-status"), "0");
});

suite("a mistake is said", () => {
  const transport = createGrpcTransport({ baseUrl: "http://127.0.0.1:1" });
  const at = (give: () => unknown, message: RegExp): void =>
    assert.throws(give, (error) => error instanceof PolicyError && message.test(error.message));

  test("as the transport is made", () => {
    const given = client();
    at(() => premeshTransport({} as Client, transport), /premeshTransport: needs the client that createClient gave/);
    at(() => premeshTransport(given, undefined as unknown as Transport), /needs a transport of Connect 2/);
    at(() => premeshTransport(given, { unary: () => undefined } as unknown as Transport), /needs a transport of Connect 2/);
    at(() => premeshTransport(given, transport, { baseUrl: "payments.internal" }), /baseUrl must be a URL.*"payments\.internal"/);
    at(() => premeshTransport(given, transport, { elsewhere: "http://x" as never }), /elsewhere must be a function/);
    at(() => premeshTransport(given, transport, { policy: "nobody" }), /there is no policy "nobody"/);
  });

  test("as a call is made", async () => {
    const given = client({ service: SERVICE });
    const kinds = kindsClient(premeshTransport(given, transport));
    const call = (options: Parameters<typeof kinds.say>[1]): Promise<unknown> => kinds.say({ value: "a" }, options);
    const set = (value: object): Parameters<typeof kinds.say>[1] => ({ contextValues: createContextValues().set(premeshOptions, value) });
    assert.match((await failure(call(set({ policy: "nobody" })))).message, /\[invalid_argument\] there is no policy "nobody"/);
    assert.match((await failure(call(set({ idempotencyKey: "k" })))).message, /has no idempotency layer/);
    await assert.rejects(call({ headers: [["a b", "c"]] }), TypeError);
  });

  test("to a client that is closed", async () => {
    const given = client({ service: SERVICE });
    const kinds = kindsClient(premeshTransport(given, transport));
    await given.close();
    const error = await failure(kinds.say({ value: "a" }));
    assert.equal(error.code, Code.Unavailable);
    assert.match(error.message, /this client is closed/);
  });
});

test("a key goes with the call that was given it", async (t) => {
  const { baseUrl, seen } = await openKinds(t, "2");
  const given = createClient({ policies: [definePolicy({ name: "p", match: [{ service: "*" }], layers: [idempotency()] })] });
  const kinds = kindsClient(premeshTransport(given, createGrpcTransport({ baseUrl })));
  await kinds.say({ value: "a" }, { contextValues: createContextValues().set(premeshOptions, { idempotencyKey: "order-1" }) });
  assert.equal(seen[0]?.header.get("idempotency-key"), '"order-1"');
});
