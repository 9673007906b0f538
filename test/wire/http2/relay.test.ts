// HTTP/2 through the wire and out again: what goes in comes out.
import assert from "node:assert/strict";
import type { IncomingHttpHeaders } from "node:http2";
import { suite, test } from "node:test";
import { answerOn, nodeClient, nodeUpstream } from "../../harness/node-h2.ts";
import { wireTo } from "../../harness/wire.ts";

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
    const { address } = await wireTo(t, origin, { version: "2" });
    const stream = nodeClient(t, address).request(
      { ":method": "POST", ":path": "/a?b=c", ":authority": "payments.internal", "x-b": ["1", "2"], cookie: ["a=1", "b=2"] },
      { waitForTrailers: true },
    );
    stream.on("wantTrailers", () => stream.sendTrailers({ "x-sum": "12" }));
    stream.end("question");
    const answer = await answerOn(stream);
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
  });

  test("a response of headers alone stays one frame", async (t) => {
    const { origin } = await nodeUpstream(t, (stream) => stream.respond({ ":status": 200, "grpc-status": "5" }, { endStream: true }));
    const { address } = await wireTo(t, origin, { version: "2" });
    const answer = await answerOn(nodeClient(t, address).request({ ":method": "POST", "content-type": "application/grpc" }));
    assert.equal(answer.ended, true);
    assert.equal(answer.headers["grpc-status"], "5");
  });
});
