// One process of the wire's bench: the upstream, the wire passing on, or the proxy of node:http and undici that it stands in for.
import { createServer } from "node:http";
import { createServer as createRaw, type AddressInfo } from "node:net";
import { Pool } from "undici8";
import { listen } from "../../src/wire/listen.ts";
import { createUpstreams } from "../../src/wire/upstreams.ts";
import { relayTo } from "../harness/pass-on.ts";

const [what = "", origin = ""] = process.argv.slice(2);

/** Answers every request with as many bytes as its target says; it knows requests by the end of their heads and their length. */
async function upstream(): Promise<string> {
  const answers = new Map<string, Buffer>();
  const answer = (size: string): Buffer => {
    const known = answers.get(size);
    if (known !== undefined) return known;
    const made = Buffer.from(`HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: ${size}\r\n\r\n${"x".repeat(Number(size))}`);
    answers.set(size, made);
    return made;
  };
  const server = createRaw({ noDelay: true }, (socket) => {
    let text = "";
    socket.on("error", () => undefined);
    socket.on("data", (chunk) => {
      text += chunk.toString("latin1");
      for (let end = text.indexOf("\r\n\r\n"); end !== -1; end = text.indexOf("\r\n\r\n")) {
        const whole = end + 4 + Number(/content-length: (\d+)/i.exec(text.slice(0, end))?.[1] ?? 0);
        if (text.length < whole) return;
        socket.write(answer(/^\w+ \/(\d+)/.exec(text)?.[1] ?? "0"));
        text = text.slice(whole);
      }
    });
  });
  server.listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  return `127.0.0.1:${(server.address() as AddressInfo).port}`; // the cast: a TCP server has such an address
}

async function wire(): Promise<string> {
  const { address } = await listen("127.0.0.1:0", { exchange: relayTo(createUpstreams(), { origin: new URL(origin), version: "1.1" }) });
  return address;
}

async function bare(): Promise<string> {
  const pool = new Pool(origin);
  const server = createServer((request, response) => {
    const headers: string[] = [];
    for (let at = 0; at < request.rawHeaders.length; at += 2) {
      const name = request.rawHeaders[at] ?? "";
      if (!/^(?:connection|host)$/i.test(name)) headers.push(name, request.rawHeaders[at + 1] ?? "");
    }
    const bodyless = request.headers["content-length"] === undefined;
    pool.dispatch(
      { path: request.url ?? "/", method: request.method ?? "GET", headers, body: bodyless ? null : request },
      {
        onRequestStart: () => undefined,
        onResponseStart({ rawHeaders }, status) {
          response.writeHead(status, (rawHeaders as Buffer[]).map(String)); // the cast: what undici's parser gives
        },
        onResponseData(controller, chunk) {
          if (response.write(chunk)) return;
          controller.pause();
          response.once("drain", () => controller.resume());
        },
        onResponseEnd: () => void response.end(),
        onResponseError: () => void response.destroy(),
      },
    );
  });
  server.listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  return `127.0.0.1:${(server.address() as AddressInfo).port}`; // the cast: a TCP server has such an address
}

process.on("message", () => process.send?.({ ...process.cpuUsage(), rss: process.memoryUsage.rss() }));
process.once("disconnect", () => process.exit());
process.send?.(await (what === "upstream" ? upstream() : what === "wire" ? wire() : bare()));
