// A peer of the demo as an HTTP/1.1 server.
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { WARM_UP } from "./load.ts";
import type { Exchange } from "./peers.ts";

const BODY = "x".repeat(1_024);

/** Listens, and gives its port. Requests to warm it up are answered at once. */
export function serveHttp(take: (exchange: Exchange) => void): Promise<number> {
  const server = createServer((request, response) => {
    if (request.url === `/${WARM_UP}`) return void response.end();
    const answer = (ms: number): void => void setTimeout(() => response.end(BODY), ms);
    return take({
      answer,
      refuse: (status, retryAfterS) =>
        void response.writeHead(status, retryAfterS === undefined ? {} : { "retry-after": String(retryAfterS) }).end(),
      reset: (when) => {
        if (when === "before") return void request.socket.resetAndDestroy();
        response.writeHead(200, { "content-length": 2 * BODY.length });
        return void response.write(BODY, () => setTimeout(() => request.socket.resetAndDestroy(), 5));
      },
      onOver: (over) => void response.once("close", over),
      drop: () => request.socket.destroy(),
    });
  });
  return new Promise((resolve) => {
    server.listen(0, "127.0.0.1", () => resolve((server.address() as AddressInfo).port)); // the cast: it listens on TCP
  });
}
