// Node's HTTP/2: servers and clients of node:http2, to stand around what is tested.
import { once } from "node:events";
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  constants,
  createServer,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
  type ServerOptions,
} from "node:http2";
import type { AddressInfo } from "node:net";
import type { TestContext } from "node:test";

export interface NodeUpstream {
  readonly origin: URL;
  /** One for each connection, in the order in which they came. */
  readonly sessions: readonly ServerHttp2Session[];
}

/** A server that answers each stream. It is closed after the test. */
export async function nodeUpstream(
  t: TestContext,
  answer: (stream: ServerHttp2Stream, headers: IncomingHttpHeaders, list: readonly string[]) => void,
  options: ServerOptions = {},
): Promise<NodeUpstream> {
  const sessions: ServerHttp2Session[] = [];
  const server = createServer(options);
  server.on("session", (session) => {
    sessions.push(session);
    session.on("error", () => undefined);
  });
  server.on("stream", (stream, headers, _flags, list) => {
    stream.on("error", () => undefined);
    answer(stream, headers, list);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    for (const session of sessions) session.destroy();
    server.close();
  });
  return { origin: new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}`), sessions }; // the cast: a TCP server has such an address
}

/** A client of an address. It is closed after the test. */
export function nodeClient(t: TestContext, address: string): ClientHttp2Session {
  const session = connect(`http://${address}`);
  session.on("error", () => undefined);
  t.after(() => session.destroy());
  return session;
}

export interface Answer {
  readonly headers: IncomingHttpHeaders;
  /** END_STREAM came with the headers. */
  readonly ended: boolean;
  readonly body: Buffer;
  readonly trailers: IncomingHttpHeaders | undefined;
  readonly interims: readonly IncomingHttpHeaders[];
  /** What the stream was closed with. */
  readonly code: number;
}

/** All that comes back on a stream, once it is closed. */
export async function answerOn(stream: ClientHttp2Stream): Promise<Answer> {
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
  await new Promise((resolve) => stream.once("close", resolve));
  return { headers, ended, body: Buffer.concat(chunks), trailers, interims, code: stream.rstCode };
}
