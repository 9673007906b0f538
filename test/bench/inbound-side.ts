// One side of the inbound bench: a server of node:http in a process of its own, bare or behind policies; it tells its CPU time when asked.
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import {
  breaker,
  bulkhead,
  createClient,
  definePolicy,
  idempotency,
  type LayerDefinition,
  rateLimit,
  timeout,
  trace,
} from "../../src/index.ts";
import { inbound } from "../../src/inbound.ts";

function handle(request: IncomingMessage, response: ServerResponse): void {
  request
    .on("data", () => undefined)
    .on("end", () => {
      response.setHeader("content-type", "application/json");
      response.end('{"ok":true}');
    });
}

const limits = [trace(), rateLimit({ rate: 1e6, per: "1s" }), timeout("5s"), bulkhead({ limit: 1_000 }), breaker()];
const sides: Readonly<Record<string, { readonly path: string; readonly layers: readonly LayerDefinition[] }>> = {
  unmatched: { path: "/other", layers: limits },
  limits: { path: "/", layers: limits },
  keyed: { path: "/", layers: [...limits, idempotency()] },
};

const side = sides[process.argv[2] ?? ""];
const guard =
  side === undefined
    ? undefined
    : inbound(
        createClient({ policies: [definePolicy({ name: "guard", match: [{ path: side.path, inbound: true }], layers: side.layers })] }),
      );
const server = createServer(
  guard === undefined ? handle : (request, response) => void guard(request, response, () => handle(request, response)),
);
server.keepAliveTimeout = 60_000;
server.listen(0, "127.0.0.1", () => process.send?.(server.address()));
process.on("message", () => process.send?.(process.cpuUsage()));
process.once("disconnect", () => process.exit());
