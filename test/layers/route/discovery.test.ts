// Where endpoints come from: functions and names, looked up in the background; the last good answer stays, and only the first call ever waits.
import assert from "node:assert/strict";
import { promises as dns, type RecordWithTtl, type SrvRecord } from "node:dns";
import { suite, test, type TestContext } from "node:test";
import {
  type Client,
  createClient,
  definePolicy,
  type FindEndpoints,
  PolicyError,
  route,
  type RouteTargetInit,
} from "../../../src/index.ts";
import { virtualClock, type VirtualClock } from "../../../src/testing/index.ts";
import { endpointsOf } from "../../harness/endpoints.ts";
import { gate, turns, watch } from "../../harness/time.ts";

const [A, B, C] = ["http://10.0.0.1:8080", "http://10.0.0.2:8080", "http://10.0.0.3:8080"] as const;

interface Trial {
  readonly client: Client;
  readonly clock: VirtualClock;
  /** Where so many calls went, each endpoint once, in order of their names. */
  readonly went: (calls?: number) => Promise<readonly string[]>;
  /** What the route told. */
  readonly told: string[];
}

function trial(t: TestContext, ...to: readonly RouteTargetInit[]): Trial {
  const clock = virtualClock();
  const client = createClient({
    policies: [definePolicy({ name: "p", layers: [route({ to, balance: "round-robin" })] })],
    clock,
    seed: 1,
  });
  t.after(() => client.close());
  const told: string[] = [];
  client.on((event) => {
    if (event.type === "decision") told.push(event.what);
  });
  return {
    client,
    clock,
    told,
    went: async (calls = 12) => {
      const all = new Set<string>();
      for (let n = 0; n < calls; n++) all.add(await client.run("p", ({ endpoint = "" }) => endpoint));
      return [...all].toSorted((a, b) => (a < b ? -1 : 1));
    },
  };
}

const codeOf = (call: Promise<unknown>): Promise<unknown> =>
  call.then(
    () => "ok",
    (error: unknown) => (error instanceof PolicyError ? error.code : error),
  );

const work = (): string => "done";

suite("a function", () => {
  test("is asked with the first call, which waits, and again every refresh, which nobody waits for", async (t) => {
    let asked = 0;
    let held = gate<readonly string[]>();
    const find: FindEndpoints = () => {
      asked++;
      return held.promise;
    };
    const { client, clock, went, told } = trial(t, { endpoints: find, refresh: "10s" });
    await clock.advance(60_000);
    assert.equal(asked, 0, "not before a call");
    const first = watch(client.run("p", ({ endpoint }) => endpoint));
    await turns();
    assert.deepEqual([asked, first.settled], [1, false]);
    held.open([A]);
    await turns();
    assert.equal(first.value, A);
    held = gate();
    await clock.advance(11_000);
    assert.equal(asked, 2);
    assert.deepEqual(await went(), [A], "no call waits for the second answer");
    held.open([A, B]);
    await turns();
    assert.deepEqual(await went(), [A, B]);
    assert.deepEqual(told, ["endpoints-changed"]);
  });

  test("may give objects, with their own weight, priority and locality", async (t) => {
    const { went } = trial(t, { endpoints: () => new Set([A, { url: B, weight: 0 }, { url: C, priority: 1 }]) });
    assert.deepEqual(await went(), [A]);
  });

  for (const [what, answer] of Object.entries({
    "throws at once": () => {
      throw new Error("no registry");
    },
    rejects: () => Promise.reject(new Error("no registry")),
    "rejects with no error": () => Promise.reject({ code: 7 }), // oxlint-disable-line typescript/prefer-promise-reject-errors -- functions of users do
    "gives no list": () => 7 as never, // the casts: functions of users give what they will
    "gives what is no endpoint": () => ["10.0.0.1:8080"],
    "gives a weight that is none": () => [{ url: A, weight: Number.NaN }],
  } satisfies Record<string, FindEndpoints>)) {
    test(`that ${what}: the call is refused with the reason, and when it mends, calls pass`, async (t) => {
      let find: FindEndpoints = answer;
      const { client, clock, went, told } = trial(t, { endpoints: (context) => find(context) });
      const error: unknown = await client.run("p", work).catch((one: unknown) => one);
      assert.ok(error instanceof PolicyError && error.code === "ERR_PREMESH_NO_ENDPOINT");
      assert.notEqual(error.cause, undefined);
      assert.deepEqual(told, ["discovery-failed", "no-endpoint"]);
      find = () => [A];
      await clock.advance(2_000);
      assert.deepEqual(await went(), [A]);
      find = answer;
      await clock.advance(6_000);
      assert.deepEqual(await went(), [A], "and what was found stays");
    });
  }

  test("that gives an empty list has said that there are none", async (t) => {
    let endpoints: readonly string[] = [A];
    const { client, clock, went } = trial(t, { endpoints: () => endpoints });
    assert.deepEqual(await went(), [A]);
    endpoints = [];
    await clock.advance(6_000);
    assert.equal(await codeOf(client.run("p", work)), "ERR_PREMESH_NO_ENDPOINT");
  });

  test("that never answers counts as failed after a while, and is told so", async (t) => {
    const signals: AbortSignal[] = [];
    const { client, clock } = trial(t, {
      endpoints: ({ signal }) => {
        signals.push(signal);
        return new Promise<never>(() => undefined);
      },
    });
    const call = watch(codeOf(client.run("p", work)));
    await clock.advance(29_000);
    assert.equal(call.settled, false);
    await clock.advance(1_000);
    assert.equal(call.value, "ERR_PREMESH_NO_ENDPOINT");
    assert.equal(signals[0]?.aborted, true);
    await clock.advance(2_000);
    assert.equal(signals.length, 2, "and it is asked again");
  });

  test("that fails again and again is asked ever more rarely", async (t) => {
    const at: number[] = [];
    const { client, clock } = trial(t, {
      endpoints: () => {
        at.push(clock.now());
        throw new Error("down");
      },
    });
    await codeOf(client.run("p", work));
    await clock.advance(200_000);
    const waits = at.slice(1).map((time, n) => time - (at[n] ?? 0));
    assert.ok(
      waits.every((wait, n) => wait >= Math.min(30_000, 1_000 * 2 ** n) && wait <= 1.1 * Math.min(30_000, 1_000 * 2 ** n)),
      String(waits),
    );
  });

  test("the abort of a call that waits for the first answer ends it at once, and the others wait on", async (t) => {
    const held = gate<readonly string[]>();
    const { client } = trial(t, { endpoints: () => held.promise });
    const caller = new AbortController();
    const [aborted, other] = [watch(client.run("p", work, { signal: caller.signal })), watch(client.run("p", work))];
    await turns();
    caller.abort(new Error("enough"));
    await turns();
    assert.deepEqual([(aborted.error as Error).message, other.settled], ["enough", false]); // the cast: that error
    held.open([A]);
    await turns();
    assert.equal(other.value, "done");
  });

  test("10,000 endpoints are taken, more are cut, and doubles count once", async (t) => {
    let count = 20_000;
    const find = (): string[] => Array.from({ length: count }, (_, n) => `http://10.${n >> 16}.${(n >> 8) & 255}.${n & 255}:80`);
    const { client, clock, told, went } = trial(t, { endpoints: () => [...find(), ...find().slice(0, 5)] });
    await went(1);
    const shown = (): number => endpointsOf(client, "run").length;
    assert.deepEqual([shown(), told.splice(0)], [10_000, ["endpoints-cut"]]);
    count = 100;
    await clock.advance(6_000);
    assert.deepEqual([shown(), told.splice(0)], [100, ["endpoints-changed"]]);
  });
});

test("a list that does not end is cut like any other that is too long", async (t) => {
  const { went, told } = trial(t, {
    *endpoints() {
      for (let n = 0; ; n++) yield `http://10.${(n >> 16) & 255}.${(n >> 8) & 255}.${n & 255}:80`;
    },
  });
  await went(1);
  assert.deepEqual(told, ["endpoints-cut"]);
});

/** Answers for names, in place of the resolver. An error code stands for a failure. */
interface Zone {
  a?: readonly RecordWithTtl[] | string;
  aaaa?: readonly RecordWithTtl[] | string;
  srv?: readonly SrvRecord[] | string;
  hosts?: readonly string[];
}

/** Puts zones in the resolver's place; gives how often each name was asked for. */
function resolving(t: TestContext, zones: Readonly<Record<string, Zone>>): ReadonlyMap<string, number> {
  const asked = new Map<string, number>();
  const answer =
    <T>(field: "a" | "aaaa" | "srv") =>
    (name: string): Promise<T> => {
      asked.set(name, (asked.get(name) ?? 0) + 1);
      const records = zones[name]?.[field] ?? "ENOTFOUND";
      if (typeof records === "string") return Promise.reject(Object.assign(new Error(`query ${records} ${name}`), { code: records }));
      return Promise.resolve([...records] as T); // the cast: the field says which records they are
    };
  t.mock.method(dns, "resolve4", answer("a"));
  t.mock.method(dns, "resolve6", answer("aaaa"));
  t.mock.method(dns, "resolveSrv", answer("srv"));
  t.mock.method(dns, "lookup", (name: string) => {
    const hosts = zones[name]?.hosts;
    if (hosts === undefined) return Promise.reject(Object.assign(new Error(`getaddrinfo ENOTFOUND ${name}`), { code: "ENOTFOUND" }));
    return Promise.resolve(hosts.map((address) => ({ address, family: address.includes(":") ? 6 : 4 })));
  });
  return asked;
}

const record = (address: string, ttl = 60): RecordWithTtl => ({ address, ttl });

suite("a name in DNS", () => {
  test("has the addresses of both families, with port and scheme", async (t) => {
    resolving(t, { "api.internal": { a: [record("10.0.0.1"), record("10.0.0.2")], aaaa: [record("fd00::1")] } });
    const { went } = trial(t, { dns: "https://api.internal" });
    assert.deepEqual(await went(), ["https://10.0.0.1", "https://10.0.0.2", "https://[fd00::1]"]);
  });

  test("is asked again after its shortest TTL, of at least a second and at most five minutes", async (t) => {
    for (const [ttl, seconds] of [
      [30, 30],
      [0, 1],
      [86_400, 300],
    ] as const) {
      const asked = resolving(t, { "api.internal": { a: [record("10.0.0.1", 100_000), record("10.0.0.2", ttl)], aaaa: "ENODATA" } });
      const { went, clock } = trial(t, { dns: "http://api.internal:8080" });
      assert.deepEqual(await went(), [A, B]);
      await clock.advance(seconds * 1_000 - 1);
      assert.equal(asked.get("api.internal"), 2, "once for each family");
      await clock.advance(seconds * 100 + 1);
      assert.equal(asked.get("api.internal"), 4);
      t.mock.restoreAll();
    }
  });

  test("changes without a call waiting, and keeps what it had while it fails, flaps or is empty", async (t) => {
    const zone: Zone = { a: [record("10.0.0.1", 1)], aaaa: "ENODATA" };
    const asked = resolving(t, { "api.internal": zone });
    const { went, clock, told } = trial(t, { dns: "http://api.internal:8080" });
    assert.deepEqual(await went(), [A]);
    zone.a = [record("10.0.0.2", 1), record("10.0.0.3", 1)];
    await clock.advance(1_200);
    assert.deepEqual(await went(), [B, C]);
    for (const failure of ["ESERVFAIL", "ETIMEOUT", "ENOTFOUND", []] as const) {
      zone.a = failure;
      await clock.advance(40_000);
      assert.deepEqual(await went(), [B, C], String(failure));
    }
    assert.ok((asked.get("api.internal") ?? 0) > 6);
    assert.ok(told.filter((what) => what === "discovery-failed").length > 4);
    zone.a = [record("10.0.0.1", 1)];
    await clock.advance(40_000);
    assert.deepEqual(await went(), [A]);
  });

  test("keeps the addresses of the family that fails, and takes the new ones of the other", async (t) => {
    const zone: Zone = { a: [record("10.0.0.1", 1)], aaaa: [record("fd00::1", 1)] };
    resolving(t, { "api.internal": zone });
    const { went, clock } = trial(t, { dns: "http://api.internal:8080" });
    assert.deepEqual(await went(), [A, "http://[fd00::1]:8080"]);
    Object.assign(zone, { a: [record("10.0.0.2", 1)], aaaa: "ESERVFAIL" });
    await clock.advance(1_200);
    assert.deepEqual(await went(), [B, "http://[fd00::1]:8080"]);
    zone.aaaa = "ENODATA";
    await clock.advance(1_200);
    assert.deepEqual(await went(), [B], "an answer that there are none is an answer");
  });

  test("that DNS does not know is asked of the system, every refresh", async (t) => {
    const zone: Zone = { hosts: ["127.0.0.1", "::1"] };
    resolving(t, { "my.host": zone });
    const { went, clock } = trial(t, { dns: "http://my.host:8080", refresh: "20s" });
    assert.deepEqual(await went(), ["http://127.0.0.1:8080", "http://[::1]:8080"]);
    zone.hosts = ["127.0.0.2"];
    await clock.advance(19_000);
    assert.equal((await went()).length, 2);
    await clock.advance(3_100);
    assert.deepEqual(await went(), ["http://127.0.0.2:8080"]);
  });

  test("that nobody knows: the call is refused with the resolver's reason", async (t) => {
    resolving(t, {});
    const { client } = trial(t, { dns: "http://nobody.internal:8080" });
    const error: unknown = await client.run("p", work).catch((one: unknown) => one);
    assert.ok(error instanceof PolicyError && error.code === "ERR_PREMESH_NO_ENDPOINT");
    assert.match(error.message, /no endpoint was found \(.*ENOTFOUND nobody\.internal\) for run/);
  });

  test("that is an address is never asked for", async (t) => {
    const asked = resolving(t, {});
    const { went } = trial(t, { dns: "http://10.0.0.1:8080" }, { dns: "http://[::1]:80" });
    assert.deepEqual(await went(), [A, "http://[::1]"]);
    assert.equal(asked.size, 0);
  });
});

suite("a service in DNS", () => {
  const srv = (name: string, port: number, weight: number, priority: number): SrvRecord => ({ name, port, weight, priority });

  test("has the ports, weights and priorities of its records, and the addresses of their names", async (t) => {
    resolving(t, {
      "_http._tcp.api.internal": { srv: [srv("a.internal", 8080, 1, 10), srv("b.internal", 8080, 3, 10), srv("c.internal", 8080, 1, 20)] },
      "a.internal": { a: [record("10.0.0.1")], aaaa: "ENODATA" },
      "b.internal": { a: [record("10.0.0.2")], aaaa: "ENODATA" },
      "c.internal": { a: [record("10.0.0.3")], aaaa: "ENODATA" },
    });
    const { client } = trial(t, { srv: "_http._tcp.api.internal" });
    const counts: Record<string, number> = {};
    for (let n = 0; n < 400; n++) {
      const endpoint = await client.run("p", (attempt) => attempt.endpoint ?? "");
      counts[endpoint] = (counts[endpoint] ?? 0) + 1;
    }
    assert.deepEqual(counts, { [A]: 100, [B]: 300 }, "the second priority is for when the first is not well");
  });

  test("keeps what it had while it fails, or a name of it does", async (t) => {
    const zones: Record<string, Zone> = {
      "_grpc._tcp.api.internal": { srv: [srv("a.internal", 443, 0, 0), srv("b.internal", 8443, 0, 0)] },
      "a.internal": { a: [record("10.0.0.1", 1)], aaaa: "ENODATA" },
      "b.internal": { a: [record("10.0.0.2", 1)], aaaa: "ENODATA" },
    };
    resolving(t, zones);
    const { went, clock } = trial(t, { srv: "https://_grpc._tcp.api.internal" });
    const both = ["https://10.0.0.1", "https://10.0.0.2:8443"];
    assert.deepEqual(await went(), both);
    zones["b.internal"] = {};
    zones["a.internal"] = { a: [record("10.0.0.3", 1)], aaaa: "ENODATA" };
    await clock.advance(1_200);
    assert.deepEqual(await went(), ["https://10.0.0.2:8443", "https://10.0.0.3"], "a name that fails keeps its addresses");
    zones["_grpc._tcp.api.internal"] = { srv: [srv("a.internal", 443, 0, 0)] };
    await clock.advance(1_200);
    assert.deepEqual(await went(), ["https://10.0.0.3"], "unless the service names it no more");
    zones["_grpc._tcp.api.internal"] = { srv: "ESERVFAIL" };
    await clock.advance(5_000);
    assert.deepEqual(await went(), ["https://10.0.0.3"]);
  });
});
