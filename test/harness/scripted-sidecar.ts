// A sidecar that does what the test says, on a real socket: it answers probes, and each call that crosses by the next step of a script.
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import type { TestContext } from "node:test";
import { encodeUnseen } from "../../src/seam/outcome-field.ts";
import { decodeCall, type FarCall } from "../../src/seam/call-field.ts";
import { decodePolicy, type NamedPolicy } from "../../src/seam/policy-field.ts";

/** One call that has crossed. */
export interface Crossed {
  readonly request: IncomingMessage;
  readonly body: string;
  readonly policy: NamedPolicy | undefined;
  readonly call: FarCall | undefined;
  /** Answers; `outcome`: the field, else there is none. */
  readonly answer: (
    status: number,
    outcome?: string,
    more?: { readonly headers?: Readonly<Record<string, string>>; readonly body?: string },
  ) => void;
  readonly unseen: (why: "unknown-revision" | "draining") => void;
  /** Breaks the connection. */
  readonly reset: () => void;
}

export type Serve = (crossed: Crossed, nth: number) => unknown;

export interface ScriptedSidecar {
  readonly address: string;
  readonly crossed: readonly Crossed[];
  readonly probes: () => number;
  /** Settles when so many calls have crossed. */
  arrived(count: number): Promise<Crossed>;
  /** Answers nothing any more, not even probes; what comes waits. */
  hang(): void;
  /** How many requests have come while it hung. */
  held(): number;
  /** Answers again; what has come meanwhile is lost. */
  goOn(): void;
  /** Lets go of its port and breaks all connections. */
  stop(): Promise<void>;
}

export interface SidecarOptions {
  /** The port of one that has gone; or the path of a unix socket. */
  readonly at?: number | string;
  /** What it says to a probe: its version, and the status. */
  readonly version?: string | undefined;
  readonly status?: number;
}

export const ONE = "attempts=1, sent=1";

/** A plain answer of a peer behind it. */
export const fine: Serve = ({ answer }) => answer(200, ONE);

export async function openSidecar(t: Pick<TestContext, "after">, serve: Serve, options: SidecarOptions = {}): Promise<ScriptedSidecar> {
  const version = "version" in options ? options.version : "1";
  const sockets = new Set<Socket>();
  const crossed: Crossed[] = [];
  const waiting = new Set<() => void>();
  let probes = 0;
  let hung = false;
  let held = 0;
  const server = createServer((request, response) => {
    if (hung) {
      held++;
      return;
    }
    if (request.method === "OPTIONS" && request.url === "*") {
      probes++;
      response.writeHead(options.status ?? 204, version === undefined ? {} : { "premesh-version": version }).end();
      return;
    }
    let body = "";
    request.setEncoding("utf8").on("data", (chunk: string) => (body += chunk));
    request.on("error", () => undefined);
    request.once("end", () => {
      const one = crossedOf(request, response, body);
      crossed.push(one);
      for (const look of waiting) look();
      serve(one, crossed.length);
    });
  });
  server.on("connection", (socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
  });
  if (typeof options.at === "string") server.listen(options.at);
  else server.listen(options.at ?? 0, "127.0.0.1");
  await once(server, "listening");
  const address = typeof options.at === "string" ? `unix:${options.at}` : `http://127.0.0.1:${(server.address() as AddressInfo).port}`; // the cast: it listens on TCP
  const stop = async (): Promise<void> => {
    if (!server.listening) return;
    const closed = once(server, "close");
    server.close();
    for (const socket of sockets) socket.destroy();
    await closed;
  };
  t.after(stop);
  return {
    address,
    crossed,
    probes: () => probes,
    arrived: (count) =>
      new Promise((resolve) => {
        const look = (): void => {
          const one = crossed[count - 1];
          if (one === undefined) return;
          waiting.delete(look);
          resolve(one);
        };
        waiting.add(look);
        look();
      }),
    hang: () => {
      hung = true;
    },
    held: () => held,
    goOn: () => {
      hung = false;
    },
    stop,
  };
}

function crossedOf(request: IncomingMessage, response: ServerResponse, body: string): Crossed {
  const field = (name: string): string => String(request.headers[name]);
  return {
    request,
    body,
    policy: decodePolicy(field("premesh-policy")),
    call: decodeCall(field("premesh-call")),
    answer: (status, outcome, more = {}) => {
      response.writeHead(status, { ...more.headers, ...(outcome === undefined ? {} : { "premesh-outcome": outcome }) });
      response.end(more.body ?? "");
    },
    unseen: (why) => {
      response.writeHead(why === "draining" ? 503 : 421, { "premesh-outcome": encodeUnseen(why) }).end();
    },
    reset: () => void request.socket.destroy(),
  };
}
