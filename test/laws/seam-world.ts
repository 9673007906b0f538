// The world of the seam law: upstreams that follow one script between them, and a clock on which nothing passes but what the script lets pass.
import { once } from "node:events";
import { createServer, type Server } from "node:http";
import { createServer as createHttp2 } from "node:http2";
import type { AddressInfo, Socket } from "node:net";
import type { TestContext } from "node:test";
import type { Clock } from "../../src/index.ts";

/** What an upstream does with a request. A status of 0 breaks the connection before the head; `cut`: behind it. `hang`: it says nothing until it is left. */
export type Step = { readonly status: number; readonly retryAfter?: number; readonly cut?: true } | "hang";

/** One request, as an upstream has seen it. */
export interface Arrival {
  readonly at: number;
  readonly line: string;
  readonly body: string;
  readonly fields: Readonly<Record<string, string>>;
}

export interface World {
  /** Origins of upstreams that are there; and of one that is not. */
  readonly origins: readonly string[];
  readonly gone: string;
  readonly clock: Clock;
  /** Begins anew, with a script for all upstreams together; when it is over they answer 200. */
  begin(script: readonly Step[]): void;
  readonly arrivals: () => readonly Arrival[];
  /** Settles when no request is open. */
  quiet(): Promise<void>;
}

/** What upstreams ask to wait, in seconds; a wait that falls due at once. */
export const WAIT_S = 2;

/** How long probes and drains last: they are not the law's, and go by the real clock. */
const REAL_MS = 1_000;

/** Timers of this length fall due when an upstream hangs; all longer ones never do. */
export const HANGS_FOR = "5s";
const HANGS_FOR_MS = 5_000;

/** What proxies add, and what is for one hop or a matter of time. */
const NOISE =
  /^(?:via|x-request-id|x-forwarded-|x-envoy-|connection$|host$|te$|date$|transfer-encoding$|keep-alive$|grpc-timeout$|content-length$|:|sec-fetch|accept|user-agent$|traceparent$)/;

const shown = (headers: Readonly<Record<string, unknown>>): Record<string, string> =>
  Object.fromEntries(
    Object.entries(headers)
      .filter(([name]) => !NOISE.test(name))
      .map(([name, value]) => [name, String(value)]),
  );

export async function openWorld(t: Pick<TestContext, "after">, protocol: "http" | "grpc"): Promise<World> {
  let script: readonly Step[] = [];
  let arrivals: Arrival[] = [];
  let open = 0;
  const pending = new Map<object, () => void>();
  const waiting = new Set<() => void>();
  const left = (): void => {
    open--;
    if (open === 0) for (const quiet of waiting) quiet();
  };
  const expire = (): void => {
    const [first] = pending;
    if (first === undefined) return;
    pending.delete(first[0]);
    first[1]();
  };
  const clock: Clock = {
    now: () => 1_000,
    setTimer: (due, ms) => {
      const timer = { unref: () => undefined };
      if (ms === HANGS_FOR_MS) pending.set(timer, due);
      if (ms === REAL_MS) return setTimeout(due, ms);
      return ms <= WAIT_S * 1_000 ? setTimeout(due, 0) : timer;
    },
    clearTimer: (timer) => {
      if (!pending.delete(timer as object)) clearTimeout(timer as NodeJS.Timeout); // the casts: it is what setTimer gave
    },
  };
  const arrived = (arrival: Arrival): Step => {
    arrivals.push(arrival);
    return script[arrivals.length - 1] ?? { status: 200 };
  };

  const listening = await Promise.all([0, 1, 2].map((at) => (protocol === "http" ? httpUpstream : grpcUpstream)(at)));

  function httpUpstream(at: number): Promise<string> {
    const server = createServer((request, response) => {
      open++;
      response.once("close", left);
      response.shouldKeepAlive = false;
      let body = "";
      request.on("error", () => undefined);
      request.setEncoding("utf8").on("data", (chunk: string) => (body += chunk));
      request.once("end", () => {
        const step = arrived({ at, line: `${request.method} ${request.url}`, body, fields: shown(request.headers) });
        if (step === "hang") return expire();
        if (step.status === 0) return void request.socket.destroy();
        response.setHeader("x-from", String(at));
        if (step.retryAfter !== undefined) response.setHeader("retry-after", String(step.retryAfter));
        if (step.cut !== true) return response.writeHead(step.status).end(`answer ${step.status}`);
        response.writeHead(step.status, { "content-length": "100" });
        response.write("part", () => request.socket.destroy());
      });
    });
    return listen(server);
  }

  function grpcUpstream(at: number): Promise<string> {
    const server = createHttp2();
    server.on("stream", (stream, headers) => {
      open++;
      stream.once("close", left);
      stream.on("error", () => undefined);
      const chunks: Buffer[] = [];
      stream.on("data", (chunk: Buffer) => chunks.push(chunk));
      stream.once("end", () => {
        const body = Buffer.concat(chunks).subarray(5).toString();
        const step = arrived({ at, line: String(headers[":path"]), body, fields: shown(headers) });
        if (step === "hang") return expire();
        if (step.status === 0) return stream.close(2);
        const more = {
          "x-from": String(at),
          ...(step.retryAfter === undefined ? {} : { "grpc-retry-pushback-ms": String(step.retryAfter * 1_000) }),
        };
        const head = { ":status": 200, "content-type": "application/grpc", ...more };
        const code = step.status === 200 ? 0 : (step.status % 16) + 1;
        if (code !== 0 && step.cut !== true)
          return stream.respond({ ...head, "grpc-status": String(code), "grpc-message": "no" }, { endStream: true });
        stream.respond(head, { waitForTrailers: true });
        stream.once("wantTrailers", () => stream.sendTrailers({ "grpc-status": String(code), "x-trailer": "1" }));
        stream.end(Buffer.from([0, 0, 0, 0, 2, 0x6f, 0x6b]));
      });
    });
    return listen(server as unknown as Server); // the cast: it listens the same way
  }

  async function listen(server: Server): Promise<string> {
    const sockets = new Set<Socket>();
    server.on("connection", (socket: Socket) => {
      sockets.add(socket);
      socket.once("close", () => sockets.delete(socket));
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    t.after(() => {
      server.close();
      for (const socket of sockets) socket.destroy();
    });
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`; // the cast: it listens on TCP
  }

  const closed = createServer().listen(0, "127.0.0.1");
  await once(closed, "listening");
  const gone = `http://127.0.0.1:${(closed.address() as AddressInfo).port}`; // the cast: as above
  closed.close();

  return {
    origins: listening,
    gone,
    clock,
    begin: (next) => {
      script = next;
      arrivals = [];
    },
    arrivals: () => arrivals,
    quiet: async () => {
      if (open > 0) {
        await new Promise<void>((resolve) => {
          const quiet = (): void => {
            waiting.delete(quiet);
            resolve();
          };
          waiting.add(quiet);
        });
      }
    },
  };
}
