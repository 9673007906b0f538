// Upstreams on raw sockets that do what no well-behaved server would, and the watch that a test keeps over its process meanwhile.
import { once } from "node:events";
import { type AddressInfo, createServer, type Socket } from "node:net";
import type { TestContext } from "node:test";

export interface Request {
  readonly socket: Socket;
  /** Request line and header fields, as they came. */
  readonly head: string;
  /** 1 for the first request that the server has seen. */
  readonly nth: number;
}

export interface Upstream {
  readonly url: string;
  readonly port: number;
  /** Requests whose head has come. */
  requests(): number;
  /** Connections that were ever opened. */
  opened(): number;
  /** Connections that are open. */
  open(): number;
}

/** A TCP server that gives the head of each request to `serve`; what follows the head (a body) is left to `socket`. */
export async function upstream(t: TestContext, serve: (request: Request) => void): Promise<Upstream> {
  const sockets = new Set<Socket>();
  let requests = 0;
  let opened = 0;
  const server = createServer((socket) => {
    opened++;
    sockets.add(socket);
    let text = "";
    socket.setNoDelay(true);
    socket.on("error", () => undefined);
    socket.on("close", () => sockets.delete(socket));
    socket.on("data", (chunk) => {
      text += chunk.toString("latin1");
      for (let at = text.indexOf("\r\n\r\n"); at !== -1; at = text.indexOf("\r\n\r\n")) {
        const head = text.slice(0, at);
        text = text.slice(at + 4);
        if (!/^[A-Z]+ \S+ HTTP\/1\.1\r\n/.test(head)) continue; // a piece of a body
        serve({ socket, head, nth: ++requests });
      }
      if (!/^[A-Z]/.test(text)) text = ""; // a body, which nobody asks for
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo; // the cast: it listens on TCP
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return { url: `http://127.0.0.1:${port}`, port, requests: () => requests, opened: () => opened, open: () => sockets.size };
}

const realSetTimeout = globalThis.setTimeout;

/** Waits until the condition holds; fails when it has not for a long time. */
export async function until(condition: () => boolean, what: string): Promise<void> {
  const givenUp = performance.now() + 20_000;
  while (!condition()) {
    if (performance.now() > givenUp) throw new Error(`waited in vain until ${what}`);
    await new Promise((resolve) => realSetTimeout(resolve, 2));
  }
}

/** What a failed fetch says, down its causes; equal for equal failures. */
export function described(error: unknown): string[] {
  const words: string[] = [];
  for (let one = error; one instanceof Error; one = one.cause) {
    const { code } = one as { code?: unknown }; // the cast: only read
    words.push(`${one.name}: ${one.message}${typeof code === "string" ? ` [${code}]` : ""}`);
  }
  return words;
}

/** How a call came out, in words that can be compared with those of bare fetch. */
export async function cameOut(call: Promise<Response>): Promise<string[]> {
  let response: Response;
  try {
    response = await call;
  } catch (error) {
    return ["no response", ...described(error)];
  }
  try {
    return ["response", String(response.status), await response.text()];
  } catch (error) {
    return ["broken response", String(response.status), ...described(error)];
  }
}

/** Collects what nobody handled; a test ends with `assert.deepEqual(unhandled, [])`. */
export const unhandled: unknown[] = [];
process.on("unhandledRejection", (reason) => unhandled.push(reason));
process.on("uncaughtException", (error) => unhandled.push(error));

/** What a call fails with; a call that does not fail fails the test. */
export async function failureOf(call: Promise<unknown>): Promise<unknown> {
  let given: unknown;
  try {
    given = await call;
  } catch (error) {
    return error;
  }
  throw new Error(`the call did not fail: ${String(given)}`);
}
