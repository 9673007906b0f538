// rateLimit with `learn`: slower by what the peer says of its own limit.
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import test from "node:test";
import { Metadata } from "@grpc/grpc-js";
import { channelOptions } from "../../../src/grpc.ts";
import { createClient, definePolicy, PolicyError, rateLimit } from "../../../src/index.ts";
import { ask } from "../../harness/ask.ts";
import { openShim } from "../../harness/shim.ts";
import { echoClient } from "../../transports/grpc/calls.ts";
import { openPeer } from "../../transports/grpc/peer.ts";
import { answer, type Answer, bare, failing, failureOf } from "../../harness/bare.ts";
import { quotaOf } from "../../../src/layers/rateLimit/pace.ts";
import { memoryStore } from "../../harness/store.ts";
import { stoppedTime } from "../../harness/time.ts";

const head = (fields: Readonly<Record<string, string>>): { get(name: string): string | undefined } => ({ get: (name) => fields[name] });
const saying =
  (fields: Readonly<Record<string, string>>): Answer =>
  () =>
    answer(200, { head: head(fields) });
const generous = { rate: 1_000_000, per: "1s", learn: true } as const;

test("a Retry-After of a 429 or 503 holds all calls back until then", async (t) => {
  const time = stoppedTime(t);
  for (const status of [429, 503]) {
    const stack = bare([rateLimit(generous)]);
    stack.answers(failing(status, { retryAfterMs: 2_000 }), () => answer(200));
    await stack.call();
    assert.equal(failureOf(await stack.call()).retryAfterMs, 2_000);
    assert.equal(stack.sent.length, 1);
    await time.pass(2_000);
    assert.equal((await stack.call()).ok, true);
  }
});

test("without learn, or of another status, it holds nothing back", async (t) => {
  stoppedTime(t);
  for (const [layer, status] of [
    [rateLimit({ rate: 1_000, per: "1s" }), 429],
    [rateLimit(generous), 500],
  ] as const) {
    const stack = bare([layer]);
    stack.answers(failing(status, { retryAfterMs: 2_000 }), () => answer(200));
    await stack.call();
    assert.equal((await stack.call()).ok, true);
  }
});

test("half of what remains goes as it comes, the rest is spaced so that it lasts, and none goes at 0", async (t) => {
  const time = stoppedTime(t);
  const stack = bare([rateLimit(generous)]);
  const began = time.now();
  let left = 100;
  stack.answers(() =>
    answer(200, {
      head: head({ "ratelimit-remaining": `${--left}`, "ratelimit-reset": `${Math.ceil((began + 10_000 - time.now()) / 1_000)}` }),
    }),
  );
  let atOnce = 0;
  while ((await stack.call()).ok) atOnce++;
  assert.ok(atOnce >= 40 && atOnce <= 60, `${atOnce} at once`);
  let refusals = 0;
  for (let n = 0; n < 100; n++) {
    await time.pass(100);
    if (!(await stack.call()).ok) refusals++;
    assert.ok(left >= 0, "the peer never had to refuse");
  }
  assert.ok(left <= 25, `${left} were left unused`);
  assert.ok(refusals > 0);
  await time.pass(1_000);
  left = 100;
  assert.equal((await stack.call()).ok, true);
});

test("a peer can hold a client for an hour at most, and nonsense not at all", async (t) => {
  const time = stoppedTime(t);
  const stack = bare([rateLimit(generous)]);
  stack.answers(saying({ "x-ratelimit-remaining": "0", "x-ratelimit-reset": "999999999" }), () => answer(200));
  await stack.call();
  assert.equal(failureOf(await stack.call()).retryAfterMs, 3_600_000);
  await time.pass(3_600_000);
  assert.equal((await stack.call()).ok, true);
});

test("what fields say", () => {
  const at = (): number => 1_700_000_000_000;
  const rows: readonly (readonly [Readonly<Record<string, string>>, readonly [number, number] | undefined])[] = [
    [{ ratelimit: '"default";r=50;t=30' }, [50, 30_000]],
    [{ ratelimit: '"burst";r=5;t=1, "day";r=9;t=86400' }, [9, 86_400_000]],
    [{ ratelimit: '"default";t=30;r=0' }, [0, 30_000]],
    [{ ratelimit: "limit=100, remaining=50, reset=30" }, [50, 30_000]],
    [{ "ratelimit-limit": "100", "ratelimit-remaining": "7", "ratelimit-reset": "3" }, [7, 3_000]],
    [{ "x-ratelimit-remaining": "7", "x-ratelimit-reset": "1700000060" }, [7, 60_000]],
    [{ "x-ratelimit-remaining": "7", "x-ratelimit-reset": "1700000060000" }, [7, 60_000]],
    [{ "x-ratelimit-remaining": "7", "x-ratelimit-reset": "1600000000" }, [7, 0]],
    [{ "x-rate-limit-remaining": "7", "x-rate-limit-reset": "12.5" }, [7, 12_000]],
    [{ "x-ratelimit-remaining": "99, 99;window=1", "x-ratelimit-reset": "1, 1;w=1" }, [99, 1_000]],
    [{ "x-ratelimit-remaining": "7", "x-ratelimit-reset": "Tue, 14 Nov 2023 22:14:20 GMT" }, [7, 60_000]],
    [{ "x-ratelimit-remaining": "7" }, undefined],
    [{ "x-ratelimit-remaining": "-1", "x-ratelimit-reset": "5" }, undefined],
    [{ "x-ratelimit-remaining": "lots", "x-ratelimit-reset": "soon" }, undefined],
    [{ ratelimit: '"default"' }, undefined],
    [{ ratelimit: "x".repeat(100_000) }, undefined],
    [{}, undefined],
  ];
  for (const [fields, said] of rows) {
    const quota = quotaOf(head(fields), at);
    assert.deepEqual(quota === undefined ? undefined : [quota.remaining, quota.resetMs], said, JSON.stringify(fields).slice(0, 100));
  }
});

test("it is learned for each target and key apart, and reset forgets it", async (t) => {
  stoppedTime(t);
  const stack = bare([rateLimit({ ...generous, key: { header: "x-tenant" } })]);
  const tenant = (name: string): object => ({ metadata: { get: (field: string) => (field === "x-tenant" ? name : undefined) } });
  stack.answers(failing(429, { retryAfterMs: 1_000 }), () => answer(200));
  await stack.call(tenant("a"));
  assert.deepEqual([(await stack.call(tenant("b"))).ok, (await stack.call(tenant("a"))).ok], [true, false]);
  stack.state("rateLimit").reset?.();
  assert.equal((await stack.call(tenant("a"))).ok, true);
});

test("processes that share divide what remains", async (t) => {
  stoppedTime(t);
  const store = memoryStore();
  store.seen = 5;
  const stack = bare([rateLimit({ rate: 1_000, per: "1s", shared: true, learn: true })], { shared: store });
  stack.answers(saying({ "ratelimit-remaining": "100", "ratelimit-reset": "10" }));
  let atOnce = 0;
  while ((await stack.call()).ok) atOnce++;
  assert.ok(atOnce >= 8 && atOnce <= 12, `${atOnce} at once`);
});

test("over fetch: the fields of a real response count", async (t) => {
  const server = createServer((_request, response) => void response.writeHead(200, { RateLimit: '"default";r=0;t=30' }).end("ok")).listen(
    0,
    "127.0.0.1",
  );
  t.after(() => server.close());
  await once(server, "listening");
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`; // the cast: it listens on TCP
  const client = createClient({
    policies: [definePolicy({ name: "api", match: [{ host: "*" }], layers: [rateLimit(generous)] })],
    now: () => 0,
  });
  assert.equal(await (await client.fetch(url)).text(), "ok");
  await assert.rejects(client.fetch(url), (error) => {
    assert.ok(error instanceof PolicyError);
    assert.equal(error.retryAfterMs, 30_000);
    assert.match(client.explain(error)?.text ?? "", /refused: the peer says that 0 calls remained; room again in 30 s/);
    return true;
  });
});

test("through the sidecar: the fields of the upstream's response count", async (t) => {
  const server = createServer((_request, response) => void response.writeHead(200, { RateLimit: '"default";r=0;t=30' }).end("ok")).listen(
    0,
    "127.0.0.1",
  );
  t.after(() => server.close());
  await once(server, "listening");
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`; // the cast: it listens on TCP
  const shim = await openShim(t, {
    policies: [definePolicy({ name: "api", match: [{ host: "*" }], layers: [rateLimit(generous)] })],
    now: () => 0,
  });
  assert.equal((await ask(shim.address, { host })).status, 200);
  const refused = await ask(shim.address, { host });
  assert.deepEqual([refused.status, refused.headers["retry-after"]], [429, "30"]);
});

test("over gRPC: the metadata of an answer counts, and that of a failure", async (t) => {
  const spent = { "x-ratelimit-remaining": "0", "x-ratelimit-reset": "30" };
  const peer = await openPeer(t, (attempt) => {
    if (attempt.nth > 1) return attempt.status(8, spent);
    attempt.head(spent);
    attempt.send("ok");
    return attempt.status(0);
  });
  let now = 0;
  const layers = [rateLimit(generous)];
  const client = createClient({ policies: [definePolicy({ name: "api", match: [{ host: "*" }], layers })], now: () => now });
  const echo = echoClient(t, peer.address, channelOptions(client));
  const unary = (): Promise<number | undefined> =>
    new Promise((resolve) => {
      echo.Unary("hello", new Metadata(), {}, (error) => resolve(error === null ? undefined : client.explain(error)?.attempts));
    });
  assert.equal(await unary(), undefined);
  assert.equal(await unary(), 0, "held back by what the answer said");
  now = 31_000;
  assert.equal(await unary(), 1);
  assert.equal(await unary(), 0, "held back by what the failure said");
  assert.equal(peer.attempts.length, 2);
});
