// Request bodies of every kind: each attempt carries the same bytes, and the first is on the wire what bare fetch would have sent.
import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, describe, test, type TestContext } from "node:test";
import { breaker, type Client, createClient, definePolicy, retry } from "../../../src/index.ts";
import { described, failureOf, unhandled, until } from "./upstream.ts";

afterEach(() => assert.deepEqual(unhandled.splice(0), [], "nothing was left unhandled"));

/** What the server does with one attempt: answers 503 or 200 after all of it, resets in the middle of it or before it. */
type Step = "fails" | "resets in the middle" | "resets before" | "answers";

interface Seen {
  readonly head: readonly string[];
  /** The body, where it was read whole. */
  readonly body: Buffer | undefined;
}

interface Receiver {
  readonly url: string;
  readonly seen: Seen[];
}

/** Follows the script, then answers. */
async function receiver(t: TestContext, script: readonly Step[], onHead?: () => void): Promise<Receiver> {
  const seen: Seen[] = [];
  const server = createServer((request, response) => {
    const step = script[seen.length] ?? "answers";
    onHead?.();
    const head = fieldsOf(request);
    if (step === "resets before" || step === "resets in the middle") {
      seen.push({ head, body: undefined });
      if (step === "resets before") request.socket.resetAndDestroy();
      else request.once("data", () => request.socket.resetAndDestroy());
      return;
    }
    const parts: Buffer[] = [];
    request.on("data", (part: Buffer) => parts.push(part));
    request.on("end", () => {
      seen.push({ head, body: Buffer.concat(parts) });
      response.statusCode = step === "answers" ? 200 : 503;
      response.end(step);
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`, seen }; // the cast: it listens on TCP
}

/** Name and value of each field, without what differs by chance: the boundary of a form, the port. */
function fieldsOf({ method, rawHeaders }: IncomingMessage): string[] {
  const fields = [method ?? ""];
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const value = rawHeaders[index + 1] ?? "";
    fields.push(
      `${rawHeaders[index]?.toLowerCase() ?? ""}: ${value.replace(/boundary=.*/, "boundary=").replace(/127\.0\.0\.1:\d+/, "HOST")}`,
    );
  }
  return fields;
}

function clientFor(t: TestContext, buffer?: number): Client {
  const client = createClient({
    policies: [
      definePolicy({
        name: "p",
        match: [{ host: "127.0.0.1" }],
        layers: [
          retry({ attempts: 4, backoff: { base: "0ms" }, budget: false, ...(buffer === undefined ? {} : { buffer }) }),
          breaker({ trip: { consecutive: 1_000 } }),
        ],
      }),
    ],
  });
  t.after(() => client.close());
  return client;
}

const blamed = (client: Client): unknown => {
  const [target] = Object.values(client.status().policies["p"]?.targets ?? {});
  const state = target?.find(({ kind }) => kind === "breaker")?.state;
  return (state?.["trips"] as { consecutive: number }[] | undefined)?.[0]?.consecutive ?? 0; // the cast: the breaker's own status
};

const whatOf = (client: Client, result: unknown): string[] => client.explain(result)?.decisions.map(({ what }) => what) ?? [];

const bytes = new Uint8Array(randomBytes(200_000));
const text = Buffer.from(bytes).toString("hex");

function pieces(size = 10_000): Uint8Array[] {
  return Array.from({ length: Math.ceil(bytes.length / size) }, (_, index) => bytes.slice(index * size, (index + 1) * size));
}

const streamOf = (parts: readonly Uint8Array[]): ReadableStream<Uint8Array> =>
  new ReadableStream({
    pull: makePull([...parts]),
  });

function makePull(parts: Uint8Array[]): (controller: ReadableStreamDefaultController<Uint8Array>) => void {
  return (controller) => {
    const part = parts.shift();
    if (part === undefined) controller.close();
    else controller.enqueue(part);
  };
}

async function* generated(): AsyncGenerator<Uint8Array> {
  for (const part of pieces()) {
    await Promise.resolve();
    yield part;
  }
}

function form(): FormData {
  const data = new FormData();
  data.set("field", "välue");
  data.append("field", "another");
  data.set("file", new File([bytes], "bytes.bin", { type: "application/octet-stream" }));
  return data;
}

type Arguments = readonly [input: string | Request | URL, init?: RequestInit];

/** Makes the arguments of one fetch, fresh for each call. The cast: async iterables are not in the type of RequestInit. */
const kinds: Readonly<Record<string, (url: string) => Arguments>> = {
  "a string": (url) => [url, { method: "PUT", body: text }],
  "an empty string": (url) => [url, { method: "PUT", body: "" }],
  bytes: (url) => [new URL(url), { method: "PUT", body: bytes }],
  "an ArrayBuffer": (url) => [url, { method: "PUT", body: bytes.buffer }],
  "a Blob": (url) => [url, { method: "PUT", body: new Blob([bytes], { type: "image/png" }) }],
  "a FormData with a file": (url) => [url, { method: "PUT", body: form() }],
  URLSearchParams: (url) => [url, { method: "PUT", body: new URLSearchParams({ a: "ä b", b: text }) }],
  "a stream": (url) => [url, { method: "PUT", body: streamOf(pieces()), duplex: "half" }],
  "an empty stream": (url) => [url, { method: "PUT", body: streamOf([]), duplex: "half" }],
  "an async iterable": (url) => [url, { method: "PUT", body: generated(), duplex: "half" } as unknown as RequestInit],
  "a Request with a string": (url) => [new Request(url, { method: "PUT", body: text, headers: { "x-mine": "1" } })],
  "a Request with bytes": (url) => [new Request(url, { method: "PUT", body: bytes })],
  "a Request with a Blob": (url) => [new Request(url, { method: "PUT", body: new Blob([bytes], { type: "image/png" }) })],
  "a Request with a FormData": (url) => [new Request(url, { method: "PUT", body: form() })],
  "a Request with a stream": (url) => [new Request(url, { method: "PUT", body: streamOf(pieces()), duplex: "half" })],
  "a Request with a string, and init": (url) => [
    new Request(url, { method: "POST", body: text }),
    { method: "PUT", headers: { "x-mine": "2" } },
  ],
  "a Request, and another body in init": (url) => [new Request(url, { method: "PUT", body: "not this" }), { body: text }],
  "a Request as init": (url) => [url, new Request("http://other.internal/", { method: "PUT", body: text, headers: { "x-mine": "3" } })],
};

/** The body as a value that does not depend on the boundary that fetch draws for each send of a form. */
async function contentOf({ head, body }: Seen, type: string | undefined): Promise<unknown> {
  assert.ok(body !== undefined, `read whole: ${head.join("; ")}`);
  if (type === undefined || !type.includes("multipart")) return createHash("sha256").update(body).digest("hex");
  const boundary = /^--(.*)\r\n/.exec(body.toString("latin1"))?.[1];
  const parsed = await new Response(new Uint8Array(body), {
    headers: { "content-type": `multipart/form-data; boundary=${boundary}` },
  }).formData();
  return Promise.all(
    [...parsed].map(async ([name, value]) =>
      typeof value === "string" ? [name, value] : [name, value.name, value.type, Buffer.from(await value.arrayBuffer()).equals(bytes)],
    ),
  );
}

const length = (seen: Seen): string[] => seen.head.filter((field) => /^(?:content-length|transfer-encoding|content-type)/.test(field));

describe("a body that is sent again", () => {
  for (const [kind, make] of Object.entries(kinds)) {
    test(`${kind}: has the same bytes each time, and the same head as bare fetch the first time`, async (t) => {
      const bare = await receiver(t, []);
      await (await fetch(...make(bare.url))).text();
      const steps: readonly Step[] = kind.includes("empty") ? ["fails", "fails"] : ["fails", "resets in the middle", "resets before"]; // an empty body has no middle
      const server = await receiver(t, steps);
      const client = clientFor(t);

      const response = await client.fetch(...make(server.url));

      assert.equal(response.status, 200);
      assert.equal(await response.text(), "answers");
      assert.equal(server.seen.length, steps.length + 1);
      const [plain] = bare.seen;
      const first = server.seen[0];
      const last = server.seen.at(-1);
      assert.ok(plain !== undefined && first !== undefined && last !== undefined);
      assert.deepEqual(first.head, plain.head);
      const type = plain.head.find((field) => field.startsWith("content-type"));
      const content = await contentOf(plain, type);
      assert.deepEqual(await contentOf(first, type), content);
      assert.deepEqual(await contentOf(last, type), content);
      for (const again of server.seen.slice(1)) {
        // what is left of a Request is known to the byte by then, so its length may replace `chunked`
        const kept = (seen: Seen): string[] =>
          length(seen).filter((field) => !kind.includes("Request") || field.startsWith("content-type"));
        assert.deepEqual(kept(again), kept(first), "length and type stay");
      }
      assert.equal(blamed(client), 0, "the success at the end has cleared the breaker");
    });
  }

  test("a Request keeps its content-length when it has been read by then", async (t) => {
    const server = await receiver(t, ["fails", "fails"]);
    const client = clientFor(t);
    const response = await client.fetch(new Request(server.url, { method: "PUT", body: text }));
    assert.equal(response.status, 200);
    assert.deepEqual(new Set(server.seen.map((one) => length(one).join())).size, 1);
  });

  test("a Request whose body was used is fetch's own error, sent never, retried never", async (t) => {
    const server = await receiver(t, []);
    const client = clientFor(t);
    const make = async (): Promise<Request> => {
      const request = new Request(server.url, { method: "PUT", body: text });
      await request.text();
      return request;
    };
    const bare = described(await failureOf(fetch(await make())));
    const error = await failureOf(client.fetch(await make()));
    assert.deepEqual(described(error), bare);
    assert.deepEqual(whatOf(client, error), []);
    assert.equal(server.seen.length, 0);
    assert.equal(blamed(client), 0);
  });

  for (const [what, make] of Object.entries<() => RequestInit>({
    "a stream without duplex": () => ({ method: "PUT", body: streamOf(pieces()) }),
    "a stream that is locked": () => {
      const body = streamOf(pieces());
      body.getReader();
      return { method: "PUT", body, duplex: "half" };
    },
    "a body with GET": () => ({ method: "GET", body: "x" }),
    "a method that is none": () => ({ method: "GE T" }),
    "headers that are none": () => ({ headers: { "a b": "c" } }),
  })) {
    test(`${what} is fetch's own error, never retried`, async (t) => {
      const server = await receiver(t, []);
      const client = clientFor(t);
      const bare = described(await failureOf(fetch(server.url, make())));
      const error = await failureOf(client.fetch(server.url, make()));
      assert.deepEqual(described(error), bare);
      assert.ok((client.explain(error)?.attempts ?? 0) <= 1);
      assert.equal(blamed(client), 0);
    });
  }
});

describe("a stream beyond the buffer", () => {
  for (const [kind, make] of Object.entries({
    "a stream": kinds["a stream"],
    "an async iterable": kinds["an async iterable"],
    "a Request with a stream": kinds["a Request with a stream"],
  })) {
    assert.ok(make !== undefined);
    test(`${kind} is sent once; the response surfaces and the decision is reported`, async (t) => {
      const server = await receiver(t, ["fails"]);
      const client = clientFor(t, 50_000);
      const response = await client.fetch(...make(server.url));
      assert.equal(response.status, 503);
      assert.equal(await response.text(), "fails");
      assert.deepEqual(whatOf(client, response), ["body-not-replayable"]);
      assert.equal(server.seen.length, 1);
      assert.deepEqual(server.seen[0]?.body, Buffer.from(bytes));
    });

    test(`${kind} that is read before the reset is sent once; the error surfaces and the decision is reported`, async (t) => {
      const server = await receiver(t, ["resets in the middle"]);
      const client = clientFor(t, 1);
      const error = await failureOf(client.fetch(...make(server.url)));
      assert.ok(error instanceof TypeError);
      assert.deepEqual(whatOf(client, error), ["body-not-replayable"]);
      assert.equal(server.seen.length, 1);
    });

    test(`${kind} of which little was read yet is sent again, whole`, async (t) => {
      const server = await receiver(t, ["resets before"]);
      const client = clientFor(t, 1_000_000);
      const response = await client.fetch(...make(server.url));
      assert.equal(response.status, 200);
      assert.deepEqual(server.seen.at(-1)?.body, Buffer.from(bytes));
    });
  }

  test("outgrows the buffer in a later attempt and still arrives whole", async (t) => {
    let sent = 0;
    const server = await receiver(t, ["resets before"], () => sent++);
    const client = clientFor(t, 30_000);
    let wake: (() => void) | undefined;
    const rest = new Promise<void>((resolve) => (wake = resolve));
    const parts = pieces();
    const body = new ReadableStream<Uint8Array>({
      pull: async (controller) => {
        if (parts.length < 19) await rest; // the first attempt sees two pieces and no more
        const part = parts.shift();
        if (part === undefined) controller.close();
        else controller.enqueue(part);
      },
    });
    const call = client.fetch(server.url, { method: "PUT", body, duplex: "half" });
    await until(() => sent === 2, "the second attempt is under way");
    wake?.();
    const response = await call;
    assert.equal(response.status, 200);
    assert.deepEqual(server.seen.at(-1)?.body, Buffer.from(bytes));
  });
});

describe("a stream whose source fails", () => {
  const failure = new Error("the disk is gone");
  const failing = (after: number): ReadableStream<Uint8Array> => {
    const parts = pieces();
    let given = 0;
    return new ReadableStream({
      pull: async (controller) => {
        await new Promise((resolve) => setImmediate(resolve));
        if (given === after) throw failure;
        controller.enqueue(parts[given++] ?? new Uint8Array());
      },
    });
  };
  async function* failingIterable(after: number): AsyncGenerator<Uint8Array> {
    yield* pieces().slice(0, after);
    await new Promise((resolve) => setImmediate(resolve));
    throw failure;
  }
  const makes: Readonly<Record<string, (url: string, after: number) => Arguments>> = {
    "a stream": (url, after) => [url, { method: "PUT", body: failing(after), duplex: "half" }],
    "an async iterable": (url, after) => [url, { method: "PUT", body: failingIterable(after), duplex: "half" } as unknown as RequestInit],
    "a Request with a stream": (url, after) => [new Request(url, { method: "PUT", body: failing(after), duplex: "half" })],
  };
  for (const [kind, make] of Object.entries(makes)) {
    for (const after of [0, 3]) {
      for (const layers of ["a retry", "no retry"] as const) {
        test(`${kind}, after ${after} pieces, with ${layers}: gives the caller that error once, and blames nobody`, async (t) => {
          const server = await receiver(t, []);
          const client =
            layers === "a retry"
              ? clientFor(t)
              : createClient({
                  policies: [definePolicy({ name: "p", match: [{ host: "*" }], layers: [breaker({ trip: { consecutive: 1_000 } })] })],
                });
          const bare = described(await failureOf(fetch(...make(server.url, after))));
          const error = await failureOf(client.fetch(...make(server.url, after)));
          assert.deepEqual(described(error), bare, "as bare fetch has it");
          assert.equal(client.explain(error)?.attempts, 1);
          assert.equal(blamed(client), 0);
        });
      }
    }
  }
});

describe("the source of a streamed body", () => {
  let ended = false;
  afterEach(() => {
    ended = true;
  });
  function watched(): { readonly body: ReadableStream<Uint8Array>; readonly state: { cancelled: boolean; pulled: number } } {
    const state = { cancelled: false, pulled: 0 };
    ended = false;
    const body = new ReadableStream<Uint8Array>({
      pull: async (controller) => {
        state.pulled++;
        await new Promise((resolve) => setImmediate(resolve));
        if (ended) controller.close(); // undici reads on after an abort
        else controller.enqueue(new Uint8Array(100));
      },
      cancel: () => {
        state.cancelled = true;
      },
    });
    return { body, state };
  }
  const asInit = (body: ReadableStream<Uint8Array>, signal: AbortSignal): RequestInit => ({ method: "PUT", body, duplex: "half", signal });

  test("is cancelled when the caller aborts while it is sent", async (t) => {
    const server = await receiver(t, []);
    const client = clientFor(t);
    const controller = new AbortController();
    const { body, state } = watched();
    const call = client.fetch(server.url, asInit(body, controller.signal));
    await until(() => state.pulled > 3, "it is read");
    controller.abort();
    await assert.rejects(call, { name: "AbortError" });
    await until(() => state.cancelled, "it is cancelled");
  });

  test("of a Request is left as bare fetch leaves it: nobody blames the upstream for the abort", async (t) => {
    const server = await receiver(t, []);
    const client = clientFor(t);
    const controller = new AbortController();
    const { body, state } = watched();
    const call = client.fetch(new Request(server.url, asInit(body, controller.signal)));
    await until(() => state.pulled > 3, "it is read");
    controller.abort();
    await assert.rejects(call, { name: "AbortError" });
    assert.equal(blamed(client), 0);
    ended = true;
  });

  test("is cancelled when the caller aborts during the backoff", async (t) => {
    const server = await receiver(t, ["resets before"]);
    const client = createClient({
      policies: [definePolicy({ name: "p", match: [{ host: "*" }], layers: [retry({ backoff: { base: "1h", max: "1h" } })] })],
    });
    const controller = new AbortController();
    const { body, state } = watched();
    const call = client.fetch(server.url, asInit(body, controller.signal));
    const caught = assert.rejects(call, { name: "AbortError" });
    await until(() => server.seen.length === 1, "it was sent");
    await until(
      () => Object.values(client.status().policies["p"]?.targets ?? {})[0]?.[0]?.state["retries"] === 1,
      "it waits for the next attempt",
    );
    controller.abort();
    await caught;
    await until(() => state.cancelled, "it is cancelled");
  });

  test("is cancelled when attempts run out", async (t) => {
    const server = await receiver(t, ["resets before", "resets before", "resets before", "resets before"]);
    const client = clientFor(t);
    const { body, state } = watched();
    await assert.rejects(client.fetch(server.url, asInit(body, new AbortController().signal)), TypeError);
    assert.equal(server.seen.length, 4);
    await until(() => state.cancelled, "it is cancelled");
  });

  test("is the very stream that the caller gave where no layer sends twice", async (t) => {
    const server = await receiver(t, []);
    const bodies: unknown[] = [];
    const client = createClient({
      policies: [definePolicy({ name: "p", match: [{ host: "*" }], layers: [breaker()] })],
      fetch: (input, init) => {
        bodies.push(init?.body);
        return fetch(input, init);
      },
    });
    const body = streamOf(pieces());
    const response = await client.fetch(server.url, { method: "PUT", body, duplex: "half" });
    assert.equal(response.status, 200);
    assert.equal(bodies[0], body);
    assert.deepEqual(server.seen[0]?.body, Buffer.from(bytes));
  });
});

test("an iterable that throws at once, or answers without a promise, is the caller's affair: told, and not blamed on the peer", async (t) => {
  const { url } = await openUpstreamThatReads(t);
  const trip = { consecutive: 1 };
  const iterable = (next: () => unknown, back?: () => unknown): unknown => ({ [Symbol.asyncIterator]: () => ({ next, return: back }) });
  const thrower = (): never => {
    throw new RangeError("mine");
  };
  const send = async (body: unknown, signal: AbortSignal | null = null): Promise<{ result: unknown; phase: unknown }> => {
    const client = createClient({ policies: [definePolicy({ name: "p", match: [{ host: "*" }], layers: [breaker({ trip }), retry()] })] });
    const init = { method: "PUT", duplex: "half", body, signal } as RequestInit; // the cast: undici takes any iterable
    const result: unknown = await client.fetch(url, init).then(
      ({ status }) => status,
      (error: unknown) => error,
    );
    const [target] = Object.values(client.status().policies["p"]?.targets ?? {});
    return { result, phase: target?.[0]?.state["phase"] };
  };
  const failed = await send(iterable(thrower));
  assert.deepEqual([(failed.result as Error).cause, failed.phase], [new RangeError("mine"), "closed"]); // the cast: fetch's own TypeError
  assert.deepEqual(await send(iterable(() => ({ done: true, value: undefined }))), { result: 200, phase: "closed" });
  const caller = new AbortController();
  const hung = send(
    iterable(() => new Promise(() => setImmediate(() => caller.abort())), thrower),
    caller.signal,
  );
  assert.deepEqual([((await hung).result as Error).name, (await hung).phase], ["AbortError", "closed"]); // the cast: an abort
});

async function openUpstreamThatReads(t: TestContext): Promise<{ url: string }> {
  const server = createServer((request, response) => {
    request.resume();
    request.on("end", () => response.end());
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/` }; // the cast: it listens on TCP
}
