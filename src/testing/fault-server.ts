// faultServer: a real HTTP/1.1 server on loopback that does to each request what a script says.
import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { type Clock, monotonicNow, systemTimers } from "../call/clock.ts";
import { newScript, piecesOf, type Planned, type Script, type ScriptOptions, type SeenRequest } from "./script.ts";

export interface FaultServer {
  /** `http://127.0.0.1:port/` */
  readonly url: string;
  /** `127.0.0.1:port` */
  readonly host: string;
  /** Every request, in the order in which they came whole. */
  readonly requests: readonly SeenRequest[];
  /** The n-th of them (from 1 on), once it has come whole. */
  arrived(n: number): Promise<SeenRequest>;
  /** Takes no connections any more (`ECONNREFUSED`) and breaks those that are open, until {@link FaultServer.accept}. */
  refuse(): Promise<void>;
  /** Takes connections again, on the same port. */
  accept(): Promise<void>;
  /** Throws when steps of the script were not used, or when requests came after the last. */
  assertDone(): void;
  /** Breaks all connections, takes back all timers, and gives the port free. */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

const WITHOUT = { refuse: "a server does not see a connection that it refuses: call refuse() and accept() of the server instead" };

/**
 * Starts a server on 127.0.0.1 and a free port. A request after the last step is answered with status 500 and says so.
 *
 * Errors: `ERR_PREMESH_INVALID_OPTIONS` for a step that is wrong.
 *
 * @example
 * ```ts
 * await using server = await faultServer(["reset", 503, { status: 200, body: "hello", drip: { bytes: 1, every: "10ms" } }]);
 * await client.fetch(server.url);
 * ```
 */
export async function faultServer(script: Script, options: ScriptOptions = {}): Promise<FaultServer> {
  const clock: Clock = options.clock ?? { now: monotonicNow, ...systemTimers };
  const reader = newScript("faultServer", script, options, WITHOUT);
  const requests: SeenRequest[] = [];
  const waiting: { readonly n: number; readonly resolve: (seen: SeenRequest) => void; readonly reject: (error: Error) => void }[] = [];
  let begun = 0;

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const number = ++begun;
    const at = clock.now();
    const turn = reader.turn();
    request.setEncoding("utf8");
    let body = "";
    for await (const chunk of request as AsyncIterable<string>) body += chunk; // the cast: of the encoding
    const { method = "", url = "", headers } = request;
    const seen: SeenRequest = { number, method, url, headers: flat(headers), body, at };
    requests.push(seen);
    for (const { n, resolve } of waiting) if (n === requests.length) resolve(seen);
    const step = await turn.step(seen);
    if (step === undefined) response.writeHead(500, { "content-type": "text/plain" }).end(reader.unexpected(seen));
    else if (await passed(clock, step.delayMs, response)) await answer(step, request, response, clock);
  }

  // a client may well go away in the middle; what the script itself throws is seen by its caller as a 500
  const server = createServer((request, response) => {
    handle(request, response).catch((error: unknown) => {
      if (response.headersSent) request.socket.destroy();
      else response.writeHead(500, { "content-type": "text/plain" }).end(String(error));
    });
  });
  await listening(server, 0);
  const { port } = server.address() as AddressInfo; // the cast: a TCP server has such an address
  const host = `127.0.0.1:${port}`;

  async function refuse(): Promise<void> {
    if (!server.listening) return;
    const closed = once(server, "close");
    server.close();
    server.closeAllConnections();
    await closed;
  }

  async function close(): Promise<void> {
    await refuse();
    for (const { n, reject } of waiting.splice(0)) reject(new Error(`faultServer: closed, and request ${n} had not come`));
  }

  return {
    url: `http://${host}/`,
    host,
    requests,
    arrived: (n) => {
      const seen = requests[n - 1];
      if (seen !== undefined) return Promise.resolve(seen);
      const { promise, resolve, reject } = Promise.withResolvers<SeenRequest>();
      waiting.push({ n, resolve, reject });
      promise.catch(() => undefined); // who waits for it hears of it; nobody has to
      return promise;
    },
    refuse,
    accept: async () => {
      if (!server.listening) await listening(server, port);
    },
    assertDone: reader.assertDone,
    close,
    [Symbol.asyncDispose]: close,
  };
}

async function listening(server: Server, port: number): Promise<void> {
  server.listen(port, "127.0.0.1");
  await once(server, "listening");
}

const flat = (headers: IncomingMessage["headers"]): Record<string, string> =>
  Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, Array.isArray(value) ? value.join(", ") : (value ?? "")]));

/** Lets time pass; false: the connection has gone meanwhile. Leaves neither timer nor listener behind. */
function passed(clock: Clock, ms: number, response: ServerResponse): Promise<boolean> {
  if (response.closed) return Promise.resolve(false);
  if (ms === 0) return Promise.resolve(true);
  return new Promise((resolve) => {
    const gone = (): void => {
      clock.clearTimer(timer);
      resolve(false);
    };
    const timer = clock.setTimer(() => {
      response.off("close", gone);
      resolve(true);
    }, ms);
    response.once("close", gone);
  });
}

async function answer(step: Planned, { socket }: IncomingMessage, response: ServerResponse, clock: Clock): Promise<void> {
  if (step.fault === "hang") return;
  if (step.fault === "reset") return void socket.resetAndDestroy();
  if (step.fault === "garbage") return void socket.end("this is no HTTP\r\n\r\n");
  const { status, headers, contentLength } = step;
  response.writeHead(status, contentLength === undefined ? headers : { ...headers, "content-length": contentLength });
  response.flushHeaders();
  for (const piece of piecesOf(step)) {
    if (!(await passed(clock, step.drip?.everyMs ?? 0, response))) return;
    await new Promise<void>((resolve) => response.write(piece, () => resolve()));
  }
  if (step.after === "hang") return;
  if (step.after === "reset") {
    socket.destroy(); // not a reset on the wire: that would take back what the client has not read yet
    return;
  }
  response.end();
  // whoever waits for bytes that were promised, or got more than that, learns so
  if (contentLength !== undefined) socket.end();
}
