// idempotency: one key for all attempts of a call, so that the peer can tell a retry from a new call.
import assert from "node:assert/strict";
import test, { type TestContext } from "node:test";
import {
  createClient,
  definePolicy,
  type FetchInit,
  fallback,
  idempotency,
  type IdempotencyOptions,
  type LayerDefinition,
  retry,
} from "../../src/index.ts";
import { openUpstream, type Seen } from "../harness/upstream.ts";

const again = retry({ backoff: { base: "0ms", max: "0ms" } });

/** The keys that the peer has seen of one call that fails twice. */
async function keys(t: TestContext, layers: readonly LayerDefinition[], init: FetchInit, header = "idempotency-key"): Promise<unknown[]> {
  const upstream = await openUpstream(t, [{ status: 503 }, { status: 503 }, {}]);
  const client = createClient({ policies: [definePolicy({ name: "p", match: [{ host: "*" }], layers })] });
  await (await client.fetch(upstream.url, init)).text();
  return upstream.requests.map(({ headers }: Seen) => headers[header]);
}

const post = { method: "POST", body: "x" } as const;
const stamped = (options?: IdempotencyOptions): LayerDefinition[] => [idempotency(options), again];

test("stamps one quoted key for all attempts, and another for the next call", async (t) => {
  const [first, second] = [await keys(t, stamped(), post), await keys(t, stamped(), post)];
  for (const seen of [first, second]) {
    assert.equal(seen.length, 3);
    assert.equal(new Set(seen).size, 1);
    assert.match(String(seen[0]), /^"[0-9a-f-]{36}"$/);
  }
  assert.notEqual(first[0], second[0]);
});

test("PATCH gets a key, GET and PUT none, unless the policy names them", async (t) => {
  const none = [undefined, undefined, undefined];
  assert.equal((await keys(t, stamped(), { method: "PATCH", body: "x" })).length, 3);
  assert.deepEqual(await keys(t, stamped(), {}), none);
  assert.deepEqual(await keys(t, stamped(), { method: "PUT", body: "x" }), none);
  assert.ok((await keys(t, stamped({ methods: ["*"] }), {}))[0]);
  assert.deepEqual(await keys(t, stamped({ methods: ["PATCH"] }), post), [undefined], "and without a key no right to be retried");
});

test("a header that the caller has set is kept as it is, and lifts the gate", async (t) => {
  assert.deepEqual(await keys(t, stamped(), { ...post, headers: { "Idempotency-Key": "mine" } }), ["mine", "mine", "mine"]);
});

test("the caller's own key is sent quoted, and one that is quoted already stays", async (t) => {
  for (const [given, sent] of [
    ["order-7", '"order-7"'],
    ['"order-7"', '"order-7"'],
    ['a"b\\c', '"a\\"b\\\\c"'],
  ] as const) {
    assert.deepEqual(await keys(t, stamped(), { ...post, premesh: { idempotencyKey: given } }), [sent, sent, sent]);
  }
});

test("the header can be another", async (t) => {
  const seen = await keys(t, stamped({ header: "X-Request-Key" }), post, "x-request-key");
  assert.equal(new Set(seen).size, 1);
  assert.equal(seen.length, 3);
});

test("the caller's word that a call may not be sent twice stands above the key", async (t) => {
  assert.equal((await keys(t, stamped(), { ...post, premesh: { idempotent: false } })).length, 1);
});

test("inside retry it does not lift the gate, but what is sent again has the same key", async (t) => {
  const seen = await keys(t, [again, idempotency()], { ...post, premesh: { idempotent: true } });
  assert.equal(seen.length, 3);
  assert.equal(new Set(seen).size, 1);
});

test("a fallback target gets the same key when the layer is outside it", async (t) => {
  const [down, backup] = [await openUpstream(t, [{ status: 503 }]), await openUpstream(t, [{}])];
  const layers = [idempotency(), fallback({ response: { target: backup.url } })];
  const client = createClient({ policies: [definePolicy({ name: "p", match: [{ host: "*" }], layers })] });
  await (await client.fetch(down.url, post)).text();
  assert.equal(down.requests[0]?.headers["idempotency-key"], backup.requests[0]?.headers["idempotency-key"]);
});

test("a key that cannot stand in a header is the caller's mistake: told at once, not retried", async (t) => {
  const upstream = await openUpstream(t, [{}]);
  const client = createClient({ policies: [definePolicy({ name: "p", match: [{ host: "*" }], layers: stamped() })] });
  for (const idempotencyKey of ["a\nb", "鍵"]) {
    const error: unknown = await client.fetch(upstream.url, { ...post, premesh: { idempotencyKey } }).catch((one: unknown) => one);
    assert.ok(error instanceof TypeError);
    assert.equal(client.explain(error)?.attempts, 1);
  }
  assert.equal(upstream.requests.length, 0);
});
