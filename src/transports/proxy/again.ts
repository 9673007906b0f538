// Again: an answer that was given before goes out once more, and says so.
import type { Answer } from "../../call/incoming.ts";
import type { Exchange } from "../../wire/wire.ts";
import { againOf } from "../inbound/replay.ts";
import type { Answered } from "./answer.ts";
import type { Context } from "./context.ts";
import { dateNow } from "./date.ts";
import type { Request } from "./request.ts";

export function giveAgain(exchange: Exchange, request: Request, context: Context, requestId: string, answer: Answer): Answered {
  const { fields, body, trailers } = againOf(answer);
  const bytes = exchange.head.method === "HEAD" ? 0 : body.length;
  const status = request.isGrpc ? 200 : answer.status;
  const all = [...fields.flat(), "via", context.viaOf[exchange.version], "x-request-id", requestId, "date", dateNow()];
  const last = (trailers ?? []).flat();
  const bodyless = status === 204 || status === 304 || exchange.head.method === "HEAD" || (bytes === 0 && last.length === 0);
  if (!request.isGrpc && status !== 204 && status !== 304 && last.length === 0) all.push("content-length", String(body.length));
  exchange.respond({ status, fields: all }, bodyless);
  if (bodyless) return { status, bytes: 0 };
  if (bytes > 0) exchange.write(Buffer.from(body));
  exchange.end(last);
  return { status, bytes };
}
