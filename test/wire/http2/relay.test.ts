// HTTP/2 through the wire and out again: what goes in comes out.
import assert from "node:assert/strict";
import { once } from "node:events";
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  constants,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
} from "node:http2";
import { suite, test, type TestContext } from "node:test";
import { nodeUpstream, relay } from "../../harness/relay.ts";

/** A session of Node's own client, closed after the test. */
function client(t: TestContext, origin: URL): ClientHttp2Session {
  const session = connect(origin);
  session.on("error", () => undefined);
  t.after(() => session.destroy());
  return session;
}

interface Answer {
  readonly headers: IncomingHttpHeaders;
  readonly ended: boolean;
  readonly body: Buffer;
  readonly trailers: IncomingHttpHeaders | undefined;
  readonly interims: readonly IncomingHttpHeaders[];
  readonly code: number;
}

/** What comes back for a request. */
async function answered(stream: ClientHttp2Stream): Promise<Answer> {
  const chunks: Buffer[] = [];
  const interims: IncomingHttpHeaders[] = [];
  let trailers: IncomingHttpHeaders | undefined;
  let headers: IncomingHttpHeaders = {};
  let ended = false;
  stream.on("error", () => undefined);
  stream.on("headers", (head) => interims.push(head));
  stream.on("trailers", (head) => (trailers = head));
  stream.on("response", (head, flags) => {
    headers = head;
    ended = (flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0;
  });
  stream.on("data", (chunk: Buffer) => chunks.push(chunk));
  await once(stream, "close");
  return { headers, ended, body: Buffer.concat(chunks), trailers, interims, code: stream.rstCode };
}

suite("HTTP/2 relayed", () => {
  test("brings a body, trailers and 1xx both ways", async (t) => {
    const seen: { headers?: IncomingHttpHeaders; trailers?: IncomingHttpHeaders; body?: string } = {};
    const { origin } = await nodeUpstream(t, (stream, headers) => {
      seen.headers = headers;
      stream.additionalHeaders({ ":status": 103, link: "</a>" });
      stream.on("trailers", (fields) => (seen.trailers = fields));
      let body = "";
      stream.setEncoding("utf8").on("data", (chunk: string) => (body += chunk));
      stream.on("end", () => {
        seen.body = body;
        stream.respond({ ":status": 201, "x-a": ["1", "2"], "set-cookie": ["a=1", "b=2"] }, { waitForTrailers: true });
        stream.on("wantTrailers", () => stream.sendTrailers({ "x-check": "ok" }));
        stream.end("answer");
      });
    });
    const proxy = await relay(t, origin);
    const stream = client(t, proxy.origin).request(
      { ":method": "POST", ":path": "/a?b=c", ":authority": "payments.internal", "x-b": ["1", "2"], cookie: ["a=1", "b=2"] },
      { waitForTrailers: true },
    );
    stream.on("wantTrailers", () => stream.sendTrailers({ "x-sum": "12" }));
    stream.end("question");
    const answer = await answered(stream);
    assert.equal(answer.headers[":status"], 201);
    assert.equal(answer.headers["x-a"], "1, 2");
    assert.deepEqual(answer.headers["set-cookie"], ["a=1", "b=2"]);
    assert.equal(answer.body.toString(), "answer");
    assert.equal(answer.trailers?.["x-check"], "ok");
    assert.equal(answer.interims[0]?.["link"], "</a>");
    assert.equal(seen.headers?.[":authority"], "payments.internal");
    assert.equal(seen.headers?.[":path"], "/a?b=c");
    assert.equal(seen.headers?.["x-b"], "1, 2");
    assert.equal(seen.headers?.["cookie"], "a=1; b=2");
    assert.equal(seen.trailers?.["x-sum"], "12");
    assert.equal(seen.body, "question");
    assert.deepEqual(proxy.broken, []);
  });

  test("a response of headers alone stays one frame", async (t) => {
    const { origin } = await nodeUpstream(t, (stream) => stream.respond({ ":status": 200, "grpc-status": "5" }, { endStream: true }));
    const proxy = await relay(t, origin);
    const request: OutgoingHttpHeaders = { ":method": "POST", "content-type": "application/grpc" };
    const answer = await answered(client(t, proxy.origin).request(request));
    assert.equal(answer.ended, true);
    assert.equal(answer.headers["grpc-status"], "5");
  });
});
