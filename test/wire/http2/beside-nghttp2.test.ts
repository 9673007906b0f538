// Messages at random to us and to nghttp2 (node:http2): what we take, it takes for the same; what keeps to the rules, both take.
import assert from "node:assert/strict";
import { once } from "node:events";
import { connect as connectHttp2, createServer } from "node:http2";
import type { AddressInfo } from "node:net";
import { suite, test, type TestContext } from "node:test";
import fc from "fast-check";
import { createUpstreams } from "../../../src/wire/upstreams.ts";
import { anyMessage, framesOf, mostly, type List, type Message } from "../../harness/any-messages.ts";
import { frame, type Frame, HEADERS, rawClient, rawServer, RST_STREAM, SETTINGS } from "../../harness/raw-h2.ts";
import { plainHead, recorded } from "../../harness/recorded.ts";
import { listenFor } from "../../harness/wire.ts";

/** A message as it was understood. */
interface Understood {
  /** Pseudo-fields and fields, sorted, as no order among different names means anything. */
  fields: string[];
  body: number;
  trailers: string[];
  /** `end`, or it broke off. */
  outcome: string;
}

const sorted = (list: readonly string[], leave: (name: string) => boolean = () => false): string[] => {
  const lines: string[] = [];
  for (let n = 0; n < list.length; n += 2) if (!leave(list[n] ?? "")) lines.push(`${list[n]}: ${list[n + 1]}`);
  return lines.toSorted();
};

/** The outcome of the stream for its client. */
async function answered(t: TestContext, port: number, bytes: Buffer): Promise<string> {
  const client = await rawClient(t, port);
  client.send(bytes);
  const answer = await client.first((one: Frame) => one.id === 1 && (one.type === HEADERS || one.type === RST_STREAM));
  client.socket.destroy();
  await client.closed;
  return answer === undefined ? "closed" : answer.type === HEADERS ? "answered" : "reset";
}

interface Server {
  readonly port: number;
  /** What the last request was to it. */
  last(): Understood | undefined;
}

async function ours(t: TestContext): Promise<Server> {
  let last: Understood | undefined;
  const { address } = await listenFor(t, (exchange) => {
    const { head } = exchange;
    const pseudo = [":method", head.method, ":scheme", head.scheme, ":path", head.path, ":authority", head.authority];
    const seen: Understood = { fields: sorted([...pseudo, ...head.fields]), body: 0, trailers: [], outcome: "" };
    last = seen;
    const end = (trailers: readonly string[]): void => {
      seen.trailers = sorted(trailers);
      seen.outcome = "end";
      exchange.respond({ status: 200, fields: [] }, true);
    };
    exchange.receive({
      data: (chunk) => (seen.body += chunk.length),
      end,
      broken: ({ why }) => (seen.outcome = why),
      drained: () => undefined,
    });
    if (exchange.bodyless) end([]);
  });
  return { port: Number(address.split(":").at(-1)), last: () => last };
}

async function nghttp2(t: TestContext): Promise<Server> {
  let last: Understood | undefined;
  const server = createServer({ strictFieldWhitespaceValidation: true });
  server.on("session", (session) => session.on("error", () => undefined));
  server.on("stream", (stream, _headers, _flags, list) => {
    const seen: Understood = { fields: sorted(list), body: 0, trailers: [], outcome: "" };
    last = seen;
    stream.on("error", () => undefined);
    stream.on("data", (chunk: Buffer) => (seen.body += chunk.length));
    stream.on("trailers", (_fields, _more, raw: readonly string[]) => (seen.trailers = sorted(raw)));
    stream.on("end", () => {
      seen.outcome = "end";
      if (!stream.destroyed && !stream.closed) stream.respond({ ":status": 200 }, { endStream: true });
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => server.close());
  return { port: (server.address() as AddressInfo).port, last: () => last }; // the cast: a TCP server has such an address
}

const asked = (wild: boolean): fc.Arbitrary<List> =>
  fc
    .tuple(
      mostly(["GET", "POST", "PUT", "OPTIONS", "PURGE"], wild ? ["", "A B"] : []),
      mostly<string | undefined>(["http", "https"], wild ? ["ftp", undefined] : []),
      mostly<string | undefined>(["a.internal", "a:1", "[::1]:80"], wild ? ["me@a", "a b", "", undefined] : []),
      mostly<string | undefined>(["/", "/a?b=c", "/%20"], wild ? ["*", "", "/a b", "http://b/", "/a#b", undefined] : []),
      fc.array(fc.nat(3), { maxLength: 2 }),
    )
    .map(([method, scheme, authority, path, swaps]) => {
      const list = [":method", method, ":scheme", scheme, ":authority", authority, ":path", path];
      const pairs: [string, string][] = [];
      for (let n = 0; n < list.length; n += 2) {
        const value = list[n + 1];
        if (value !== undefined) pairs.push([list[n] ?? "", value]);
      }
      for (const from of swaps) pairs.push(...pairs.splice(from, 1)); // in any order
      return pairs;
    });

const statuses = (wild: boolean): fc.Arbitrary<List> =>
  mostly(["200", "404", "503", "299"], wild ? ["", "20", "abc", "2000", "101"] : []).map((status) => [[":status", status]]);

suite("beside nghttp2, requests", () => {
  for (const [name, wild] of [
    ["that keep to the rules are taken by both, for the same", false],
    ["that do not: what we take it takes, for the same", true],
  ] as const) {
    test(name, async (t) => {
      const [us, them] = [await ours(t), await nghttp2(t)];
      let taken = 0;
      await fc.assert(
        fc.asyncProperty(anyMessage(asked(wild), wild), async (message) => {
          const before = us.last();
          const result = await answered(t, us.port, framesOf(1, message));
          if (!wild) assert.equal(result, "answered");
          if (result !== "answered") return;
          taken++;
          assert.notEqual(us.last(), before);
          assert.equal(await answered(t, them.port, framesOf(1, message)), "answered");
          assert.deepEqual(us.last(), them.last());
        }),
        { numRuns: 150 },
      );
      assert.ok(taken > 0);
    });
  }
});

suite("beside nghttp2, responses", () => {
  for (const [name, wild] of [
    ["that keep to the rules are taken by both, for the same", false],
    ["that do not: what we take it takes, for the same", true],
  ] as const) {
    test(name, async (t) => {
      let message: Message | undefined;
      const { origin } = await rawServer(t, (peer) => {
        peer.send(frame(SETTINGS, 0, 0));
        peer.each(HEADERS, () => {
          if (message !== undefined) peer.send(framesOf(1, message));
        });
      });
      const byUs = async (): Promise<Understood> => {
        const upstreams = createUpstreams();
        const request = recorded(upstreams, origin, plainHead());
        const broken = await request.over;
        await upstreams.close();
        const head = request.heads[0];
        return {
          fields: sorted([":status", String(head?.status), ...(head?.fields ?? [])]),
          body: request.body().length,
          trailers: sorted(request.trailers.fields),
          outcome: broken?.why ?? "end",
        };
      };
      const byThem = async (): Promise<Understood> => {
        const session = connectHttp2(origin, { strictFieldWhitespaceValidation: true });
        session.on("error", () => undefined);
        const stream = session.request({ ":authority": "a.internal" });
        const seen: Understood = { fields: [], body: 0, trailers: [], outcome: "" };
        stream.on("error", () => undefined);
        stream.on("response", (_headers, _flags, list: readonly string[]) => (seen.fields = sorted(list)));
        stream.on("trailers", (_headers, _flags, list: readonly string[]) => (seen.trailers = sorted(list)));
        stream.on("data", (chunk: Buffer) => (seen.body += chunk.length));
        stream.on("end", () => (seen.outcome = "end"));
        await new Promise((resolve) => stream.on("close", resolve));
        if (stream.rstCode !== 0) seen.outcome = "broken";
        session.destroy();
        return seen;
      };
      let taken = 0;
      await fc.assert(
        fc.asyncProperty(anyMessage(statuses(wild), wild), async (one) => {
          message = one;
          const us = await byUs();
          if (!wild) assert.equal(us.outcome, "end");
          if (us.outcome !== "end") return;
          taken++;
          assert.deepEqual(us, await byThem());
        }),
        { numRuns: 150 },
      );
      assert.ok(taken > 0);
    });
  }
});
