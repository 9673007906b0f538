// The server that snippets marked `with: server` call: `url` is its address. It and its sockets let the process end.
import { once } from "node:events";
import http from "node:http";
import type { AddressInfo } from "node:net";

const tries = new Map<string, number>();
const keys = new Map<string, number>();

/**
 * `/ok` answers; `/uneven` never answers the first of two; `/flaky` fails twice, then answers, then begins again; `/down` always fails; `/busy` asks to wait; `/slow` takes 150 ms;
 * `/hang` never answers; `/charges` does a POST once per Idempotency-Key, and loses its first answer.
 */
const server = http.createServer((request, response) => {
  const path = request.url ?? "/";
  const nth = (tries.get(path) ?? 0) + 1;
  tries.set(path, nth);
  const answer = (status: number, body: object): void => {
    response.writeHead(status, { "content-type": "application/json" });
    response.end(JSON.stringify(body));
  };
  request.resume().on("end", () => {
    if (path === "/hang" || (path === "/uneven" && nth % 2 === 1)) return undefined;
    if (path === "/down") return answer(503, { error: "down" });
    if (path === "/slow") return setTimeout(answer, 150, 200, { ok: true });
    if (path === "/flaky") return nth % 3 === 0 ? answer(200, { ok: true }) : answer(503, { error: "try again" });
    if (path === "/busy") {
      response.setHeader("retry-after", "120");
      return answer(429, { error: "busy" });
    }
    if (path === "/charges") {
      const key = request.headers["idempotency-key"];
      if (typeof key !== "string") return answer(400, { error: "no key" });
      const charge = keys.get(key);
      if (charge !== undefined) return answer(200, { charge });
      keys.set(key, keys.size + 1);
      return request.socket.destroy();
    }
    return answer(200, { ok: true });
  });
});
server.on("connection", (socket) => socket.unref());
server.listen(0, "127.0.0.1");
await once(server, "listening");
server.unref();

/** Where the server is: `http://127.0.0.1:PORT`. */
export const url: string = `http://127.0.0.1:${(server.address() as AddressInfo).port}`; // the cast: it listens on a port
