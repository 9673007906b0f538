// A gRPC server on bare HTTP/2, which does to each attempt what the test says: no library stands between the test and the wire.
import { once } from "node:events";
import { createServer, constants, type IncomingHttpHeaders, type ServerHttp2Session, type ServerHttp2Stream } from "node:http2";
import type { AddressInfo } from "node:net";
import type { TestContext } from "node:test";

export type Fields = Readonly<Record<string, string | readonly string[]>>;

/** One attempt, as the server sees it. */
export interface PeerAttempt {
  /** 1 for the first that the server has seen. */
  readonly nth: number;
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  /** What has come so far. */
  readonly messages: readonly string[];
  readonly halfClosed: boolean;
  /** The code that the client reset it with. */
  readonly resetBy: number | undefined;
  readonly stream: ServerHttp2Stream;
  /** Settles when so many messages have come. */
  received(count: number): Promise<void>;
  /** Settles when the client has half-closed. */
  ended(): Promise<void>;
  /** Settles when the stream is gone, whoever ended it. */
  closed(): Promise<void>;
  head(fields?: Fields): void;
  send(...messages: readonly string[]): void;
  /** Settles when what was sent has left. Node's http2 may take all memory where a stream is reset that has not written all yet, so wait for that. */
  flushed(): Promise<void>;
  /** Ends it: with trailers behind a head, or as one trailers-only head. */
  status(code: number, fields?: Fields): void;
  reset(code: number): void;
}

export interface Peer {
  readonly address: string;
  readonly attempts: readonly PeerAttempt[];
  /** Settles when so many attempts have come, and gives the last of them. */
  arrived(count: number): Promise<PeerAttempt>;
  /** Streams that are open now. */
  open(): number;
  readonly sessions: ReadonlySet<ServerHttp2Session>;
}

export const { NGHTTP2_CANCEL, NGHTTP2_INTERNAL_ERROR, NGHTTP2_NO_ERROR, NGHTTP2_REFUSED_STREAM } = constants;

/** One message on the wire: not compressed, its length, its bytes. */
export function framed(message: string | Buffer): Buffer {
  const bytes = Buffer.from(message);
  const frame = Buffer.alloc(5);
  frame.writeUInt32BE(bytes.length, 1);
  return Buffer.concat([frame, bytes]);
}

export async function openPeer(t: Pick<TestContext, "after">, serve: (attempt: PeerAttempt) => unknown): Promise<Peer> {
  const attempts: PeerAttempt[] = [];
  const sessions = new Set<ServerHttp2Session>();
  const waiting = new Set<() => void>();
  let open = 0;
  const changed = (): void => {
    for (const look of waiting) look();
  };
  const until = (holds: () => boolean): Promise<void> =>
    new Promise((resolve) => {
      const look = (): void => {
        if (!holds()) return;
        waiting.delete(look);
        resolve();
      };
      waiting.add(look);
      look();
    });

  const server = createServer({ settings: { maxHeaderListSize: 4_194_304 } });
  server.on("session", (session) => {
    sessions.add(session);
    session.on("error", () => undefined);
    session.on("close", () => sessions.delete(session));
  });
  server.on("stream", (stream, headers) => {
    open++;
    const messages: string[] = [];
    let chunks: Buffer[] = [];
    let size = 0;
    /** So many bytes make the next message whole. */
    let needed = 5;
    let halfClosed = false;
    let gone = false;
    let unwritten = 0;
    stream.on("error", () => undefined);
    stream.on("close", () => {
      open--;
      gone = true;
      changed();
    });
    stream.on("data", (chunk: Buffer) => {
      chunks.push(chunk);
      size += chunk.length;
      if (size < needed) return;
      let rest = Buffer.concat(chunks);
      while (rest.length >= 5 && rest.length >= 5 + rest.readUInt32BE(1)) {
        const end = 5 + rest.readUInt32BE(1);
        messages.push(rest.subarray(5, end).toString());
        rest = rest.subarray(end);
      }
      needed = rest.length < 5 ? 5 : 5 + rest.readUInt32BE(1);
      chunks = [rest];
      size = rest.length;
      changed();
    });
    stream.on("end", () => {
      halfClosed = true;
      changed();
    });
    const usable = (): boolean => !stream.destroyed && !stream.closed;
    const attempt: PeerAttempt = {
      nth: attempts.length + 1,
      path: String(headers[":path"]),
      headers,
      messages,
      stream,
      get halfClosed() {
        return halfClosed;
      },
      get resetBy() {
        return gone && stream.rstCode !== NGHTTP2_NO_ERROR ? stream.rstCode : undefined;
      },
      received: (count) => until(() => messages.length >= count || gone),
      ended: () => until(() => halfClosed || gone),
      closed: () => until(() => gone),
      head: (fields = {}) => {
        if (usable() && !stream.headersSent)
          stream.respond({ ":status": 200, "content-type": "application/grpc", ...fields }, { waitForTrailers: true });
      },
      send: (...texts) => {
        attempt.head();
        for (const text of texts) {
          if (!usable()) return;
          unwritten++;
          stream.write(framed(text), () => {
            unwritten--;
            changed();
          });
        }
      },
      flushed: () => until(() => unwritten === 0 || gone),
      status: (code, fields = {}) => {
        if (!usable()) return;
        const trailers = { "grpc-status": String(code), ...fields };
        if (!stream.headersSent)
          return stream.respond({ ":status": 200, "content-type": "application/grpc", ...trailers }, { endStream: true });
        stream.once("wantTrailers", () => stream.sendTrailers(trailers));
        stream.end();
      },
      reset: (code) => {
        if (usable()) stream.close(code);
      },
    };
    attempts.push(attempt);
    changed();
    serve(attempt);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    for (const session of sessions) session.destroy();
    server.close();
  });
  const { port } = server.address() as AddressInfo; // the cast: it listens on TCP
  return {
    address: `127.0.0.1:${port}`,
    attempts,
    arrived: async (count) => {
      await until(() => attempts.length >= count);
      return attempts[count - 1] as PeerAttempt; // the cast: it has come
    },
    open: () => open,
    sessions,
  };
}
