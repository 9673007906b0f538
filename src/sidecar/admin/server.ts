// The server of the admin and the health listener: a short list of paths, and nothing that a peer could make expensive. It is read by the wire's own codec, so that the shim need not load another.
import { listen } from "../../wire/listen.ts";
import type { Exchange, Listener } from "../../wire/wire.ts";
import { refusal } from "./guard.ts";

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

const LIMITS = { connections: 64, headBytes: 8_192, headMs: 5_000, idleMs: 5_000, stallMs: 10_000, streams: 16 };

export const json = (status: number, value: unknown): Answer => ({ status, body: `${JSON.stringify(value, undefined, 2)}\n` });

/** Listens. Rejects when it cannot. */
export const listenForAdmin = (address: string, routes: readonly Route[], { guarded }: AdminOptions): Promise<Listener> =>
  listen(address, {
    limits: LIMITS,
    exchange: (exchange) => {
      // a body means nothing here
      exchange.receive({ data: () => undefined, end: () => undefined, broken: () => undefined, drained: () => undefined });
      void answerTo(exchange, routes, guarded)
        .catch((error: unknown) => json(500, { error: error instanceof Error ? error.message : String(error) }))
        .then((answer) => send(exchange, answer));
    },
  });

async function answerTo(
  { head, connection }: Exchange,
  routes: readonly Route[],
  guarded: boolean,
): Promise<Answer & { readonly allow?: string }> {
  const { method, authority, fields } = head;
  const origin = fields.findIndex((name, index) => index % 2 === 0 && name.toLowerCase() === "origin");
  const refused = guarded
    ? refusal({
        method,
        host: authority === "" ? undefined : authority,
        origin: origin === -1 ? undefined : fields[origin + 1],
        unix: connection.remoteAddress === "",
      })
    : undefined;
  if (refused !== undefined) return json(403, { error: refused });
  const path = head.path.split("?", 1)[0] ?? "";
  const there = routes.filter((route) => route.path === path);
  if (there.length === 0)
    return json(404, { error: "there is no such path", paths: routes.map((route) => `${route.method} ${route.path}`) });
  const asked = method === "HEAD" ? "GET" : method;
  const route = there.find((one) => one.method === asked);
  if (route !== undefined) return route.answer();
  const allow = there.map((one) => (one.method === "GET" ? "GET, HEAD" : one.method)).join(", ");
  return { ...json(405, { error: `${path} takes ${allow}` }), allow };
}

function send(exchange: Exchange, { status, type, body, allow }: Answer & { readonly allow?: string }): void {
  const bytes = Buffer.from(body);
  const fields = [
    ["content-type", type ?? "application/json"],
    ["content-length", String(bytes.length)],
    ["date", new Date().toUTCString()],
    ["cache-control", "no-store"],
    ["x-content-type-options", "nosniff"],
    ["content-security-policy", "default-src 'none'"],
    ["cross-origin-resource-policy", "same-origin"],
    ...(allow === undefined ? [] : [["allow", allow]]),
  ].flat();
  exchange.respond({ status, fields }, false);
  exchange.write(bytes);
  exchange.end();
}
