// run: whatever the work does, the call ends as documented and the layers get back what they gave.
// oxlint-disable unicorn/no-thenable -- objects with `then` are what is tested
import assert from "node:assert/strict";
import { getEventListeners } from "node:events";
import { afterEach, describe, test, type TestContext } from "node:test";
import {
  breaker,
  bulkhead,
  type Client,
  createClient,
  definePolicy,
  fallback,
  PolicyError,
  retry,
  timeout,
  type Work,
} from "../../../src/index.ts";

const unhandled: unknown[] = [];
process.on("unhandledRejection", (reason) => unhandled.push(reason));
afterEach(async () => {
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(unhandled.splice(0), [], "nothing was left unhandled");
});

const boom = new Error("boom");

function clientFor(t: TestContext): Client {
  const client = createClient({
    policies: [
      definePolicy({
        name: "work",
        layers: [
          bulkhead({ limit: 2 }),
          timeout("5s"),
          retry({ attempts: 3, backoff: { base: "0ms" } }),
          timeout("1s"),
          breaker({ trip: { consecutive: 100 } }),
          bulkhead({ limit: 2 }),
        ],
      }),
    ],
  });
  t.after(() => client.close());
  return client;
}

function held(client: Client): number {
  const states = Object.values(client.status().policies["work"]?.targets ?? {}).flat();
  return states.reduce(
    (sum, { state }) => sum + Number(state["active"] ?? 0) + Number(state["retries"] ?? 0) + Number(state["waiting"] ?? 0),
    0,
  );
}

describe("work that succeeds", () => {
  const results: Readonly<Record<string, readonly [work: Work<unknown>, expected: unknown]>> = {
    undefined: [() => undefined, undefined],
    null: [() => null, null],
    "a number": [() => 0, 0],
    "a string": [() => "", ""],
    false: [() => false, false],
    "a bigint": [() => 3n, 3n],
    "a promise": [() => Promise.resolve(7), 7],
    "a promise of undefined": [async () => undefined, undefined],
    "a thenable object": [() => ({ then: (resolve: (value: number) => void) => resolve(8) }), 8],
    "a thenable function": [() => Object.assign(() => 1, { then: (resolve: (value: number) => void) => resolve(9) }), 9],
    "a thenable that settles twice": [
      () => ({
        then: (resolve: (value: number) => void, reject: (reason: unknown) => void) => {
          resolve(10);
          reject(boom);
          resolve(11);
        },
      }),
      10,
    ],
    "a promise of a promise": [() => Promise.resolve({ then: (resolve: (value: number) => void) => resolve(12) }), 12],
  };
  for (const [name, [work, expected]] of Object.entries(results)) {
    test(`with ${name} gives that value`, async (t) => {
      const client = clientFor(t);
      assert.equal(await client.run("work", work), expected);
      assert.equal(held(client), 0);
    });
  }

  test("with an object gives that very object, and explain knows it", async (t) => {
    const client = clientFor(t);
    const value = { rows: [] };
    const given = await client.run("work", () => value);
    assert.equal(given, value);
    assert.equal(client.explain(given)?.policy, "work");
  });

  test("may give what looks like an outcome of ours", async (t) => {
    const client = clientFor(t);
    const value = { ok: false, code: 14, by: "peer" };
    assert.equal(await client.run("work", () => value), value);
  });

  test("is told the attempt, the target and a signal", async (t) => {
    const client = clientFor(t);
    const seen: unknown[] = [];
    await client.run(
      "work",
      ({ attempt, target, signal }) => {
        seen.push(attempt, target, signal instanceof AbortSignal);
        if (attempt === 1) throw boom;
      },
      { idempotent: true, target: "db" },
    );
    assert.deepEqual(seen, [1, "db", true, 2, "db", true]);
    assert.deepEqual(Object.keys(client.status().policies["work"]?.targets ?? {}), ["db"]);
  });

  test("gets a signal even where no layer and no caller has one", async () => {
    const client = createClient({ policies: [definePolicy({ name: "bare", layers: [] })] });
    assert.equal(await client.run("bare", ({ signal }) => signal.aborted), false);
  });
});

describe("work that fails", () => {
  const failures: Readonly<Record<string, Work<unknown>>> = {
    "throws at once": () => {
      throw boom;
    },
    rejects: () => Promise.reject(boom),
    "rejects later": async () => {
      await new Promise((resolve) => setImmediate(resolve));
      throw boom;
    },
    "gives a thenable that rejects": () => ({ then: (_: unknown, reject: (reason: unknown) => void) => reject(boom) }),
    "gives a thenable that throws": () => ({
      then: () => {
        throw boom;
      },
    }),
    "gives an object whose `then` cannot be read": () =>
      new Proxy(
        {},
        {
          get: () => {
            throw boom;
          },
        },
      ),
  };
  for (const [name, work] of Object.entries(failures)) {
    test(`because it ${name}: the error is thrown as it is, after all attempts if it may be repeated`, async (t) => {
      const client = clientFor(t);
      let calls = 0;
      const counted: Work<unknown> = (attempt) => {
        calls++;
        return work(attempt);
      };
      await assert.rejects(client.run("work", counted, { idempotent: true }), (error) => error === boom);
      assert.equal(calls, 3);
      assert.equal(client.explain(boom)?.attempts, 3);
      calls = 0;
      await assert.rejects(client.run("work", counted), (error) => error === boom);
      assert.equal(calls, 1, "without the caller's word it is done once");
      assert.equal(held(client), 0);
    });
  }

  for (const thrown of [undefined, null, "text", 5, Symbol("s"), Object.freeze({ frozen: true })]) {
    test(`with ${typeof thrown === "object" ? JSON.stringify(thrown) : String(thrown)} in place of an error: throws just that`, async (t) => {
      const client = clientFor(t);
      const caught = await client
        .run("work", () => {
          throw thrown; // oxlint-disable-line typescript/only-throw-error -- callers do
        })
        .then(assert.fail, (reason: unknown) => reason);
      assert.equal(caught, thrown);
      assert.equal(held(client), 0);
    });
  }

  test("with an error whose causes go round in a circle", async (t) => {
    const client = clientFor(t);
    const error = new Error("a");
    error.cause = new Error("b", { cause: error });
    await assert.rejects(
      client.run("work", () => {
        throw error;
      }),
      (reason) => reason === error,
    );
    assert.equal(client.explain(error.cause)?.attempts, 1);
  });

  interface Judged {
    readonly error: object;
    readonly calls: number;
    readonly failures: number;
  }
  const judged: Readonly<Record<string, Judged>> = {
    "status 503": { error: { status: 503 }, calls: 3, failures: 3 },
    "statusCode 502": { error: { statusCode: 502 }, calls: 3, failures: 3 },
    "response.status 504": { error: { response: { status: 504 } }, calls: 3, failures: 3 },
    "status 500": { error: { status: 500 }, calls: 1, failures: 1 },
    "status 404": { error: { status: 404 }, calls: 1, failures: 0 },
    "status 200, which is none of an error": { error: { status: 200 }, calls: 3, failures: 3 },
    "gRPC unavailable": { error: { code: 14, metadata: {} }, calls: 3, failures: 3 },
    "gRPC not-found": { error: { code: 5, metadata: {} }, calls: 1, failures: 0 },
    "a number as code without metadata": { error: { code: 5 }, calls: 3, failures: 3 },
    "a status in its cause": { error: { cause: { status: 404 } }, calls: 1, failures: 0 },
  };
  for (const [name, { error, calls, failures: counted }] of Object.entries(judged)) {
    test(`with ${name}: is judged by that (idempotent work)`, async (t) => {
      const client = clientFor(t);
      const thrown = Object.assign(new Error("failed"), error);
      let made = 0;
      await assert.rejects(
        client.run(
          "work",
          () => {
            made++;
            throw thrown;
          },
          { idempotent: true },
        ),
        (reason) => reason === thrown,
      );
      assert.equal(made, calls);
      const states = client.status().policies["work"]?.targets["run"];
      const trips = states?.find(({ kind }) => kind === "breaker")?.state["trips"] as { consecutive: number }[]; // the cast: the breaker's own status
      assert.equal(trips[0]?.consecutive, counted);
    });
  }

  test("before it was connected: is repeated without the caller's word", async (t) => {
    const client = clientFor(t);
    let made = 0;
    const refused = Object.assign(new Error("connect ECONNREFUSED"), { code: "ECONNREFUSED" });
    await assert.rejects(
      client.run("work", () => {
        made++;
        throw refused;
      }),
      (reason) => reason === refused,
    );
    assert.equal(made, 3);
  });
});

describe("work that never settles and ignores its signal", () => {
  const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

  test("is ended by a timeout, each attempt and the whole, at once", async (t) => {
    t.mock.timers.enable({ apis: ["setTimeout", "Date"] });
    const client = clientFor(t);
    let made = 0;
    const call = client.run("work", () => new Promise(() => made++), { idempotent: true });
    const caught = assert.rejects(
      call,
      (error) => error instanceof PolicyError && error.code === "ERR_PREMESH_TIMEOUT" && error.attempts === 3,
    );
    for (let attempt = 1; attempt <= 3; attempt++) {
      await settle();
      assert.equal(made, attempt);
      t.mock.timers.tick(1_000);
      await settle();
      t.mock.timers.tick(1);
    }
    await caught;
    assert.equal(held(client), 0);
  });

  test("is ended by the caller's abort at once, and leaves no listener", async (t) => {
    const client = clientFor(t);
    const controller = new AbortController();
    const reason = new Error("enough");
    const call = client.run("work", () => new Promise(() => undefined), { signal: controller.signal });
    assert.equal(getEventListeners(controller.signal, "abort").length, 1);
    controller.abort(reason);
    await assert.rejects(call, (error) => error === reason);
    assert.equal(getEventListeners(controller.signal, "abort").length, 0);
    assert.equal(held(client), 0);
  });

  test("may reject or resolve later; nobody hears of it", async (t) => {
    const client = clientFor(t);
    for (const late of ["reject", "resolve"] as const) {
      const controller = new AbortController();
      const { promise, resolve, reject } = Promise.withResolvers<unknown>();
      const call = client.run("work", () => promise, { signal: controller.signal });
      controller.abort();
      await assert.rejects(call, { name: "AbortError" });
      if (late === "reject") reject(boom);
      else resolve(5);
      await settle();
    }
    assert.equal(held(client), 0);
  });

  test("is not begun when the signal is aborted already", async (t) => {
    const client = clientFor(t);
    const controller = new AbortController();
    controller.abort();
    await assert.rejects(
      client.run("work", () => assert.fail("it must not run"), { signal: controller.signal }),
      { name: "AbortError" },
    );
    assert.equal(held(client), 0);
  });

  test("a long-lived signal keeps no listener of calls that are over", async (t) => {
    const client = clientFor(t);
    const { signal } = new AbortController();
    for (let call = 0; call < 100; call++) {
      const work: Work<number> = ({ attempt }) => {
        if (attempt < 3) throw boom;
        return call;
      };
      await client.run("work", work, { signal, idempotent: true });
    }
    assert.equal(getEventListeners(signal, "abort").length, 0);
  });
});

describe("run itself", () => {
  test("rejects work that is no function", async (t) => {
    const client = clientFor(t);
    await assert.rejects(client.run("work", 5 as never), { name: "TypeError", message: "run needs a function to run under policy work" });
  });

  test("gives the body of a static fallback", async () => {
    const client = createClient({
      policies: [definePolicy({ name: "p", layers: [fallback({ response: { status: 200, body: { items: [] } } })] })],
    });
    const given: unknown = await client.run("p", () => {
      throw boom;
    });
    assert.deepEqual(given, { items: [] });
  });

  test("tells the work of a fallback target", async () => {
    const client = createClient({
      policies: [definePolicy({ name: "p", layers: [fallback({ response: { target: "http://backup.internal" } })] })],
    });
    const given = await client.run(
      "p",
      ({ target }) => {
        if (target === "main") throw boom;
        return target;
      },
      { target: "main" },
    );
    assert.equal(given, "backup.internal");
  });
});
