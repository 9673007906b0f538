// What callers receive: statuses, redirects, codings, streams, the methods of a Response; and what breaks on the way.
import { type Case, call, streamOf } from "./case.ts";
import { head, settle, whole } from "../observe.ts";

const statuses: Case[] = [
  200, 201, 202, 203, 204, 205, 206, 207, 226, 299, 300, 304, 400, 401, 403, 404, 407, 409, 410, 418, 421, 425, 429, 451, 499, 500, 501,
  505, 599,
].map((status) => call(`status ${status}`, ({ at }) => [at(`/status/${status}`)]));

const more: Case[] = [
  call("status text", ({ at }) => [at("/status/299?text=Odd")]),
  call("400 to POST", ({ at }) => [at("/status/400"), { method: "POST", body: "text" }]),
  call("500 to POST", ({ at }) => [at("/status/500"), { method: "POST", body: "text" }]),
  call("401 with a stream", ({ at }) => [at("/status/401"), { method: "POST", body: streamOf("a"), duplex: "half" }], { unwatched: true }),
  call("1xx before the answer", ({ at }) => [at("/hints")]),
  call("expect: 100-continue", ({ at }) => [at("/echo"), { method: "POST", body: "text", headers: { expect: "100-continue" } }]),
  call("several Set-Cookie", ({ at }) => [at("/cookies")]),
  call("headers, repeated and not ASCII", ({ at }) => [at("/headers/10")]),
  call("large response headers", ({ at }) => [at("/headers/12000")]),
  call("response headers that are too large", ({ at }) => [at("/headers/40000")], { retried: true }),
  ...["gzip", "br", "deflate", "deflate-raw", "gzip-twice", "bad-gzip", "cut-gzip", "unknown-coding"].map((coding) =>
    call(`coding ${coding}`, ({ at }) => [at(`/${coding}`)]),
  ),
  call("gzip to HEAD", ({ at }) => [at("/gzip"), { method: "HEAD" }]),
  call("chunks and trailers", ({ at }) => [at("/chunks/5")]),
  call("a large body", ({ at }) => [at("/large/1000000")]),
  call("an empty body", ({ at }) => [at("/large/0")]),
  call("a body until the connection closes", ({ at }) => [at("/until-close")]),
  call("HTTP/1.0", ({ at }) => [at("/http10")]),
  call("reset before the head", ({ at }) => [at("/reset")], { retried: true }),
  call("reset in the body", ({ at }) => [at("/reset-body")]),
  call("a body shorter than its length", ({ at }) => [at("/short")]),
  call("a broken chunk", ({ at }) => [at("/bad-chunk")]),
  call("garbage", ({ at }) => [at("/garbage")], { retried: true }),
  call("reset of a POST with a stream", ({ at }) => [at("/reset"), { method: "POST", body: streamOf("a", "b"), duplex: "half" }], {
    retried: true,
    unwatched: true,
  }),
];

const redirects: readonly Case[] = (
  [
    ...[301, 302, 303, 307, 308].flatMap((status) => [
      call(`${status} followed`, ({ at }) => [at(`/redirect/${status}?to=/echo`)]),
      call(`${status} of a POST`, ({ at }) => [
        at(`/redirect/${status}?to=/echo`),
        { method: "POST", body: "text", headers: { "content-type": "text/own" } },
      ]),
      call(`${status} of a PUT with a stream`, ({ at }) => [
        at(`/redirect/${status}?to=/echo`),
        { method: "PUT", body: streamOf("a"), duplex: "half" },
      ]),
      call(`${status} of a Request with a body`, ({ at, kit }) => [
        new kit.Request(at(`/redirect/${status}?to=/echo`), { method: "POST", body: "text" }),
      ]),
      call(`${status} with redirect: manual`, ({ at }) => [at(`/redirect/${status}?to=/echo`), { redirect: "manual" }]),
      call(`${status} with redirect: error`, ({ at }) => [at(`/redirect/${status}?to=/echo`), { redirect: "error" }]),
    ]),
    call("HEAD", ({ at }) => [at("/redirect/302?to=/echo"), { method: "HEAD" }]),
    call("without Location", ({ at }) => [at("/redirect/302")]),
    call("to no URL", ({ at }) => [at("/redirect/302?to=http://")]),
    call("to another scheme", ({ at }) => [at("/redirect/302?to=data:,x")]),
    call("with a fragment", ({ at }) => [at("/redirect/302?to=/echo%23there")]),
    call("a fragment is kept", ({ at }) => [at("/redirect/302?to=/echo#mine")]),
    call("to credentials", ({ at }) => [at(`/redirect/302?to=${at("/echo").replace("http://", "http://u:p@")}`)]),
    call(
      "to another host drops credentials",
      ({ at }) => [
        at(`/redirect/302?to=${at("/echo").replace("127.0.0.1", "localhost")}`),
        { headers: { authorization: "a", cookie: "b", "x-kept": "c" } },
      ],
      { unwatched: true },
    ),
    call("a chain of 3", ({ at }) => [at("/chain/3")]),
    call("a chain of 20", ({ at }) => [at("/chain/20")]),
    call("a chain of 21", ({ at }) => [at("/chain/21")]),
    call("to an error status", ({ at }) => [at("/redirect/302?to=/status/404")]),
    call("to a reset", ({ at }) => [at("/redirect/302?to=/reset")], { retried: true, unwatched: true }),
  ] satisfies Case[]
).map((one: Case) => ({ ...one, name: `redirect: ${one.name}` }));

const reading: readonly Case[] = (
  [
    { name: "json", run: async ({ fetch, at }) => (await fetch(at('/type/{"a":[1,2]}?is=application/json'))).json() },
    {
      name: "json that is none",
      run: async ({ fetch, at }) => settle(async () => (await fetch(at("/type/nope?is=application/json"))).json()),
    },
    {
      name: "blob",
      run: async ({ fetch, at }) => {
        const blob = await (await fetch(at("/type/text?is=text/css"))).blob();
        return [blob.type, blob.size, await blob.text(), blob instanceof Blob];
      },
    },
    { name: "bytes", run: async ({ fetch, at }) => settle(async () => [...(await (await fetch(at("/type/abc?is=x/y"))).bytes())]) },
    {
      name: "formData, urlencoded",
      run: async ({ fetch, at, kit }) => {
        const data = await (await fetch(at("/type/a=1&a=2?is=application/x-www-form-urlencoded"))).formData();
        return [data instanceof kit.FormData, [...data]];
      },
    },
    {
      name: "formData, multipart",
      run: async ({ fetch, at, kit }) => {
        const sent = new kit.FormData();
        sent.append("a", "1");
        sent.append("f", new File(["x"], "f.txt"));
        const data = await (await fetch(at("/echo"), { method: "POST", body: sent })).formData();
        const file = data.get("f");
        return [data.get("a"), file instanceof File && [file.name, await file.text()]];
      },
    },
    {
      name: "formData of something else",
      run: async ({ fetch, at }) => settle(async () => (await fetch(at("/type/a?is=text/plain"))).formData()),
    },
    {
      name: "async iteration",
      run: async ({ fetch, at }) => {
        const parts: string[] = [];
        for await (const part of (await fetch(at("/chunks/4"))).body ?? []) parts.push(Buffer.from(part).toString());
        return parts.join("");
      },
    },
    {
      name: "iteration left early",
      run: async ({ fetch, at }) => {
        const { body } = await fetch(at("/hang-body"));
        let first = "";
        for await (const part of body ?? []) {
          first = Buffer.from(part).toString();
          break;
        }
        return [first, body?.locked];
      },
    },
    {
      name: "reader: kinds of chunks",
      run: async ({ fetch, at }) => {
        const reader = (await fetch(at("/large/10"))).body?.getReader();
        const { value } = (await reader?.read()) ?? {};
        return [
          value?.constructor.name,
          Buffer.from(value ?? []).toString(),
          (await reader?.read())?.done,
          await settle(() => reader?.closed),
        ];
      },
    },
    {
      name: "byob reader",
      run: async ({ fetch, at }) =>
        settle(async () => {
          const reader = (await fetch(at("/large/10"))).body?.getReader({ mode: "byob" });
          const { value } = (await reader?.read(new Uint8Array(4))) ?? {};
          return Buffer.from(value ?? []).toString();
        }),
    },
    {
      name: "cancel before reading",
      run: async ({ fetch, at }) => {
        const response = await fetch(at("/large/500000"));
        await response.body?.cancel("enough");
        return [response.bodyUsed, await settle(() => response.text())];
      },
    },
    {
      name: "cancel while reading",
      run: async ({ fetch, at }) => {
        const response = await fetch(at("/hang-body"));
        const reader = response.body?.getReader();
        const { value } = (await reader?.read()) ?? {};
        await reader?.cancel();
        return [Buffer.from(value ?? []).toString(), response.bodyUsed];
      },
    },
    {
      name: "clone, read both",
      run: async ({ fetch, at, kit }) => {
        const response = await fetch(at("/chunks/6"));
        const clone = response.clone();
        return [head(clone, kit), await clone.text(), await response.text()];
      },
    },
    {
      name: "clone, read at once",
      run: async ({ fetch, at }) => {
        const response = await fetch(at("/large/300000"));
        const clone = response.clone();
        const [one, other] = await Promise.all([response.text(), clone.text()]);
        return [one.length, other.length];
      },
    },
    {
      name: "clone after reading",
      run: async ({ fetch, at }) => {
        const response = await fetch(at("/large/3"));
        await response.text();
        return settle(() => response.clone());
      },
    },
    {
      name: "tee",
      run: async ({ fetch, at }) => {
        const response = await fetch(at("/large/30"));
        const [one, other] = response.body?.tee() ?? [];
        return [await new Response(one).text(), await new Response(other).text(), response.bodyUsed];
      },
    },
    {
      name: "pipe through",
      run: async ({ fetch, at }) => {
        const response = await fetch(at("/large/30"));
        let text = "";
        for await (const part of response.body?.pipeThrough(new TextDecoderStream()) ?? []) text += part;
        return text;
      },
    },
    {
      name: "read twice",
      run: async ({ fetch, at }) => {
        const response = await fetch(at("/large/3"));
        return [await response.text(), await settle(() => response.text()), await settle(() => response.json())];
      },
    },
    {
      name: "body of null statuses",
      run: async ({ fetch, at }) =>
        Promise.all(
          [204, 205, 304].map(async (status) => {
            const response = await fetch(at(`/status/${status}`));
            return [response.body === null, await response.text()];
          }),
        ),
    },
    { name: "HEAD has no body", run: async ({ fetch, at, kit }) => whole(await fetch(at("/large/30"), { method: "HEAD" }), kit) },
    {
      name: "a response as the body of the next request",
      run: async ({ fetch, at }) => {
        const first = await fetch(at("/large/50000"));
        return (await (await fetch(at("/echo"), { method: "POST", body: first.body, duplex: "half" })).text()).length;
      },
    },
    {
      name: "the headers go on",
      run: async ({ fetch, at, kit }) => {
        const response = await fetch(at("/cookies"));
        const copy = new kit.Headers(response.headers);
        await response.text();
        return [[...copy], copy.getSetCookie(), [...response.headers.keys()], response.headers.get("vary")];
      },
    },
    {
      name: "a Response made of it",
      run: async ({ fetch, at, kit }) => {
        const response = await fetch(at("/large/20"));
        return whole(new kit.Response(response.body, response), kit);
      },
    },
    {
      name: "twenty at once",
      run: async ({ fetch, at }) =>
        (await Promise.all(Array.from({ length: 20 }, async (_, index) => (await fetch(at(`/large/${index}`))).text()))).map(
          (text) => text.length,
        ),
      unwatched: true,
    },
  ] satisfies Case[]
).map((one: Case) => ({ ...one, name: `reading: ${one.name}` }));

export const receiveCases: readonly Case[] = [...statuses, ...more, ...redirects, ...reading];
