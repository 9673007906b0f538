// What the span of an attempt says of its RPC, by OpenTelemetry's names.
import type { Call } from "../../call/call.ts";
import { addressOf } from "./address.ts";

export function attributesOf({ method, target, origin, endpoint }: Call): Record<string, string | number> {
  const [, address = target, port] = /^(.*):(\d+)$/.exec(origin === undefined ? target : addressOf(new URL(origin))) ?? [];
  return {
    "rpc.system.name": "grpc",
    "rpc.method": method,
    "server.address": address,
    ...(port === undefined ? {} : { "server.port": Number(port) }),
    ...(endpoint === undefined ? {} : { "premesh.endpoint": endpoint.key }),
  };
}
