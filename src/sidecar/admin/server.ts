// The server of the admin and the health listener: a short list of paths, and nothing that a peer could make expensive.
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import { refusal } from "./guard.ts";

/** Not imported: an import reads every name of the module, and one of them (WebSocket) loads all of undici: 14 MB and 30 ms of start. */
const { createServer } = process.getBuiltinModule("node:http");

export interface Answer {
  readonly status: number;
  /** Default JSON. */
  readonly type?: string;
  readonly body: string;
}

export interface Route {
  /** GET stands for HEAD too. */
  readonly method: "GET" | "POST";
  readonly path: string;
  readonly answer: () => Answer | Promise<Answer>;
}

export interface AdminOptions {
  /** Whether Host and Origin are looked at; not where all that can be asked for is harmless. */
  readonly guarded: boolean;
}

export const json = (status: number, value: unknown): Answer => ({ status, body: `${JSON.stringify(value, undefined, 2)}\n` });

/** Not yet listening. */
export function adminServer(routes: readonly Route[], { guarded }: AdminOptions): Server {
  const server = createServer(
    {
      maxHeaderSize: 8_192,
      headersTimeout: 5_000,
      requestTimeout: 10_000,
      keepAliveTimeout: 5_000,
      connectionsCheckingInterval: 2_000,
      requireHostHeader: true,
      insecureHTTPParser: false,
      joinDuplicateHeaders: false,
    },
    (request, response) => {
      request.on("error", () => undefined).resume(); // a body means nothing here
      response.on("error", () => undefined);
      void answerTo(request, routes, guarded)
        .catch((error: unknown) => json(500, { error: error instanceof Error ? error.message : String(error) }))
        .then((answer) => send(request, response, answer));
    },
  );
  server.maxConnections = 64;
  server.on("clientError", (_error, socket) => socket.destroy());
  server.on("connect", (_request, socket) => socket.destroy());
  server.on("upgrade", (_request, socket) => socket.destroy());
  return server;
}

async function answerTo(
  request: IncomingMessage,
  routes: readonly Route[],
  guarded: boolean,
): Promise<Answer & { readonly allow?: string }> {
  const { method = "", url = "" } = request;
  const refused = guarded
    ? refusal({ method, host: request.headers.host, origin: request.headers.origin, unix: request.socket.remoteAddress === undefined })
    : undefined;
  if (refused !== undefined) return json(403, { error: refused });
  const path = url.split("?", 1)[0] ?? "";
  const there = routes.filter((route) => route.path === path);
  if (there.length === 0)
    return json(404, { error: "there is no such path", paths: routes.map((route) => `${route.method} ${route.path}`) });
  const asked = method === "HEAD" ? "GET" : method;
  const route = there.find((one) => one.method === asked);
  if (route !== undefined) return route.answer();
  const allow = there.map((one) => (one.method === "GET" ? "GET, HEAD" : one.method)).join(", ");
  return { ...json(405, { error: `${path} takes ${allow}` }), allow };
}

function send(
  request: IncomingMessage,
  response: ServerResponse,
  { status, type, body, allow }: Answer & { readonly allow?: string },
): void {
  if (response.destroyed) return;
  const hasBody = request.headers["content-length"] !== undefined || request.headers["transfer-encoding"] !== undefined;
  response.writeHead(status, {
    "content-type": type ?? "application/json",
    "content-length": Buffer.byteLength(body),
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    "content-security-policy": "default-src 'none'",
    "cross-origin-resource-policy": "same-origin",
    ...(allow === undefined ? {} : { allow }),
    ...(hasBody ? { connection: "close" } : {}), // nobody waits for a long one
  });
  response.end(body);
}
