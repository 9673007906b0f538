// The bare proxy of HTTP/2: node:http2's core stream API on both sides, one session to the upstream, and nothing between them.
import { type ClientHttp2Session, connect, createServer, type OutgoingHttpHeaders } from "node:http2";

const sessions = new Map<string, ClientHttp2Session>();

function sessionTo(authority: string): ClientHttp2Session {
  const known = sessions.get(authority);
  if (known !== undefined && !known.closed) return known;
  const session = connect(`http://${authority}`, { peerMaxConcurrentStreams: 1_000 });
  session.on("error", () => sessions.delete(authority));
  sessions.set(authority, session);
  return session;
}

const server = createServer({ settings: { maxConcurrentStreams: 1_000 } });
server.on("stream", (down, headers) => {
  const up = sessionTo(String(headers[":authority"])).request({ ...headers });
  let trailers: OutgoingHttpHeaders = {};
  up.on("response", (head, flags) => down.respond({ ...head }, (flags & 1) === 1 ? { endStream: true } : { waitForTrailers: true }));
  up.on("trailers", (fields) => (trailers = { ...fields }));
  down.on("wantTrailers", () => down.sendTrailers(trailers));
  up.on("data", (chunk: Buffer) => {
    if (down.write(chunk)) return;
    up.pause();
    down.once("drain", () => up.resume());
  });
  up.on("end", () => down.end());
  down.on("data", (chunk: Buffer) => {
    if (up.write(chunk)) return;
    down.pause();
    up.once("drain", () => down.resume());
  });
  down.on("end", () => up.end());
  down.on("close", () => up.close());
  down.on("error", () => up.close());
  up.on("error", () => down.close());
});
server.listen(Number(process.argv[2]), "127.0.0.1");
