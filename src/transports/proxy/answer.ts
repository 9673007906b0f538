// Answers: how a local reply goes out, to a client of HTTP or of gRPC.
import type { Exchange } from "../../wire/wire.ts";
import type { Context } from "./context.ts";
import { dateNow } from "./date.ts";
import { statusFields } from "./grpc.ts";
import type { LocalReply } from "./local-reply.ts";
import { proxyStatus } from "./proxy-status.ts";
import type { Request } from "./request.ts";

export interface Answered {
  readonly status: number;
  readonly bytes: number;
}

export function answer(exchange: Exchange, request: Request, context: Context, requestId: string, reply: LocalReply): Answered {
  const { via } = context;
  const common = ["date", dateNow(), "x-request-id", requestId, "proxy-status", proxyStatus(via, reply.error, reply.message)];
  if (request.isGrpc) {
    const told = marks(reply.fields);
    if (reply.pushbackMs !== undefined) told.push("grpc-retry-pushback-ms", String(Math.ceil(reply.pushbackMs)));
    const fields = ["content-type", "application/grpc", ...statusFields(reply.code, reply.message), ...told, ...common];
    exchange.respond({ status: 200, fields }, true);
    return { status: 200, bytes: 0 };
  }
  const { status } = reply;
  const body = Buffer.from(reply.body);
  const bodyless = status === 204 || status === 304;
  const fields = [...reply.fields, ...common];
  if (!bodyless && !has(fields, "content-length")) fields.push("content-length", String(body.byteLength));
  if (bodyless || body.byteLength === 0 || exchange.head.method === "HEAD") {
    exchange.respond({ status, fields }, true);
    return { status, bytes: 0 };
  }
  exchange.respond({ status, fields }, false);
  exchange.write(body);
  exchange.end();
  return { status, bytes: body.byteLength };
}

const has = (fields: readonly string[], name: string): boolean =>
  fields.some((field, index) => index % 2 === 0 && field.toLowerCase() === name);

/** What of the fields of an HTTP answer says more than its body. */
function marks(fields: readonly string[]): string[] {
  const kept: string[] = [];
  for (let at = 0; at + 1 < fields.length; at += 2) {
    const [name = "", value = ""] = [fields[at], fields[at + 1]];
    if (/^(?:premesh-|x-envoy-)/i.test(name)) kept.push(name, value);
  }
  return kept;
}
