// What the span of an attempt says of its request, by OpenTelemetry's names.
import type { Call } from "../../call/call.ts";

/** Query parameters whose values are credentials (OpenTelemetry's semantic conventions, `url.full`). */
const SECRET_PARAMETERS = ["AWSAccessKeyId", "Signature", "sig", "X-Goog-Signature"];

export function attributesOf(call: Call, url: URL): Record<string, string | number> {
  const shown = new URL(call.origin === undefined ? url.href : url.pathname + url.search, call.origin);
  shown.username = shown.password = "";
  for (const name of SECRET_PARAMETERS) if (shown.searchParams.has(name)) shown.searchParams.set(name, "REDACTED");
  const port = shown.port === "" ? (shown.protocol === "https:" ? 443 : 80) : Number(shown.port);
  return {
    "http.request.method": call.method,
    "server.address": shown.hostname,
    "server.port": port,
    "url.full": shown.href,
    ...(call.endpoint === undefined ? {} : { "premesh.endpoint": call.endpoint.key }),
  };
}
