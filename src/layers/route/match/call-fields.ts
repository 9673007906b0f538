// What a route reads of a call: its path, its query, header fields and cookies, over whatever transport it came.
import { type Call, fieldOf } from "../../../call/call.ts";

/** The path with its query as the transport has it, as HTTP/2 words it; RPCs have the path of their method, and work has none. */
function pathAndQuery(call: Call): string {
  const given = call.metadata.get(":path");
  if (given !== undefined) return given;
  const { protocol } = call.record;
  if (protocol !== "grpc" && protocol !== "connect") return "/";
  return call.method.startsWith("/") ? call.method : `/${call.method}`;
}

/** The path without its query. */
export function pathOf(call: Call): string {
  const whole = pathAndQuery(call);
  const mark = whole.indexOf("?");
  return mark === -1 ? whole : whole.slice(0, mark);
}

export function queryOf(call: Call): URLSearchParams {
  const whole = pathAndQuery(call);
  const mark = whole.indexOf("?");
  return new URLSearchParams(mark === -1 ? "" : whole.slice(mark + 1));
}

/** The value of a cookie (RFC 6265, 4.2.1). */
function cookieOf(call: Call, name: string): string | undefined {
  for (const pair of fieldOf(call, "cookie")?.split(";") ?? []) {
    const equals = pair.indexOf("=");
    if (equals !== -1 && pair.slice(0, equals).trim() === name) return pair.slice(equals + 1).trim();
  }
  return undefined;
}

/** The gRPC service and method, `undefined` where the call is no RPC: `["payments.v1.Payments", "Charge"]`. */
export function rpcOf({ method, record: { protocol } }: Call): readonly [service: string, method: string] | undefined {
  if (protocol !== "grpc" && protocol !== "connect") return undefined;
  const start = method.startsWith("/") ? 1 : 0;
  const slash = method.lastIndexOf("/");
  return [method.slice(start, slash), method.slice(slash + 1)];
}

/** What of a call says where it goes. */
export interface HashedBy {
  readonly header?: string | undefined;
  readonly cookie?: string | undefined;
  readonly path?: true | undefined;
}

/** The text that it is hashed by; `undefined` where the call has none. */
export function hashedText(call: Call, { header, cookie }: HashedBy): string | undefined {
  if (header !== undefined) return fieldOf(call, header.toLowerCase());
  return cookie === undefined ? pathOf(call) : cookieOf(call, cookie);
}
