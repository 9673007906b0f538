// What the span of an attempt says of its request, by OpenTelemetry's names.
import type { Call } from "../../call/call.ts";
import type { ProxyPayload } from "./payload.ts";

/** Query parameters whose values are credentials (OpenTelemetry's semantic conventions, `url.full`). */
const SECRET_PARAMETERS = ["AWSAccessKeyId", "Signature", "sig", "X-Goog-Signature"];

export function attributesOf({ method, origin, endpoint }: Call, { request, to }: ProxyPayload): Record<string, string | number> {
  const there = origin === undefined ? to.origin : new URL(origin);
  const port = there.port === "" ? (there.protocol === "https:" ? 443 : 80) : Number(there.port);
  const server = { "server.address": there.hostname, "server.port": port };
  const picked = endpoint === undefined ? {} : { "premesh.endpoint": endpoint.key };
  if (request.isGrpc) return { "rpc.system.name": "grpc", "rpc.method": method, ...server, ...picked };
  return { "http.request.method": method, ...server, "url.full": shown(request.head.path, there), ...picked };
}

function shown(path: string, origin: URL): string {
  const url = URL.parse(path, origin.href);
  if (url === null) return origin.href;
  for (const name of SECRET_PARAMETERS) if (url.searchParams.has(name)) url.searchParams.set(name, "REDACTED");
  return url.href;
}
