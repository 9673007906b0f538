// What goes through a client and what goes past it; what callers may say about one call; what explain knows of it afterwards.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import {
  breaker,
  createClient,
  definePolicy,
  type FetchFunction,
  idempotency,
  PolicyError,
  retry,
  standard,
  timeout,
} from "../../src/index.ts";

const ok: FetchFunction = () => Promise.resolve(new Response("ok"));
const policy = definePolicy({ name: "p", match: [{ host: "api.internal" }], layers: standard() });

describe("a call that nothing matches", () => {
  test("goes to the same function with the very same arguments, and gives its very result", async () => {
    const calls: unknown[][] = [];
    const results: Promise<Response>[] = [];
    const client = createClient({
      policies: [policy],
      fetch: (...all) => {
        calls.push(all);
        const result = Promise.resolve(new Response("past"));
        results.push(result);
        return result;
      },
    });
    const inputs = [
      "http://other.internal/",
      new URL("http://other.internal/"),
      new Request("http://other.internal/"),
      "data:,x",
      "ftp://a",
      "no URL",
      "",
    ];
    for (const input of inputs) {
      for (const init of [undefined, { method: "POST", premesh: { idempotent: true } }]) {
        const given = client.fetch(input, init);
        const call = calls.at(-1);
        assert.equal(given, results.at(-1));
        assert.equal(call?.[0], input);
        assert.equal(call?.[1], init);
        assert.equal(client.explain(await given), undefined);
      }
    }
    assert.deepEqual(client.status().policies["p"]?.targets, {});
  });

  test("is the runtime's own affair: data, blob and wrong URLs", async () => {
    const client = createClient({ policies: [definePolicy({ name: "all", match: [{ host: "*" }], layers: standard() })] });
    assert.equal(await (await client.fetch("data:text/plain,hello")).text(), "hello");
    const blob = URL.createObjectURL(new Blob(["blob"]));
    assert.equal(await (await client.fetch(blob)).text(), "blob");
    URL.revokeObjectURL(blob);
    for (const input of ["no URL", "http://", "ftp://a/", undefined, null, 5, {}]) {
      const bare = await fetch(input as never).catch((error: unknown) => String(error)); // the cast: that is what is tested
      const given = await client.fetch(input as never).catch((error: unknown) => String(error)); // the cast: as above
      assert.equal(given, bare);
    }
  });

  test("follows a global fetch that is replaced later", async (t) => {
    const client = createClient({ policies: [policy] });
    t.mock.method(globalThis, "fetch", ok);
    assert.equal(await (await client.fetch("http://other.internal/")).text(), "ok");
    const response = await client.fetch("http://api.internal/");
    assert.equal(await response.text(), "ok");
    assert.equal(client.explain(response)?.attempts, 1);
  });
});

describe("for one call, a caller may", () => {
  const named = definePolicy({ name: "named", layers: [retry({ backoff: { base: "0ms" } })] });
  const keyed = definePolicy({ name: "keyed", layers: [idempotency(), retry({ backoff: { base: "0ms" } })] });
  const failing = (): { readonly fetch: FetchFunction; readonly keys: (string | null)[] } => {
    const keys: (string | null)[] = [];
    return {
      keys,
      fetch: (_input, init) => {
        keys.push(new Headers(init?.headers).get("idempotency-key"));
        return Promise.resolve(new Response("no", { status: 503 }));
      },
    };
  };

  test("name a policy, whatever the matches say", async () => {
    const client = createClient({ policies: [policy, named], fetch: ok });
    const response = await client.fetch("http://api.internal/", { premesh: { policy: "named" } });
    assert.equal(client.explain(response)?.policy, "named");
  });

  test("not name one that is not there: the error says which there are", async () => {
    const client = createClient({ policies: [policy, named], fetch: ok });
    const rejected = { name: "PolicyError", code: "ERR_PREMESH_UNKNOWN_POLICY", policy: "nemed", message: /p, named/ };
    await assert.rejects(client.fetch("http://api.internal/", { premesh: { policy: "nemed" } }), rejected);
    await assert.rejects(
      client.run("nemed", () => 1),
      rejected,
    );
    assert.throws(() => client.isolate("nemed"), rejected);
    assert.throws(() => client.reset("nemed"), rejected);
  });

  test("say that it may be sent twice, or may not", async () => {
    const { fetch, keys } = failing();
    const client = createClient({ policies: [named], fetch });
    const send = async (method: string, idempotent?: boolean): Promise<number> => {
      keys.length = 0;
      const premesh = idempotent === undefined ? { policy: "named" } : { policy: "named", idempotent };
      await client.fetch("http://a/", { method, premesh });
      return keys.length;
    };
    assert.equal(await send("GET"), 3);
    assert.equal(await send("POST"), 1);
    assert.equal(await send("POST", true), 3);
    assert.equal(await send("GET", false), 1);
  });

  test("give the key that all attempts carry", async () => {
    const { fetch, keys } = failing();
    const client = createClient({ policies: [keyed], fetch });
    await client.fetch("http://a/", { method: "POST", premesh: { policy: "keyed", idempotencyKey: "order-5" } });
    assert.deepEqual(keys, ['"order-5"', '"order-5"', '"order-5"']);
  });

  test("not give a key where no layer would send it", async () => {
    const client = createClient({ policies: [named], fetch: ok });
    await assert.rejects(client.fetch("http://a/", { premesh: { policy: "named", idempotencyKey: "x" } }), {
      code: "ERR_PREMESH_NO_IDEMPOTENCY_LAYER",
    });
  });
});

describe("explain", () => {
  test("knows responses and errors, and what was decided on the way", async () => {
    let calls = 0;
    const client = createClient({
      policies: [definePolicy({ name: "p", match: [{ host: "*" }], layers: [retry({ backoff: { base: "0ms" } }), breaker()] })],
      fetch: () => Promise.resolve(new Response("x", { status: ++calls < 3 ? 503 : 200 })),
    });
    const response = await client.fetch("http://a:8080/x?secret=1");
    const explanation = client.explain(response);
    assert.deepEqual(
      {
        ...explanation,
        revision: "",
        text: "",
        tookMs: 0,
        layers: explanation?.layers.map(({ layer, reached, decisions }) => [layer, reached, decisions.length]),
        decisions: explanation?.decisions.map(({ what, attempt, layer }) => [layer, what, attempt]),
      },
      {
        policy: "p",
        revision: "",
        target: "a:8080",
        method: "GET",
        attempts: 3,
        outcome: "200",
        tookMs: 0,
        layers: [
          ["retry", true, 2],
          ["breaker", true, 0],
        ],
        decisions: [
          ["retry", "retrying", 1],
          ["retry", "retrying", 2],
        ],
        endpoints: [],
        text: "",
      },
    );
    assert.match(
      explanation?.text ?? "",
      /^GET a:8080 under policy p: 200, after 3 attempts, in .*\n {2}retry {4}attempt 1 came out as 503/,
    );
    assert.ok(!JSON.stringify(explanation).includes("secret"));
    assert.equal(JSON.stringify(explanation), JSON.stringify(JSON.parse(JSON.stringify(explanation))));
  });

  test("knows an error by any error that it caused", async () => {
    const client = createClient({ policies: [definePolicy({ name: "p", layers: [timeout("1s")] })] });
    const error = new Error("inner");
    await assert.rejects(client.run("p", () => Promise.reject(error)));
    assert.equal(client.explain(new Error("outer", { cause: error }))?.policy, "p");
  });

  test("knows nothing of what came from elsewhere", () => {
    const client = createClient({ policies: [] });
    for (const other of [undefined, null, 5, "text", Symbol("x"), {}, new Error("x"), new Response(), () => 1]) {
      assert.equal(client.explain(other), undefined);
    }
  });

  test("keeps a bounded number of decisions", async () => {
    const layers = [retry({ attempts: 100, backoff: { base: "0ms" }, budget: false }), breaker({ trip: { consecutive: 1 }, shadow: true })];
    const client = createClient({ policies: [definePolicy({ name: "p", layers })] });
    const error = new Error("x");
    await assert.rejects(client.run("p", () => Promise.reject(error), { idempotent: true }));
    assert.equal(client.explain(error)?.attempts, 100);
    assert.equal(client.explain(error)?.decisions.length, 100);
  });
});

test("createClient says what is wrong with its options", () => {
  const wrong: Readonly<Record<string, readonly [options: unknown, message: RegExp]>> = {
    nothing: [undefined, /needs an object with policies/],
    null: [null, /needs an object with policies/],
    "no policies": [{}, /policies must be a list/],
    "one policy": [{ policies: policy }, /policies must be a list/],
    fetch: [{ policies: [], fetch: "fetch" }, /fetch must be a function/],
    now: [{ policies: [], now: 5 }, /now must be a function/],
    seed: [{ policies: [], seed: "x" }, /seed must be a number/],
    "a seed that is no number": [{ policies: [], seed: Number.NaN }, /seed must be a number/],
  };
  for (const [name, [options, message]] of Object.entries(wrong)) {
    assert.throws(() => createClient(options as never), { name: "PolicyError", code: "ERR_PREMESH_INVALID_OPTIONS", message }, name); // the cast: that is what is tested
  }
  assert.throws(
    () => createClient({ policies: [{ name: "p" }, 5] as never }),
    (error) => {
      assert.ok(error instanceof PolicyError);
      assert.equal(error.code, "ERR_PREMESH_INVALID_POLICY");
      assert.deepEqual(
        error.issues.map(({ path }) => path),
        ["policies[0].layers", "policies[1]"],
      );
      return true;
    },
  );
});
