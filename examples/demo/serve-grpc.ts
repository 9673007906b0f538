// A peer of the demo as a gRPC server, on bare HTTP/2, since libraries do not break streams on demand.
import { constants, createServer, type ServerHttp2Stream } from "node:http2";
import type { AddressInfo } from "node:net";
import { status } from "@grpc/grpc-js";
import { WARM_UP } from "./load.ts";
import type { Exchange } from "./peers.ts";

const HEAD = { ":status": 200, "content-type": "application/grpc" } as const;

/** One message on the wire: a flag, its length, its bytes. */
const MESSAGE = Buffer.concat([Buffer.from([0, 0, 0, 4, 0]), Buffer.alloc(1_024, "x")]);

/** What gRPC calls the errors of the peers. */
const CODES: Readonly<Record<number, status>> = { 429: status.RESOURCE_EXHAUSTED, 500: status.INTERNAL, 503: status.UNAVAILABLE };

function answer(stream: ServerHttp2Stream): void {
  if (stream.destroyed || stream.closed) return;
  stream.respond(HEAD, { waitForTrailers: true });
  stream.once("wantTrailers", () => stream.sendTrailers({ "grpc-status": String(status.OK) }));
  stream.end(MESSAGE);
}

/** Listens, and gives its port. Calls to warm it up are answered at once. */
export function serveGrpc(take: (exchange: Exchange) => void): Promise<number> {
  const server = createServer();
  server.on("session", (session) => session.on("error", () => undefined));
  server.on("stream", (stream, headers) => {
    stream.on("error", () => undefined);
    stream.resume();
    if (headers[":path"]?.endsWith(WARM_UP) === true) return answer(stream);
    const reset = (): void => stream.close(constants.NGHTTP2_INTERNAL_ERROR);
    return take({
      answer: (ms) => void setTimeout(answer, ms, stream),
      refuse: (code, retryAfterS) => {
        const pushback = retryAfterS === undefined ? {} : { "grpc-retry-pushback-ms": String(retryAfterS * 1_000) };
        stream.respond({ ...HEAD, "grpc-status": String(CODES[code] ?? status.UNKNOWN), ...pushback }, { endStream: true });
      },
      reset: (when) => {
        if (when === "before") return reset();
        stream.respond(HEAD);
        return void stream.write(MESSAGE.subarray(0, 500), () => setTimeout(reset, 5));
      },
      onOver: (over) => void stream.once("close", over),
      drop: () => stream.session?.destroy(),
    });
  });
  return new Promise((resolve) => {
    server.listen(0, "127.0.0.1", () => resolve((server.address() as AddressInfo).port)); // the cast: it listens on TCP
  });
}
