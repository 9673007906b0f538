// Real fetch libraries over client.fetch, against a real server: each does what it does over the bare fetch, and gains the policy.
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type IncomingHttpHeaders } from "node:http";
import type { AddressInfo } from "node:net";
import test, { type TestContext } from "node:test";
import { request as octokit } from "@octokit/request";
import axios from "axios";
import { GraphQLClient } from "graphql-request";
import ky, { isHTTPError, isNetworkError } from "ky";
import { createFetch, type FetchError } from "ofetch";
import createOpenapiClient from "openapi-fetch";
import { type Client, createClient, definePolicy, PolicyError, retry, timeout } from "../../src/index.ts";
import { healthy } from "./healthy.ts";

interface Server {
  readonly url: string;
  readonly requests: { readonly method: string; readonly url: string; readonly headers: IncomingHttpHeaders; readonly body: string }[];
}

/** `/echo` gives back JSON, `/flaky` breaks off twice and then answers, `/stream` sends three parts, `/status/N` a status, `/hang` nothing. */
async function openServer(t: TestContext): Promise<Server> {
  const requests: Server["requests"] = [];
  let flaky = 0;
  const server = createServer((request, response) => {
    let body = "";
    request.setEncoding("utf8").on("data", (part: string) => (body += part));
    request.once("end", () => {
      const { method = "", headers } = request;
      const { pathname } = new URL(request.url ?? "/", "http://server");
      requests.push({ method, url: request.url ?? "", headers, body });
      const json = (status: number, value: unknown): void =>
        void response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(value));
      if (pathname === "/hang") return;
      if (pathname === "/flaky" && ++flaky < 3) return void request.socket.destroy();
      if (pathname === "/stream") {
        response.writeHead(200, { "content-type": "text/plain" });
        response.write("one,", () => response.write("two,", () => response.end("three")));
        return;
      }
      if (pathname === "/graphql") {
        const { query } = JSON.parse(body) as { query: string }; // the cast: GraphQL over HTTP
        return json(200, query.includes("broken") ? { errors: [{ message: "broken field" }] } : { data: { answer: 42 } });
      }
      if (pathname.startsWith("/status/")) return json(Number(pathname.slice(8)), { problem: "so it is" });
      return json(200, { method, url: request.url, body, type: headers["content-type"] });
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, requests }; // the cast: a TCP server has such an address
}

/** The layers of `healthy`, with an overall timeout that is soon over. */
const hasty = definePolicy({ name: "hasty", match: [{ host: "*" }], layers: [timeout("50ms"), retry({ attempts: 3 })] });

const client = createClient({ policies: [healthy] });
const hastyClient = createClient({ policies: [hasty] });

/** What each library is asked to do; the verbs are its own. `T` is a parsed answer. */
interface Library {
  readonly name: string;
  readonly over: (fetch: Client["fetch"], url: string) => Verbs;
  /** What a failed status looks like: its status and its parsed body. */
  readonly statusOf: (error: unknown) => { readonly status: unknown; readonly data: unknown };
  /** The PolicyError within what the library throws. */
  readonly refusalOf: (error: unknown) => unknown;
}

interface Verbs {
  get(path: string, signal?: AbortSignal): Promise<unknown>;
  post(path: string, value: unknown): Promise<unknown>;
  /** The text of a body that is read as a stream. */
  stream(path: string): Promise<string>;
  /** Sends a stream. */
  upload?(path: string, body: ReadableStream): Promise<unknown>;
}

async function textOf(body: AsyncIterable<Uint8Array> | null | undefined): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const part of body ?? []) text += decoder.decode(part, { stream: true });
  return text;
}

const causeOf = (error: unknown): unknown => (error as { cause?: unknown }).cause; // the cast: any error can be asked

/** What openapi-fetch needs to know of the server. */
interface Paths {
  readonly [path: `/${string}`]: {
    readonly get: { readonly responses: { readonly 200: { readonly content: { readonly "application/json": unknown } } } };
    readonly post: {
      readonly requestBody: { readonly content: { readonly "application/json": unknown } };
      readonly responses: { readonly 200: { readonly content: { readonly "application/json": unknown } } };
    };
  };
}

const libraries: readonly Library[] = [
  {
    name: "ky",
    over: (fetch, url) => {
      // its own retries and timeout are off: what is retried here, premesh retries
      const instance = ky.create({ fetch, retry: 0, timeout: false });
      return {
        get: (path, signal) => instance(url + path, signal === undefined ? {} : { signal }).json(),
        post: (path, json) => instance.post(url + path, { json }).json(),
        stream: async (path) => textOf((await instance(url + path)).body),
        upload: (path, body) => instance.post(url + path, { body, duplex: "half" }).json(),
      };
    },
    statusOf: (error) => {
      assert.ok(isHTTPError(error));
      return { status: error.response.status, data: error.data };
    },
    refusalOf: (error) => (isNetworkError(error) ? causeOf(error) : error),
  },
  {
    name: "ofetch",
    over: (fetch, url) => {
      const ofetch = createFetch({ fetch, Headers, AbortController }).create({ retry: false });
      return {
        get: (path, signal) => ofetch(url + path, signal === undefined ? {} : { signal }),
        post: (path, value) => ofetch(url + path, { method: "POST", body: value as object }), // the cast: it takes objects
        stream: async (path) => textOf(await ofetch<unknown, "stream">(url + path, { responseType: "stream" })),
        upload: (path, body) => ofetch(url + path, { method: "POST", body, duplex: "half" }),
      };
    },
    statusOf: (error) => {
      const { status, data } = error as FetchError; // the cast: the assertions follow
      return { status, data: data as unknown };
    },
    refusalOf: causeOf,
  },
  {
    name: "openapi-fetch",
    over: (fetch, url) => {
      const api = createOpenapiClient<Paths>({ baseUrl: url, fetch });
      const given = ({ data, error, response }: { data?: unknown; error?: unknown; response: Response }): unknown => {
        if (!response.ok) throw Object.assign(new Error("status"), { status: response.status, data: error });
        return data;
      };
      return {
        get: async (path, signal) => given(await api.GET(path as `/${string}`, signal === undefined ? {} : { signal })), // the casts: paths begin with a slash
        post: async (path, value) => given(await api.POST(path as `/${string}`, { body: value })),
        stream: async (path) => textOf((await api.GET(path as `/${string}`, { parseAs: "stream" })).data),
      };
    },
    statusOf: (error) => error as { status: unknown; data: unknown }, // the cast: made above
    refusalOf: (error) => error,
  },
  {
    name: "axios, fetch adapter",
    over: (fetch, url) => {
      const instance = axios.create({ adapter: "fetch", baseURL: url, env: { fetch } });
      return {
        get: async (path, signal) => (await instance.get<unknown>(path, signal === undefined ? {} : { signal })).data,
        post: async (path, value) => (await instance.post<unknown>(path, value)).data,
        stream: async (path) => textOf((await instance.get<ReadableStream<Uint8Array>>(path, { responseType: "stream" })).data),
        upload: async (path, body) =>
          (await instance.post<unknown>(path, body, { headers: { "content-type": "application/octet-stream" } })).data,
      };
    },
    statusOf: (error) => {
      assert.ok(axios.isAxiosError(error));
      return { status: error.response?.status, data: error.response?.data };
    },
    refusalOf: (error) => {
      let inner = error;
      while (inner !== undefined && !(inner instanceof PolicyError)) inner = causeOf(inner);
      return inner;
    },
  },
  {
    name: "@octokit/request",
    over: (fetch, url) => {
      const call = octokit.defaults({ baseUrl: url, request: { fetch } });
      return {
        get: async (path, signal) => (await call(`GET ${path}`, { request: signal === undefined ? { fetch } : { fetch, signal } })).data,
        post: async (path, value) => (await call(`POST ${path}`, value as Record<string, unknown>)).data, // the cast: it takes parameters
        stream: async (path) => textOf((await call(`GET ${path}`, { request: { fetch, parseSuccessResponseBody: false } })).data),
      };
    },
    statusOf: (error) => {
      const { status, response } = error as { status: unknown; response?: { data: unknown } }; // the cast: a RequestError
      return { status, data: response?.data };
    },
    refusalOf: causeOf,
  },
];

for (const { name, over, statusOf, refusalOf } of libraries) {
  test(`${name}: GET and POST carry JSON`, async (t) => {
    const { url, requests } = await openServer(t);
    const verbs = over(client.fetch, url);
    assert.deepEqual(await verbs.get("/echo?a=1"), { method: "GET", url: "/echo?a=1", body: "" });
    const answer = (await verbs.post("/echo", { a: [1, "é"] })) as { body: string; type: string }; // the cast: what /echo gives
    assert.deepEqual(JSON.parse(answer.body), { a: [1, "é"] });
    assert.match(answer.type, /^application\/json/);
    assert.match(requests[1]?.headers["idempotency-key"]?.toString() ?? "", /^"[\w-]{36}"$/);
    assert.ok(Number(requests[0]?.headers["x-envoy-expected-rq-timeout-ms"]) > 0);
  });

  test(`${name}: a body is read as a stream`, async (t) => {
    const { url } = await openServer(t);
    assert.equal(await over(client.fetch, url).stream("/stream"), "one,two,three");
  });

  test(`${name}: an error status is told in the library's own way`, async (t) => {
    const { url, requests } = await openServer(t);
    for (const status of [400, 404, 500]) {
      const { status: told, data } = statusOf(await rejectionOf(over(client.fetch, url).get(`/status/${status}`)));
      assert.equal(told, status);
      assert.deepEqual(data, { problem: "so it is" });
    }
    assert.equal(requests.length, 3);
  });

  test(`${name}: a flaky GET is retried by premesh and succeeds`, async (t) => {
    const { url, requests } = await openServer(t);
    assert.deepEqual(await over(client.fetch, url).get("/flaky"), { method: "GET", url: "/flaky", body: "" });
    assert.equal(requests.length, 3);
  });

  test(`${name}: 503 after all attempts is the library's error with that status`, async (t) => {
    const { url, requests } = await openServer(t);
    assert.equal(statusOf(await rejectionOf(over(client.fetch, url).get("/status/503"))).status, 503);
    assert.equal(requests.length, 3);
  });

  test(`${name}: an abort ends the call as over the bare fetch`, async (t) => {
    const { url } = await openServer(t);
    const aborted = async (fetch: Client["fetch"]): Promise<unknown> => {
      const controller = new AbortController();
      const promise = rejectionOf(over(fetch, url).get("/hang", controller.signal));
      controller.abort();
      const error = (await promise) as Error; // the cast: checked by the comparison
      return { name: error.name, message: error.message, class: error.constructor.name };
    };
    assert.deepEqual(await aborted(client.fetch), await aborted(globalThis.fetch));
  });

  test(`${name}: a timeout of the policy arrives as its PolicyError`, async (t) => {
    const { url } = await openServer(t);
    const error = refusalOf(await rejectionOf(over(hastyClient.fetch, url).get("/hang")));
    assert.ok(error instanceof PolicyError, String(error));
    assert.equal(error.code, "ERR_PREMESH_TIMEOUT");
    assert.equal(error.policy, "hasty");
  });

  if (over(client.fetch, "").upload !== undefined) {
    test(`${name}: a stream is sent, and sent again when its connection breaks`, async (t) => {
      const { url, requests } = await openServer(t);
      const answer = await over(client.fetch, url).upload?.("/flaky", ReadableStream.from([Buffer.from("one,"), Buffer.from("two")]));
      assert.equal((answer as { body: string }).body, "one,two"); // the cast: what the server gives
      assert.deepEqual(
        requests.map(({ body }) => body),
        ["one,two", "one,two", "one,two"],
      );
      assert.equal(new Set(requests.map(({ headers }) => headers["idempotency-key"])).size, 1);
    });
  }
}

async function rejectionOf(promise: Promise<unknown>): Promise<unknown> {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  return assert.fail("nothing was thrown");
}

test("graphql-request: data, errors, variables and abort", async (t) => {
  const { url, requests } = await openServer(t);
  const graphql = new GraphQLClient(`${url}/graphql`, { fetch: client.fetch });
  assert.deepEqual(await graphql.request("query ($a: Int) { answer(a: $a) }", { a: 1 }), { answer: 42 });
  assert.deepEqual((JSON.parse(requests[0]?.body ?? "") as { variables: unknown }).variables, { a: 1 }); // the cast: GraphQL over HTTP
  const failed = (await rejectionOf(graphql.request("{ broken }"))) as { response: { status: number; errors: unknown } }; // the cast: a ClientError
  assert.equal(failed.response.status, 200);
  assert.deepEqual(failed.response.errors, [{ message: "broken field" }]);
  const controller = new AbortController();
  const promise = rejectionOf(
    new GraphQLClient(`${url}/hang`, { fetch: client.fetch }).request({ document: "{ answer }", signal: controller.signal }),
  );
  controller.abort();
  assert.equal(((await promise) as Error).name, "AbortError"); // the cast: only its name is read
});

test("graphql-request: an error status, a retried query, a timeout", async (t) => {
  const { url, requests } = await openServer(t);
  const over = (path: string, fetch: Client["fetch"]): Promise<unknown> => new GraphQLClient(url + path, { fetch }).request("{ answer }");
  const failed = (await rejectionOf(over("/status/500", client.fetch))) as { response: { status: number } }; // the cast: a ClientError
  assert.equal(failed.response.status, 500);
  await over("/flaky", client.fetch);
  assert.equal(requests.filter((request) => request.url === "/flaky").length, 3);
  const error = await rejectionOf(over("/hang", hastyClient.fetch));
  assert.ok(error instanceof PolicyError, String(error));
  assert.equal(error.code, "ERR_PREMESH_TIMEOUT");
});

test("libraries that take the global fetch go through client.fetch when it stands in its place", async (t) => {
  const { url, requests } = await openServer(t);
  const bare = globalThis.fetch;
  t.after(() => (globalThis.fetch = bare));
  globalThis.fetch = client.fetch;
  assert.deepEqual(await ky(`${url}/flaky`, { retry: 0 }).json(), { method: "GET", url: "/flaky", body: "" });
  assert.equal(requests.length, 3);
  const { data } = await axios.create({ adapter: "fetch" }).get<{ method: string }>(`${url}/echo`);
  assert.equal(data.method, "GET");
  assert.ok(requests.every(({ headers }) => headers["x-envoy-expected-rq-timeout-ms"] !== undefined));
});
