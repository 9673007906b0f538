// Upstreams that break every rule: the caller gets what bare fetch would have given, and nothing stays behind.
import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { afterEach, describe, test, type TestContext } from "node:test";
import { breaker, bulkhead, type Client, createClient, definePolicy, PolicyError, retry, timeout } from "../../../src/index.ts";
import { cameOut, described, failureOf, type Request, unhandled, until, type Upstream, upstream } from "./upstream.ts";

afterEach(() => assert.deepEqual(unhandled.splice(0), [], "nothing was left unhandled"));

const ATTEMPTS = 3;

/** Layers that take something for each call, around a retry that gives it back and takes it again. */
const layers = [
  bulkhead({ limit: 4 }),
  retry({ attempts: ATTEMPTS, backoff: { base: "0ms" }, budget: { percent: 100, min: 10 } }),
  breaker({ trip: { consecutive: 1_000 } }),
  bulkhead({ limit: 4 }),
];

function clientFor(t: TestContext, more: { readonly outer?: `${number}s`; readonly inner?: `${number}s` } = {}): Client {
  const [first, second, ...rest] = layers;
  assert.ok(first !== undefined && second !== undefined);
  const client = createClient({
    policies: [
      definePolicy({
        name: "p",
        match: [{ host: "127.0.0.1" }],
        layers: [
          ...(more.outer === undefined ? [] : [timeout(more.outer)]),
          first,
          second,
          ...(more.inner === undefined ? [] : [timeout(more.inner)]),
          ...rest,
        ],
      }),
    ],
  });
  t.after(() => client.close());
  return client;
}

/** What the layers hold at the moment, over all targets: places in bulkheads, calls and retries in budgets. */
function held(client: Client): number {
  let sum = 0;
  for (const layersOfTarget of Object.values(client.status().policies["p"]?.targets ?? {})) {
    for (const { state } of layersOfTarget)
      sum += Number(state["active"] ?? 0) + Number(state["retries"] ?? 0) + Number(state["waiting"] ?? 0);
  }
  return sum;
}

/** Failures in a row that the breaker has counted. */
function blamed(client: Client): unknown {
  const [target] = Object.values(client.status().policies["p"]?.targets ?? {});
  const state = target?.find(({ kind }) => kind === "breaker")?.state;
  return (state?.["trips"] as { consecutive: number }[] | undefined)?.[0]?.consecutive; // the cast: the breaker's own status
}

/** undici 6 and 8 close the connection of an aborted request when their own timer says so, for bare fetch too. */
const tick = (t: TestContext): false => {
  t.mock.timers.tick(1_000);
  return false;
};

/** OpenSSL begins its messages with the number of a thread. */
const withoutThread = (line: string): string => line.replace(/[0-9A-F]{16}:/, "");

const OK = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

interface Case {
  readonly name: string;
  serve(this: void, request: Request): void;
  /** How often the request is sent under the policy. */
  readonly sent: number;
  /** Failures that the breaker counts. */
  readonly failures: number;
}

const cases: readonly Case[] = [
  { name: "reset before the head", serve: ({ socket }) => void socket.resetAndDestroy(), sent: ATTEMPTS, failures: ATTEMPTS },
  { name: "closed before the head", serve: ({ socket }) => void socket.end(), sent: ATTEMPTS, failures: ATTEMPTS },
  {
    name: "closed in the middle of the head",
    serve: ({ socket }) => void socket.end("HTTP/1.1 200 OK\r\ncontent-le"),
    sent: ATTEMPTS,
    failures: ATTEMPTS,
  },
  {
    name: "closed in the middle of a body with content-length",
    serve: ({ socket }) => void socket.end("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhello"),
    sent: 1,
    failures: 0,
  },
  {
    name: "closed in the middle of a chunked body",
    serve: ({ socket }) => void socket.end("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n"),
    sent: 1,
    failures: 0,
  },
  {
    name: "garbage in place of a chunk",
    serve: ({ socket }) => void socket.write("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\nnonsense\r\n"),
    sent: 1,
    failures: 0,
  },
  {
    name: "garbage in place of a head",
    serve: ({ socket }) => void socket.write(Buffer.from("\u0000\u00ff\u0001 what is this\r\n\r\n", "latin1")),
    sent: ATTEMPTS,
    failures: ATTEMPTS,
  },
  {
    name: "a head of another protocol",
    serve: ({ socket }) => void socket.end("SSH-2.0-OpenSSH_9.9\r\n"),
    sent: ATTEMPTS,
    failures: ATTEMPTS,
  },
  {
    name: "a content-length that is no number",
    serve: ({ socket }) => void socket.end("HTTP/1.1 200 OK\r\ncontent-length: many\r\n\r\nok"),
    sent: ATTEMPTS,
    failures: ATTEMPTS,
  },
  {
    name: "a head without end",
    serve: ({ socket }) => {
      const more = (): void => {
        while (!socket.destroyed && socket.write(`x-${"a".repeat(1_000)}: b\r\n`));
      };
      socket.write("HTTP/1.1 200 OK\r\n");
      socket.on("drain", more);
      more();
    },
    sent: ATTEMPTS,
    failures: ATTEMPTS,
  },
  {
    name: "early hints, then the response",
    serve: ({ socket }) => void socket.write(`HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n${OK}`),
    sent: 1,
    failures: 0,
  },
  {
    name: "early hints, then nothing",
    serve: ({ socket }) => void socket.end("HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n"),
    sent: ATTEMPTS,
    failures: ATTEMPTS,
  },
  { name: "no content", serve: ({ socket }) => void socket.write("HTTP/1.1 204 No Content\r\n\r\n"), sent: 1, failures: 0 },
  { name: "not modified", serve: ({ socket }) => void socket.write("HTTP/1.1 304 Not Modified\r\netag: x\r\n\r\n"), sent: 1, failures: 0 },
  { name: "an empty body", serve: ({ socket }) => void socket.write("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"), sent: 1, failures: 0 },
  { name: "two responses for one request", serve: ({ socket }) => void socket.write(OK + OK), sent: 1, failures: 0 },
  {
    name: "a body that lasts until the connection closes",
    serve: ({ socket }) => void socket.end("HTTP/1.1 200 OK\r\n\r\nok"),
    sent: 1,
    failures: 0,
  },
  {
    name: "gzip that is none",
    serve: ({ socket }) => void socket.write("HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 2\r\n\r\nok"),
    sent: 1,
    failures: 0,
  },
  {
    name: "a body byte by byte",
    serve: ({ socket }) => {
      socket.write("HTTP/1.1 200 OK\r\ncontent-length: 200\r\n\r\n");
      let bytes = 0;
      const drip = (): void => {
        socket.write("x");
        if (++bytes < 200) setImmediate(drip);
      };
      drip();
    },
    sent: 1,
    failures: 0,
  },
];

describe("an upstream that sends", () => {
  for (const { name, serve, sent, failures } of cases) {
    test(name, async (t) => {
      const client = clientFor(t);
      const plain = await upstream(t, serve);
      const under = await upstream(t, serve);

      const expected = (await cameOut(fetch(plain.url))).map((line) => line.replaceAll(String(plain.port), "PORT"));
      const given = (await cameOut(client.fetch(under.url))).map((line) => line.replaceAll(String(under.port), "PORT"));

      assert.deepEqual(given, expected, "as bare fetch has it");
      assert.equal(under.requests(), sent);
      await until(() => held(client) === 0, "all places are free");
      assert.equal(blamed(client), failures);
    });
  }

  test("a head byte by byte, beyond the timeout of each attempt", async (t) => {
    t.mock.timers.enable({ apis: ["setTimeout", "Date"] });
    const client = clientFor(t, { inner: "1s" });
    const server = await upstream(t, ({ socket }) => {
      socket.write("HTTP/1.1 200 OK\r\n");
      const drip = (): void => {
        if (!socket.destroyed) socket.write("x", () => setImmediate(drip));
      };
      drip();
    });
    const call = client.fetch(server.url);
    const caught = assert.rejects(call, { name: "PolicyError", code: "ERR_PREMESH_TIMEOUT", attempts: 3 });
    // timeouts are not in the default `on` of retry by word, but every timed-out attempt is a reset
    for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
      await until(() => server.requests() === attempt, `attempt ${attempt} is sent`);
      t.mock.timers.tick(1_000);
      await new Promise((resolve) => setImmediate(resolve));
      t.mock.timers.tick(1);
    }
    await caught;
    await until(() => held(client) === 0, "all places are free");
    await until(() => server.open() === 0 || tick(t), "all connections are closed");
  });
});

describe("an upstream that never answers", () => {
  const silent = (t: TestContext): Promise<Upstream> => upstream(t, () => undefined);

  test("is ended by the policy's timeout, with a PolicyError", async (t) => {
    t.mock.timers.enable({ apis: ["setTimeout", "Date"] });
    const client = clientFor(t, { outer: "5s" });
    const server = await silent(t);
    const call = client.fetch(server.url);
    const caught = assert.rejects(call, (error) => {
      assert.ok(error instanceof PolicyError);
      assert.equal(error.code, "ERR_PREMESH_TIMEOUT");
      assert.equal(client.explain(error)?.attempts, 1);
      return true;
    });
    await until(() => server.requests() === 1, "it is sent");
    t.mock.timers.tick(5_000);
    await caught;
    assert.equal(server.requests(), 1, "the timeout of the whole call is not retried");
    await until(() => held(client) === 0, "all places are free");
    await until(() => server.open() === 0 || tick(t), "its connection is closed");
  });

  test("is ended by the caller, with the reason that the caller gave", async (t) => {
    const client = clientFor(t, { outer: "60s", inner: "60s" });
    const server = await silent(t);
    const reason = new Error("changed my mind");
    const controller = new AbortController();
    const call = client.fetch(server.url, { signal: controller.signal });
    await until(() => server.requests() === 1, "it is sent");
    controller.abort(reason);
    await assert.rejects(call, (error) => error === reason);
    assert.equal(held(client), 0, "all places are free at once");
    await until(() => server.open() === 0, "its connection is closed");
    assert.equal(blamed(client), 0);
  });

  test("an abort without a reason is an AbortError, as fetch has it", async (t) => {
    const client = clientFor(t);
    const server = await silent(t);
    const controller = new AbortController();
    const call = client.fetch(server.url, { signal: controller.signal });
    await until(() => server.requests() === 1, "it is sent");
    controller.abort();
    await assert.rejects(call, { name: "AbortError" });
    await until(() => held(client) === 0, "all places are free");
  });

  test("what it says after the abort is dropped", async (t) => {
    const client = clientFor(t, { outer: "60s" });
    const waiting: Request[] = [];
    const server = await upstream(t, (request) => void waiting.push(request));
    const controller = new AbortController();
    const call = client.fetch(server.url, { signal: controller.signal });
    await until(() => waiting.length === 1, "it is sent");
    controller.abort();
    waiting[0]?.socket.write(OK);
    await assert.rejects(call, { name: "AbortError" });
    await until(() => held(client) === 0 && server.open() === 0, "all is free again");
  });
});

describe("a body of 100 MB", () => {
  const SIZE = 100 * 1024 * 1024;

  /** Sends as fast as the reader takes it; `written` says how far it came. */
  function big(t: TestContext): Promise<Upstream> {
    const chunk = Buffer.alloc(256 * 1024, "x");
    return upstream(t, ({ socket }) => {
      socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${SIZE}\r\n\r\n`);
      let left = SIZE;
      const more = (): void => {
        while (left > 0 && !socket.destroyed) {
          left -= chunk.length;
          if (!socket.write(chunk)) return void socket.once("drain", more);
        }
      };
      more();
    });
  }

  test("streams to the caller and holds its place until its end", async (t) => {
    const client = clientFor(t, { outer: "60s" });
    const server = await big(t);
    const response = await client.fetch(server.url);
    assert.ok(held(client) > 0, "it holds its place while it is read");
    assert.ok(response.body !== null);
    let bytes = 0;
    for await (const part of response.body) bytes += part.byteLength;
    assert.equal(bytes, SIZE);
    await until(() => held(client) === 0, "its place is free");
  });

  test("is let go when the caller cancels it", async (t) => {
    const client = clientFor(t, { outer: "60s" });
    const server = await big(t);
    const response = await client.fetch(server.url);
    const reader = response.body?.getReader();
    await reader?.read();
    await reader?.cancel();
    await until(() => held(client) === 0 && server.open() === 0, "place and connection are free");
  });

  test("is let go when the caller aborts in the middle of it", async (t) => {
    const client = clientFor(t, { outer: "60s" });
    const server = await big(t);
    const controller = new AbortController();
    const response = await client.fetch(server.url, { signal: controller.signal });
    const reader = response.body?.getReader();
    await reader?.read();
    controller.abort();
    await assert.rejects(
      async () => {
        for (let done = false; !done;) done = (await reader?.read())?.done ?? true;
      },
      { name: "AbortError" },
    );
    await until(() => held(client) === 0 && server.open() === 0, "place and connection are free");
  });

  test("is cut by the timeout of the call when nobody reads it", async (t) => {
    t.mock.timers.enable({ apis: ["setTimeout", "Date"] });
    const client = clientFor(t, { outer: "5s" });
    const server = await big(t);
    const response = await client.fetch(server.url);
    assert.ok(held(client) > 0);
    t.mock.timers.tick(5_000);
    await until(() => (held(client) === 0 && server.open() === 0) || tick(t), "place and connection are free");
    await assert.rejects(response.text(), (error) => {
      assert.ok(error instanceof TypeError && error.cause instanceof PolicyError, "fetch's own error, with the reason as its cause");
      assert.equal(error.cause.code, "ERR_PREMESH_TIMEOUT");
      assert.equal(client.explain(error)?.attempts, 1);
      return true;
    });
  });
});

describe("a response that comes before the upload is over", () => {
  for (const then of ["keeps the connection", "closes the connection"] as const) {
    test(`is the caller's; the upstream ${then}`, async (t) => {
      const close = then === "closes the connection";
      const server = await upstream(t, ({ socket }) => {
        socket.write(`HTTP/1.1 413 Content Too Large\r\ncontent-length: 2\r\n${close ? "connection: close\r\n" : ""}\r\nno`);
        if (close) socket.end();
      });
      const client = clientFor(t, { outer: "60s" });
      let response: Response | undefined;
      const upload = new ReadableStream<Uint8Array>({
        pull: async (controller) => {
          controller.enqueue(new Uint8Array(1_024));
          if (response !== undefined) return controller.close(); // the response comes while the upload is under way
          await new Promise((resolve) => setImmediate(resolve));
        },
      });
      const init = { method: "PUT", body: upload, duplex: "half" } as const;
      response = await client.fetch(server.url, init);
      assert.equal(response.status, 413);
      assert.equal(await response.text(), "no");
      await until(() => held(client) === 0, "all places are free");
      assert.equal(server.requests(), 1);
    });
  }
});

describe("a connection that has gone stale in the pool", () => {
  /** Answers the first request of each connection and resets it on the second. */
  function stale(t: TestContext): Promise<Upstream> {
    const used = new WeakSet<object>();
    return upstream(t, ({ socket }) => {
      if (used.has(socket)) socket.resetAndDestroy();
      else socket.write(OK);
      used.add(socket);
    });
  }

  test("is retried on a new one", async (t) => {
    const client = clientFor(t);
    const server = await stale(t);
    for (let call = 0; call < 5; call++) {
      const response = await client.fetch(server.url);
      assert.equal(await response.text(), "ok");
    }
    assert.equal(held(client), 0);
  });

  test("is not retried for a POST, which the upstream may have seen", async (t) => {
    const client = clientFor(t);
    const server = await stale(t);
    let error: unknown;
    let calls = 0;
    while (error === undefined) {
      // a call finds the connection of the one before in the pool, unless it is quicker than the pool
      calls++;
      error = await client.fetch(server.url, { method: "POST", body: "x" }).then(
        (response) => response.text().then(() => undefined),
        (reason: unknown) => reason,
      );
    }
    assert.ok(error instanceof TypeError);
    assert.equal(server.requests(), calls);
    assert.deepEqual(
      client.explain(error)?.decisions.map(({ what }) => what),
      ["not-idempotent"],
    );
    assert.equal(held(client), 0);
  });

  test("that was closed while idle is replaced unseen", async (t) => {
    const client = clientFor(t);
    const server = await upstream(t, ({ socket }) => void socket.end(OK));
    for (let call = 1; call <= 3; call++) {
      assert.equal(await (await client.fetch(server.url, { method: "POST", body: "x" })).text(), "ok");
      await until(() => server.open() === 0, "the connection is closed");
    }
    assert.equal(server.requests(), 3);
    assert.equal(held(client), 0);
  });
});

describe("a connection that is never made", () => {
  test("since the server speaks no TLS is retried for any method: nothing was sent", async (t) => {
    const client = clientFor(t);
    let opened = 0;
    const server = createServer((socket) => {
      opened++;
      socket.on("error", () => undefined);
      socket.once("data", () => socket.end("HTTP/1.1 400 Bad Request\r\n\r\n"));
    }).listen(0, "127.0.0.1");
    t.after(() => server.close());
    await once(server, "listening");
    const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}/`; // the cast: it listens on TCP
    const bare = await cameOut(fetch(url, { method: "POST", body: "x" }));
    assert.equal(bare[0], "no response");
    opened = 0;
    const error = await failureOf(client.fetch(url, { method: "POST", body: "x" }));
    assert.deepEqual(described(error).map(withoutThread), bare.slice(1).map(withoutThread));
    assert.equal(opened, ATTEMPTS);
    assert.equal(held(client), 0);
  });

  test("to a port where nobody listens is retried for any method and keeps its native error", async (t) => {
    const client = clientFor(t);
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`; // the cast: it listens on TCP
    await new Promise((resolve) => server.close(resolve));
    const error = await failureOf(client.fetch(url, { method: "POST", body: "x" }));
    assert.ok(error instanceof TypeError && error.cause instanceof Error);
    assert.equal((error.cause as { code?: unknown }).code, "ECONNREFUSED"); // the cast: only read
    assert.equal(client.explain(error)?.attempts, ATTEMPTS);
    assert.equal(held(client), 0);
  });
});
