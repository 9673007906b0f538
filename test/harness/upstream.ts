// Upstream: a real HTTP server on loopback that answers each request with the next step of a script.
import { once } from "node:events";
import { createServer, type IncomingHttpHeaders } from "node:http";
import type { AddressInfo } from "node:net";
import type { TestContext } from "node:test";

/** What the server does with one request. */
export type Step =
  | {
      readonly status?: number;
      readonly headers?: Readonly<Record<string, string>>;
      readonly body?: string;
      /** Answers only when this has settled. */
      readonly until?: Promise<unknown>;
      /** Sends the head and `body`, and then neither ends nor goes on (`hang`), or breaks the connection (`reset`). */
      readonly after?: "hang" | "reset";
    }
  | "hang"
  | "reset";

export interface Seen {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
  /** Settles when the response is over or its connection is gone; true: it was sent whole. */
  readonly over: Promise<boolean>;
}

export interface Upstream {
  readonly url: string;
  readonly host: string;
  readonly requests: readonly Seen[];
  /** The n-th request (from 1 on), once it has come whole. */
  arrived(n: number): Promise<Seen>;
  /** Ends the body of a response that a `after: "hang"` has left open: the oldest first. */
  finish(): void;
}

/** Starts a server that follows the script; its last step holds for all further requests. It is closed after the test. */
export async function openUpstream(t: TestContext, script: readonly Step[]): Promise<Upstream> {
  const requests: Seen[] = [];
  const waiting: { readonly n: number; readonly resolve: (seen: Seen) => void }[] = [];
  const open: (() => void)[] = [];
  let begun = 0;
  const server = createServer((request, response) => {
    const step = script[Math.min(begun++, script.length - 1)] ?? {};
    let body = "";
    response.shouldKeepAlive = false; // see the end of this file
    request.setEncoding("utf8").on("data", (chunk: string) => (body += chunk));
    const over = new Promise<boolean>((resolve) => response.once("close", () => resolve(response.writableFinished)));
    request
      .on("error", () => undefined)
      .once("end", () => {
        const seen: Seen = { method: request.method ?? "", url: request.url ?? "", headers: request.headers, body, over };
        requests.push(seen);
        for (const { n, resolve } of waiting) if (n === requests.length) resolve(seen);
        if (step === "hang") return;
        if (step === "reset") {
          request.socket.destroy();
          return;
        }
        void Promise.resolve(step.until).then(() => {
          response.writeHead(step.status ?? 200, step.headers);
          if (step.after === undefined) {
            response.end(step.body ?? "ok");
            return;
          }
          response.flushHeaders();
          const next = (): void => {
            if (step.after === "reset") request.socket.destroy();
            else open.push(() => response.end());
          };
          response.write(step.body ?? "part", next);
        });
      });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`; // the cast: a TCP server has such an address
  return {
    url: `http://${host}/`,
    host,
    requests,
    arrived: (n) => {
      const seen = requests[n - 1];
      return seen === undefined ? new Promise((resolve) => waiting.push({ n, resolve })) : Promise.resolve(seen);
    },
    finish: () => open.shift()?.(),
  };
}

/** The address of a port on which nobody listens. */
export async function closedPort(): Promise<string> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo; // the cast: a TCP server has such an address
  server.close();
  await once(server, "close");
  return `http://127.0.0.1:${port}/`;
}

// Timers of fetch that are made while a test has stopped time are that test's; cleared in a later one, they take a timer of that one along
// (node:test, MockTimers). So no socket is kept alive above, and the timer that fetch keeps for ever is made here, in real time.
const first = createServer((_request, response) => response.end()).listen(0, "127.0.0.1");
await once(first, "listening");
await fetch(`http://127.0.0.1:${(first.address() as AddressInfo).port}/`, { headers: { connection: "close" } }).then((response) =>
  response.text(),
); // the cast: as above
first.close();
