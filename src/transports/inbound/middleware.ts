// inbound: the policies for calls that come in, around what a server of node:http does with them.
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Client } from "../../client.ts";
import { type Call, newCall, type Payload } from "../../call/call.ts";
import type { Outcome } from "../../call/outcome.ts";
import { newRecord } from "../../call/record.ts";
import { Abort } from "../../call/signal.ts";
import { doorOf } from "../door.ts";
import { deadlineIn } from "./deadline.ts";
import { type Exchange, newExchange, pathOf } from "./exchange.ts";
import { brokenInPlace, inPlaceOf } from "./refusal.ts";
import { againOf, Replayed } from "./replay.ts";
import { checkInboundOptions, type InboundOptions } from "./options.ts";
import { INBOUND_TARGET } from "./target.ts";

/**
 * Lets a request through to `next`, or answers it. It settles when the call has been answered or `next` has come to its end, and rejects only with what `next`
 * rejects with.
 */
export type Inbound = (request: IncomingMessage, response: ServerResponse, next: () => unknown) => Promise<void>;

/**
 * The client's policies for calls that come in (`match` with `inbound: true`), as a middleware for node:http, Express, Fastify, Koa and whatever else hands on
 * Node's request and response. It comes before whatever reads bodies. A request that no policy matches goes through as if premesh were not there.
 *
 * Errors: `ERR_PREMESH_INVALID_OPTIONS` when it is not given a client, or when a policy for calls that come in has a layer that cannot be run here, such as
 * `retry`; `client.update` throws it then, too. What a policy refuses is answered: 429, 503, 504 and so on, with a problem in JSON.
 *
 * @example
 * ```ts
 * const guard = inbound(client);
 * createServer((request, response) => guard(request, response, () => response.end("done")));
 * express().use(inbound(client));
 * fastify().addHook("onRequest", (request, reply, done) => void guard(request.raw, reply.raw, done));
 * ```
 */
export function inbound(client: Client, options: InboundOptions = {}): Inbound {
  const door = doorOf(client, "inbound");
  checkInboundOptions(options, "inbound");
  door.acceptInbound();
  const { env } = door;
  return async (request, response, next) => {
    const { method = "GET", headers } = request;
    const url = pathOf(request);
    const host = (headers.host ?? "").toLowerCase();
    const ruled = door.find(host, pathname(url), method, "inbound");
    if (ruled === undefined) {
      await next();
      return;
    }
    const left = new Abort(undefined);
    const record = newRecord(ruled, "http", INBOUND_TARGET, method, env.now(), "inbound");
    const limit = options.trustDeadline === true ? deadlineIn((name) => headers[name], env, record, left) : undefined;
    const exchange = newExchange(request, response, next, left, env.now, () => limit?.over());
    const payload: Payload = { replayable: false, incoming: exchange.incoming };
    const call = newCall({
      record,
      metadata: { get: (name) => (name === ":path" ? url : textOf(headers[name])) },
      signal: left,
      idempotent: undefined,
      idempotencyKey: undefined,
      payload,
      send: exchange.send,
      ...(limit === undefined ? {} : { deadline: limit.at }),
    });
    try {
      await door.through(ruled, call, (outcome) => concluded(outcome, call, exchange, response));
    } catch (error) {
      exchange.answer(brokenInPlace(error));
    }
    await exchange.returned();
  };
}

/** The response is what telemetry and `client.explain` know the call by. */
function concluded(outcome: Outcome<unknown>, { record }: Call, exchange: Exchange, response: ServerResponse): ServerResponse {
  const { response: given } = outcome;
  const inPlace = given instanceof Replayed ? againOf(given.answer) : inPlaceOf(outcome, record);
  if (inPlace !== undefined) exchange.answer(inPlace);
  return response;
}

const textOf = (value: string | readonly string[] | undefined): string | undefined =>
  typeof value === "object" ? value.join(", ") : value;

/** Without the query; of the absolute form (RFC 9112, 3.2.2) the path alone. */
function pathname(url: string): string {
  const path = url.startsWith("/") ? url : (URL.parse(url)?.pathname ?? url);
  const query = path.indexOf("?");
  return query === -1 ? path : path.slice(0, query);
}
