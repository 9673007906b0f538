// The fields that all attempts of one call send, and those that every answer carries: what a proxy and a mesh add to what it passes on.
import type { Exchange } from "../../wire/wire.ts";
import type { Context } from "./context.ts";
import { dateNow } from "./date.ts";
import type { Request } from "./request.ts";
import type { Response } from "./response.ts";

/** Makes them of the list that the request was read into. `trusted`: what the client says of whom it speaks for counts. */
export function requestFields(exchange: Exchange, request: Request, context: Context, requestId: string, trusted: boolean): string[] {
  const { remoteAddress } = exchange.connection;
  const fields = request.plain;
  const via = context.viaOf[exchange.version];
  fields.push("x-request-id", requestId, "via", request.via === undefined ? via : `${request.via}, ${via}`);
  const before = request.forwardedFor;
  if (remoteAddress !== "") fields.push("x-forwarded-for", before === undefined ? remoteAddress : `${before}, ${remoteAddress}`);
  else if (before !== undefined) fields.push("x-forwarded-for", before);
  fields.push("x-forwarded-proto", trusted && request.forwardedProto !== undefined ? request.forwardedProto : exchange.head.scheme);
  const { maxForwards } = request;
  if (maxForwards !== undefined) fields.push("max-forwards", String(Math.max(0, counts(request) ? maxForwards - 1 : maxForwards)));
  return fields;
}

/** Only these two count the proxies on their way (RFC 9110, 7.6.2). */
export const counts = ({ head: { method } }: Request): boolean => method === "OPTIONS" || method === "TRACE";

/** Makes them of the list that the response was read into. `version`: what it came in. */
export function responseFields(response: Response, context: Context, requestId: string, version: "1.1" | "2", serviceMs: number): string[] {
  const fields = response.plain;
  const via = context.viaOf[version];
  fields.push("via", response.via === undefined ? via : `${response.via}, ${via}`, "x-request-id", requestId);
  fields.push("x-envoy-upstream-service-time", String(Math.round(serviceMs)));
  if (!response.hasDate) fields.push("date", dateNow());
  return fields;
}
