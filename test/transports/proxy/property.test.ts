// Whatever its attempts run into, a request through the proxy gives the upstream its body in order, the client one answer, and leaves nothing behind.
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { after, before, test } from "node:test";
import fc from "fast-check";
import { bulkhead, definePolicy, retry, timeout } from "../../../src/index.ts";
import { type Answer, ask } from "../../harness/ask.ts";
import { openShim, type Shim } from "../../harness/shim.ts";
import { turns } from "../../harness/time.ts";

/** What the upstream does with one attempt. `after`: so many chunks of the request it waits for. */
type Fault =
  | { readonly does: "drop"; readonly after: number }
  | { readonly does: "status"; readonly status: number; readonly after: number; readonly retryAfter: boolean }
  | { readonly does: "cut"; readonly after: number; readonly sent: number }
  | { readonly does: "slow"; readonly after: number }
  | { readonly does: "hint" }
  | { readonly does: "answer" };

const few = fc.nat(3);
const faults: fc.Arbitrary<Fault> = fc.oneof(
  fc.record({ does: fc.constant("drop" as const), after: few }),
  fc.record({
    does: fc.constant("status" as const),
    status: fc.constantFrom(404, 429, 500, 502, 503),
    after: few,
    retryAfter: fc.boolean(),
  }),
  fc.record({ does: fc.constant("cut" as const), after: few, sent: few }),
  fc.record({ does: fc.constant("slow" as const), after: few }),
  fc.constant<Fault>({ does: "hint" }),
  fc.constant<Fault>({ does: "answer" }),
);

interface Script {
  readonly method: "GET" | "HEAD" | "PUT" | "POST";
  readonly chunks: readonly string[];
  readonly byLength: boolean;
  readonly trailers: boolean;
  readonly faults: readonly Fault[];
  /** How many bytes the policy keeps. */
  readonly buffer: number;
  /** The client leaves once so many attempts have come. */
  readonly leaveAt: number | undefined;
}

const scripts: fc.Arbitrary<Script> = fc.record({
  method: fc.constantFrom("GET" as const, "HEAD" as const, "PUT" as const, "POST" as const),
  chunks: fc.array(fc.string({ minLength: 1, maxLength: 8 }), { maxLength: 4 }),
  byLength: fc.boolean(),
  trailers: fc.boolean(),
  faults: fc.array(faults, { maxLength: 4 }),
  buffer: fc.constantFrom(4, 1_000),
  leaveAt: fc.option(fc.integer({ min: 1, max: 3 }), { nil: undefined, freq: 6 }),
});

const bodyOf = ({ method, chunks }: Script): readonly string[] => (method === "GET" || method === "HEAD" ? [] : chunks);
const hasTrailers = (script: Script): boolean => script.trailers && !script.byLength && bodyOf(script).length > 0;

interface Attempt {
  readonly fault: Fault;
  body: string;
  whole: boolean;
  trailer: string | undefined;
  readonly over: Promise<void>;
}

/** One script is played at a time; an attempt of one before it, whose client left, may come late. */
let playing: { readonly script: Script; readonly id: string; readonly attempts: Attempt[]; came(): void } | undefined;
let plays = 0;

async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
  if (playing === undefined || request.headers["x-request-id"] !== playing.id) return void request.socket.destroy();
  const { script, attempts } = playing;
  const fault = script.faults[attempts.length] ?? { does: "answer" };
  const attempt: Attempt = { fault, body: "", whole: false, trailer: undefined, over: once(response, "close").then(() => undefined) };
  attempts.push(attempt);
  playing.came();
  const wanted = bodyOf(script)
    .slice(0, "after" in fault ? fault.after : Number.POSITIVE_INFINITY)
    .join("");
  const enough = new Promise<void>((resolve) => {
    const look = (): void => {
      if (attempt.whole || (fault.does !== "answer" && fault.does !== "hint" && attempt.body.length >= wanted.length)) resolve();
    };
    request.setEncoding("utf8").on("error", () => undefined);
    request.on("data", (chunk: string) => {
      attempt.body += chunk;
      look();
    });
    request.on("end", () => {
      attempt.whole = true;
      attempt.trailer = request.trailers["x-sum"];
      look();
    });
    look();
  });
  response.on("error", () => undefined);
  await Promise.race([enough, attempt.over]);
  const echo = `echo ${attempt.body}`;
  if (fault.does === "drop") request.socket.destroy();
  else if (fault.does === "status")
    response.writeHead(fault.status, fault.retryAfter ? { "retry-after": "0" } : {}).end(`status ${fault.status}`);
  else if (fault.does === "cut") {
    response.writeHead(200, { "content-length": echo.length + 100 });
    response.write(echo.slice(0, fault.sent + 1), () => request.socket.destroy());
  } else if (fault.does !== "slow") {
    if (fault.does === "hint") response.writeEarlyHints({ link: "</a>; rel=preload" });
    if (script.method === "HEAD") return void response.end();
    response.writeHead(200, { trailer: "x-back" });
    response.write(echo);
    response.addTrailers({ "x-back": "yes" });
    response.end();
  }
}

const closing: (() => void)[] = [];
const t = { after: (close: () => void) => void closing.push(close) };
let upstream: Server;
let host: string;
let shims: ReadonlyMap<number, Shim>;

async function shimOf(buffer: number): Promise<Shim> {
  const layers = [
    bulkhead({ limit: 1 }),
    timeout("20s"),
    retry({ attempts: 4, on: ["5xx", "reset", "timeout"], backoff: { base: "0ms" }, budget: false, buffer }),
    timeout("25ms"),
  ];
  return openShim(t, { policies: [definePolicy({ name: "p", match: [{ host: "*" }], layers })] });
}

before(async () => {
  upstream = createServer((request, response) => void serve(request, response)).listen(0, "127.0.0.1");
  await once(upstream, "listening");
  host = `127.0.0.1:${(upstream.address() as AddressInfo).port}`; // the cast: a TCP server has such an address
  shims = new Map([
    [4, await shimOf(4)],
    [1_000, await shimOf(1_000)],
  ]);
});

after(() => {
  for (const close of closing) close();
  upstream.closeAllConnections();
  upstream.close();
});

async function play(script: Script): Promise<void> {
  const shim = shims.get(script.buffer) ?? assert.fail("no such shim");
  const { method, leaveAt } = script;
  const attempts: Attempt[] = [];
  const caller = new AbortController();
  const id = `play-${++plays}`;
  playing = { script, id, attempts, came: () => void (attempts.length === leaveAt && caller.abort(new Error("left"))) };
  const sent = bodyOf(script);
  const whole = sent.join("");
  const logged = shim.entries.length;
  const framed = script.byLength || sent.length === 0 ? { "content-length": Buffer.byteLength(whole) } : { "transfer-encoding": "chunked" };
  const question = {
    method,
    host,
    headers: { "x-request-id": id, ...(method === "GET" || method === "HEAD" ? {} : framed) },
    body: sent,
    ...(hasTrailers(script) ? { trailers: { "x-sum": "sum" } } : {}),
    signal: caller.signal,
  };
  const came: Answer | Error = await ask(shim.address, question).catch((error: unknown) => error as Error); // the cast: nothing else is thrown there
  const entry = (await shim.logged(logged + 1))[logged];
  assert.ok(entry !== undefined);

  // the upstream: each attempt is a beginning of what the client sent, in order; one that is not idempotent is sent once
  for (const { fault, body, whole: complete, trailer } of attempts) {
    assert.equal(body, whole.slice(0, body.length));
    if (complete) assert.equal(body, whole);
    if (complete && hasTrailers(script)) assert.equal(trailer, "sum");
    if (complete && fault.does === "answer") assert.equal(body, whole);
  }
  assert.ok(attempts.length <= (method === "POST" ? 1 : 4), `${attempts.length} attempts`);

  // the client: one answer, that of the last attempt, whole or cut
  const last = attempts.at(-1);
  if (!(came instanceof Error)) {
    const { status, body } = came;
    if (entry.response_code_details === "via_upstream") {
      const fault = last?.fault ?? { does: "answer" };
      assert.equal(status, fault.does === "status" ? fault.status : 200);
      if (method !== "HEAD") assert.equal(body, fault.does === "status" ? `status ${fault.status}` : `echo ${whole}`);
      if (status === 200 && method !== "HEAD") assert.equal(came.trailers["x-back"], "yes");
    } else assert.ok(status >= 500 && came.headers["proxy-status"] !== undefined, `${status}`);
    assert.equal(entry.response_code, status);
  } else if (!caller.signal.aborted) {
    assert.equal(last?.fault.does, "cut", came.message);
    assert.match(entry.response_flags, /^U/);
  }

  // nothing is left
  for (let n = 0; n < 200 && shim.listener.count().exchanges > 0; n++) await turns(1);
  assert.equal(shim.listener.count().exchanges, 0);
  for (const { over } of attempts) await over;
  for (const { state } of shim.client.status().policies["p"]?.targets[host] ?? []) assert.equal(Number(state["active"] ?? 0), 0);
}

test("random scripts of faults, for all kinds of requests", { timeout: 120_000 }, async () => {
  await fc.assert(fc.asyncProperty(scripts, play), { numRuns: 250 });
});
