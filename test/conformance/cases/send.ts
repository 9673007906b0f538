// What callers send: every kind of body, Requests, headers, methods, URLs.
import { Readable } from "node:stream";
import { type Case, call, type Circumstances, streamOf } from "./case.ts";
import { settle, whole } from "../observe.ts";

const post =
  (body: (circumstances: Circumstances) => unknown, more: object = {}) =>
  (circumstances: Circumstances): readonly unknown[] => [circumstances.at("/echo"), { method: "POST", body: body(circumstances), ...more }];

const half = { duplex: "half" };

function form({ kit }: Circumstances): FormData {
  const data = new kit.FormData();
  data.append("text", "caf\u00e9 & co");
  data.append("twice", "1");
  data.append("twice", "2");
  data.append("file", new File(["file's bytes"], 'a "b".txt', { type: "text/plain" }));
  data.append("blob", new Blob([new Uint8Array([0, 1, 2, 255])]), "raw.bin");
  return data;
}

async function* generated(): AsyncGenerator<Uint8Array> {
  yield Buffer.from("one,");
  await Promise.resolve();
  yield Buffer.from("two");
}

const bodies: Case[] = [
  call(
    "string",
    post(() => "caf\u00e9 \u2713"),
  ),
  call(
    "empty string",
    post(() => ""),
  ),
  call(
    "null",
    post(() => null),
  ),
  call(
    "undefined",
    post(() => undefined),
  ),
  call(
    "number",
    post(() => 42),
  ),
  call(
    "plain object",
    post(() => ({ a: 1 })),
  ),
  call(
    "Uint8Array",
    post(() => new Uint8Array([0, 128, 255])),
  ),
  call(
    "view into a larger buffer",
    post(() => new Uint8Array([1, 2, 3, 4, 5]).subarray(1, 3)),
  ),
  call(
    "ArrayBuffer",
    post(() => new Uint8Array([7, 8, 9]).buffer),
  ),
  call(
    "DataView",
    post(() => new DataView(new Uint8Array([7, 8, 9]).buffer, 1)),
  ),
  call(
    "Buffer",
    post(() => Buffer.from("buffer")),
  ),
  call(
    "a large buffer",
    post(() => Buffer.alloc(300_000, "xyz")),
  ),
  call(
    "Blob with a type",
    post(() => new Blob(["a", "b"], { type: "text/css" })),
  ),
  call(
    "Blob without a type",
    post(() => new Blob(["blob"])),
  ),
  call(
    "File",
    post(() => new File(["file"], "name.txt", { type: "text/plain" })),
  ),
  call(
    "URLSearchParams",
    post(() => new URLSearchParams({ a: "1 2", "b&": "\u00e9" })),
  ),
  call("FormData with files", post(form)),
  call(
    "stream",
    post(() => streamOf("one,", "two"), half),
  ),
  call(
    "empty stream",
    post(() => streamOf(), half),
  ),
  call(
    "stream of many parts",
    post(() => streamOf(...Array.from({ length: 200 }, (_, index) => `${index},`.repeat(100))), half),
  ),
  call(
    "stream larger than the replay buffer",
    post(() => streamOf(...Array.from({ length: 40 }, () => "0123456789".repeat(5_000))), half),
  ),
  call(
    "stream without duplex",
    post(() => streamOf("one")),
  ),
  call(
    "stream of strings",
    post(() => ReadableStream.from(["no", "bytes"]), half),
  ),
  call(
    "stream that fails",
    post(() => new ReadableStream({ pull: (controller) => controller.error(new RangeError("source broke")) }), half),
    { unwatched: true },
  ),
  call(
    "stream that fails later",
    post(
      () =>
        ReadableStream.from(
          (async function* failing() {
            yield* generated();
            throw new RangeError("source broke");
          })(),
        ),
      half,
    ),
    { unwatched: true },
  ),
  call(
    "stream that throws no Error",
    post(() => new ReadableStream({ pull: (controller) => controller.error("a string") }), half),
    { unwatched: true },
  ),
  call(
    "locked stream",
    post(() => {
      const stream = streamOf("one");
      stream.getReader();
      return stream;
    }, half),
  ),
  call(
    "byte stream",
    post(() => new Blob(["byte stream"]).stream(), half),
  ),
  call(
    "async generator",
    post(() => generated(), half),
  ),
  call(
    "async generator without duplex",
    post(() => generated()),
  ),
  call(
    "node Readable",
    post(() => Readable.from([Buffer.from("node "), Buffer.from("readable")]), half),
  ),
  call(
    "body of a Response",
    post(({ kit }) => new kit.Response("from a response").body, half),
  ),
  {
    name: "stream: the source is read to its end and cannot be used again",
    run: async ({ fetch, kit, at }) => {
      const stream = streamOf("one,", "two");
      const text = await (await fetch(at("/echo"), { method: "POST", body: stream, duplex: "half" })).text();
      return { text, again: await settle(() => new kit.Response(stream).text()) };
    },
  },
];

const requests: Case[] = [
  call("Request", ({ kit, at }) => [new kit.Request(at("/echo?a=1#fragment"))]),
  call("Request with a string body", ({ kit, at }) => [
    new kit.Request(at("/echo"), { method: "POST", body: "text", headers: { "X-Own": "1" } }),
  ]),
  call("Request with a stream", ({ kit, at }) => [
    new kit.Request(at("/echo"), { method: "PUT", body: streamOf("a", "b"), duplex: "half" }),
  ]),
  call("Request with FormData", (circumstances) => [
    new circumstances.kit.Request(circumstances.at("/echo"), { method: "POST", body: form(circumstances) }),
  ]),
  call("Request with a Blob", ({ kit, at }) => [
    new kit.Request(at("/echo"), { method: "POST", body: new Blob(["blob"], { type: "text/x" }) }),
  ]),
  call("Request with URLSearchParams", ({ kit, at }) => [
    new kit.Request(at("/echo"), { method: "POST", body: new URLSearchParams("a=b") }),
  ]),
  call(
    "Request with a referrer",
    ({ kit, at }) => [new kit.Request(at("/echo"), { referrer: at("/from"), referrerPolicy: "unsafe-url" })],
    { forgotten: "referer" },
  ),
  call("Request with every option", ({ kit, at }) => [
    new kit.Request(at("/redirect/302?to=/echo"), {
      redirect: "manual",
      cache: "no-store",
      credentials: "omit",
      keepalive: true,
      mode: "cors",
    }),
  ]),
  call("Request with an integrity that does not fit", ({ kit, at }) => [
    new kit.Request(at("/status/200"), { integrity: "sha256-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=" }),
  ]),
  call("Request for navigation", ({ kit, at }) => [new kit.Request(new kit.Request(at("/echo")), { mode: "same-origin" })]),
  call("Request and init", ({ kit, at }) => [
    new kit.Request(at("/echo"), { method: "POST", body: "old", headers: { "x-old": "1" } }),
    { method: "PUT", body: "new", headers: { "x-new": "2" } },
  ]),
  call("Request and an init with another body stream", ({ kit, at }) => [
    new kit.Request(at("/echo"), { method: "POST", body: "old" }),
    { body: streamOf("new"), duplex: "half" },
  ]),
  call("Request and an empty init", ({ kit, at }) => [new kit.Request(at("/echo"), { method: "POST", body: "text" }), {}]),
  call("Request and init undefined", ({ kit, at }) => [new kit.Request(at("/echo"), { method: "DELETE" }), undefined]),
  call("Request and init null", ({ kit, at }) => [new kit.Request(at("/echo"), { method: "DELETE" }), null]),
  call("Request with a body, and GET in init", ({ kit, at }) => [
    new kit.Request(at("/echo"), { method: "POST", body: "text" }),
    { method: "GET" },
  ]),
  call("Request as init", ({ kit, at }) => [
    at("/echo"),
    new kit.Request(at("/other"), { method: "POST", body: "from a request", headers: { "x-own": "1" }, duplex: "half" }),
  ]),
  call("init with inherited fields", ({ at }) => [
    at("/echo"),
    Object.create({ method: "PUT", body: "inherited", headers: { "x-own": "1" } }),
  ]),
  call("init with getters", ({ at }) => [
    at("/echo"),
    new (class Init {
      get method(): string {
        return "PUT";
      }
      get body(): string {
        return "got";
      }
    })(),
  ]),
  call("frozen init", ({ at }) => [at("/echo"), Object.freeze({ method: "POST", body: "frozen", headers: Object.freeze({ a: "b" }) })]),
  {
    name: "Request: what is left of it",
    run: async ({ fetch, kit, at }) => {
      const request = new kit.Request(at("/echo"), { method: "POST", body: "text" });
      const promise = fetch(request);
      const used = request.bodyUsed;
      const text = await (await promise).text();
      return { used, after: request.bodyUsed, text, again: await settle(() => fetch(request)), clone: await settle(() => request.clone()) };
    },
  },
  {
    name: "Request whose body has been read",
    run: async ({ fetch, kit, at }) => {
      const request = new kit.Request(at("/echo"), { method: "POST", body: "text" });
      await request.text();
      return settle(() => fetch(request));
    },
  },
  {
    name: "Request whose body is locked",
    run: async ({ fetch, kit, at }) => {
      const request = new kit.Request(at("/echo"), { method: "POST", body: "text" });
      request.body?.getReader();
      return settle(() => fetch(request));
    },
  },
  {
    name: "Request: a clone goes out after the original",
    run: async ({ fetch, kit, at }) => {
      const request = new kit.Request(at("/echo"), { method: "POST", body: "both" });
      const clone = request.clone();
      return [await whole(await fetch(request), kit), await whole(await fetch(clone), kit)];
    },
  },
  {
    name: "Request without a body, sent twice",
    run: async ({ fetch, kit, at }) => {
      const request = new kit.Request(at("/echo"), { headers: { "x-own": "1" } });
      return [await whole(await fetch(request), kit), await whole(await fetch(request), kit)];
    },
  },
];

const headers: Case[] = [
  call("headers as an object", ({ at }) => [at("/echo"), { headers: { "X-Mixed-Case": "1", accept: "text/plain", "user-agent": "me" } }]),
  call("headers as pairs", ({ at }) => [
    at("/echo"),
    {
      headers: [
        ["X-Twice", "1"],
        ["x-twice", "2"],
        ["Content-Type", "text/plain"],
      ],
    },
  ]),
  call("headers as Headers", ({ at, kit }) => [
    at("/echo"),
    {
      headers: new kit.Headers([
        ["X-Own", "1"],
        ["Content-Type", "text/plain"],
      ]),
    },
  ]),
  call("headers as a Map", ({ at }) => [at("/echo"), { headers: new Map([["x-own", "1"]]) }]),
  call("headers undefined", ({ at }) => [at("/echo"), { headers: undefined }]),
  call("headers null", ({ at }) => [at("/echo"), { headers: null }]),
  call("headers of another kind", ({ at }) => [at("/echo"), { headers: "x: y" }]),
  call("header with a bad name", ({ at }) => [at("/echo"), { headers: { "bad name": "1" } }]),
  call("header with a bad value", ({ at }) => [at("/echo"), { headers: { a: "b\r\nc: d" } }]),
  call("header with a value outside latin1", ({ at }) => [at("/echo"), { headers: { a: "\u2713" } }]),
  call("pairs that are none", ({ at }) => [at("/echo"), { headers: [["only a name"]] }]),
  call("cookie, referer and origin", ({ at }) => [
    at("/echo"),
    { headers: { cookie: "a=b", referer: "http://there/", origin: "http://me" } },
  ]),
  call("authorization", ({ at }) => [at("/echo"), { headers: { authorization: "Bearer token" } }]),
  call("host", ({ at }) => [at("/echo"), { headers: { host: "elsewhere" } }]),
  call("connection and transfer-encoding", ({ at }) => [at("/echo"), { headers: { connection: "close" } }]),
  call("a wrong content-length", ({ at }) => [at("/echo"), { method: "POST", body: "four", headers: { "content-length": "40" } }], {
    unwatched: true,
  }),
  call("a right content-length", ({ at }) => [at("/echo"), { method: "POST", body: "four", headers: { "content-length": "4" } }]),
  call("content-type of one's own", ({ at }) => [
    at("/echo"),
    { method: "POST", body: new URLSearchParams("a=b"), headers: { "Content-Type": "text/own" } },
  ]),
  call("large request headers", ({ at }) => [at("/echo"), { headers: { "x-large": "v".repeat(8_000) } }]),
  call("Request with headers in mixed case", ({ at, kit }) => [new kit.Request(at("/echo"), { headers: { "X-Mixed-Case": "1" } })]),
];

const methods: Case[] = [
  ...["get", "HEAD", "post", "PUT", "patch", "PATCH", "delete", "OPTIONS", "PROPFIND", "QUERY"].map((method) =>
    call(`method ${method}`, ({ at }) => [at("/echo"), { method }]),
  ),
  ...["CONNECT", "TRACE", "bad method", "", 3, null].map((method) =>
    call(`method ${JSON.stringify(method)}`, ({ at }) => [at("/echo"), { method }]),
  ),
  call("GET with a body", ({ at }) => [at("/echo"), { method: "GET", body: "text" }]),
  call("HEAD with a body", ({ at }) => [at("/echo"), { method: "HEAD", body: "text" }]),
  call("DELETE with a body", ({ at }) => [at("/echo"), { method: "DELETE", body: "text" }]),
  call("HEAD of a large body", ({ at }) => [at("/large/100000"), { method: "HEAD" }]),
];

const urls: Case[] = [
  call("URL object", ({ at }) => [new URL(at("/echo?q=1#fragment"))]),
  call("object with toString", ({ at }) => [{ toString: () => at("/echo") }]),
  call("query and escapes", ({ at }) => [at("/echo/a b/%2F/\u00e9?x=y z&\u00e9=\u2713")]),
  call("dots in the path", ({ at }) => [at("/a/../echo/./b")]),
  call("space around", ({ at }) => [`  ${at("/echo")}\n`]),
  call("credentials in the URL", ({ at }) => [at("/echo").replace("http://", "http://user:pass@")]),
  call("relative", () => ["/relative"]),
  call("no URL at all", () => ["http://"]),
  call("empty", () => [""]),
  call("no arguments", () => []),
  call("undefined", () => [undefined]),
  call("null", () => [null]),
  call("number", () => [42]),
  call("symbol", () => [Symbol("no")]),
  call("plain object", () => [{}]),
  call("object that throws", () => [
    {
      toString: () => {
        throw new RangeError("no text");
      },
    },
  ]),
  call("init of another kind", ({ at }) => [at("/echo"), 42]),
  call("init as a string", ({ at }) => [at("/echo"), "text"]),
  call("forbidden port", () => ["http://127.0.0.1:1/"]),
  call("unknown scheme", () => ["gopher://127.0.0.1/"]),
  call("file:", () => ["file:///etc/hosts"]),
  call("ftp:", () => ["ftp://127.0.0.1/"]),
  call("about:blank", () => ["about:blank"]),
  call("javascript:", () => ["javascript:alert(1)"]),
  call("data: text", () => ["data:text/plain;charset=utf-8,hello%20there"]),
  call("data: base64", () => ["data:application/octet-stream;base64,AAEC/w=="]),
  call("data: broken", () => ["data:no-comma"]),
  call("data: with HEAD", () => ["data:,x", { method: "HEAD" }]),
  {
    name: "blob:",
    run: async ({ fetch, kit }) => {
      const address = URL.createObjectURL(new Blob(["0123456789"], { type: "text/blob" }));
      try {
        const seen = [
          await settle(async () => whole(await fetch(address), kit)),
          await settle(async () => whole(await fetch(address, { headers: { range: "bytes=2-4" } }), kit)),
          await settle(() => fetch(address, { method: "POST" })),
          await settle(() => fetch("blob:nodedata:00000000-0000-0000-0000-000000000000")),
        ];
        return JSON.parse(JSON.stringify(seen).replaceAll(address, "BLOB")) as unknown;
      } finally {
        URL.revokeObjectURL(address);
      }
    },
  },
];

const options: Case[] = [
  ...["follow", "manual", "error", "sideways"].map((redirect) =>
    call(`redirect: ${redirect}, without one`, ({ at }) => [at("/echo"), { redirect }]),
  ),
  ...["omit", "same-origin", "include", "bad"].map((credentials) =>
    call(`credentials: ${credentials}`, ({ at }) => [at("/echo"), { credentials }]),
  ),
  ...["cors", "no-cors", "same-origin", "navigate", "websocket", "bad"].map((mode) =>
    call(`mode: ${mode}`, ({ at }) => [at("/echo"), { mode }]),
  ),
  ...["default", "no-store", "reload", "no-cache", "force-cache", "only-if-cached", "bad"].map((cache) =>
    call(`cache: ${cache}`, ({ at }) => [at("/echo"), { cache }]),
  ),
  ...["no-referrer", "origin", "unsafe-url", "bad"].map((referrerPolicy) =>
    call(`referrerPolicy: ${referrerPolicy}`, ({ at }) => [at("/echo"), { referrerPolicy }]),
  ),
  call("referrer", ({ at }) => [at("/echo"), { referrer: at("/from"), referrerPolicy: "unsafe-url" }]),
  call("a bad referrer", ({ at }) => [at("/echo"), { referrer: "http://" }]),
  call("keepalive", ({ at }) => [at("/echo"), { method: "POST", body: "beacon", keepalive: true }]),
  call("keepalive with a stream", ({ at }) => [at("/echo"), { method: "POST", body: streamOf("a"), keepalive: true, duplex: "half" }]),
  call("integrity that fits", ({ at }) => [at("/status/200"), { integrity: "sha256-HJMp0JwqkMGRAXAnzB3hGvbzBQRz4f+gcjJO8Hx9Jig=" }]),
  call("integrity that does not fit", ({ at }) => [
    at("/status/200"),
    { integrity: "sha256-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=" },
  ]),
  call("integrity of an unknown kind", ({ at }) => [at("/status/200"), { integrity: "md5-AAAA" }]),
  call("duplex full", ({ at }) => [at("/echo"), { method: "POST", body: "a", duplex: "full" }]),
  call("window null", ({ at }) => [at("/echo"), { window: null }]),
  call("window set", ({ at }) => [at("/echo"), { window: {} }]),
  call("priority", ({ at }) => [at("/echo"), { priority: "high" }]),
  call("unknown options", ({ at }) => [at("/echo"), { nonsense: true, agent: {}, premesh: undefined }]),
  call("dispatcher undefined", ({ at }) => [at("/echo"), { dispatcher: undefined }]),
];

export const sendCases: readonly Case[] = [
  ...bodies.map((one) => ({ ...one, name: `body: ${one.name}` })),
  ...requests.map((one) => ({ ...one, name: `input: ${one.name}` })),
  ...headers.map((one) => ({ ...one, name: `headers: ${one.name}` })),
  ...methods,
  ...urls.map((one) => ({ ...one, name: `address: ${one.name}` })),
  ...options.map((one) => ({ ...one, name: `option ${one.name}` })),
];
