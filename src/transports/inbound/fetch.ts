// inboundFetch and inboundHono: the policies for calls that come in, where requests and responses are fetch's.
import type { Client } from "../../client.ts";
import { type Call, newCall } from "../../call/call.ts";
import type { Outcome } from "../../call/outcome.ts";
import { newRecord } from "../../call/record.ts";
import { thrown } from "../../call/refusal.ts";
import { Abort } from "../../call/signal.ts";
import { doorOf } from "../door.ts";
import { deadlineIn } from "./deadline.ts";
import { type FetchExchange, type FetchWork, newFetchExchange } from "./fetch-exchange.ts";
import { checkInboundOptions, type InboundOptions } from "./options.ts";
import { brokenInPlace, type InPlace, inPlaceOf } from "./refusal.ts";
import { againOf, Replayed } from "./replay.ts";
import { INBOUND_TARGET } from "./target.ts";

/** Answers a request by `next`, or in its place. It rejects only with what `next` rejects with. */
export type InboundFetch = (request: Request, next: FetchWork) => Promise<Response>;

/** What of Hono's context is used. */
export interface HonoContext {
  readonly req: { readonly raw: Request };
  get res(): Response;
  set res(response: Response | undefined);
}

/** A middleware of Hono's. */
export type InboundHono = (context: HonoContext, next: () => Promise<void>) => Promise<void>;

/**
 * As {@link inbound}, for servers whose handlers take a `Request` and give a `Response`.
 *
 * Errors: as {@link inbound}.
 *
 * @example
 * ```ts
 * const guarded = inboundFetch(client);
 * const handler = (request: Request) => guarded(request, () => Response.json({ done: true }));
 * ```
 */
export function inboundFetch(client: Client, options: InboundOptions = {}): InboundFetch {
  return guard(client, options, "inboundFetch");
}

/**
 * As {@link inbound}, for Hono.
 *
 * Errors: as {@link inbound}.
 *
 * @example
 * ```ts
 * new Hono().use(inboundHono(client));
 * ```
 */
export function inboundHono(client: Client, options: InboundOptions = {}): InboundHono {
  const guarded = guard(client, options, "inboundHono");
  return async (context, next) => {
    let answered = false;
    const response = await guarded(context.req.raw, async () => {
      await next();
      if (answered) throw new Error("the context has another answer already"); // Hono takes no second one, so this one is lost
      return context.res;
    });
    answered = true;
    if (response === context.res) return;
    context.res = undefined; // else Hono puts the old fields on the new response
    context.res = response;
  };
}

function guard(client: Client, options: InboundOptions, caller: string): InboundFetch {
  const door = doorOf(client, caller);
  checkInboundOptions(options, caller);
  door.acceptInbound();
  const { env } = door;
  return async (request, next) => {
    const { method, headers } = request;
    const url = new URL(request.url);
    const ruled = door.find((headers.get("host") ?? url.host).toLowerCase(), url.pathname, method, "inbound");
    if (ruled === undefined) return next();
    const left = new Abort(undefined);
    const record = newRecord(ruled, "http", INBOUND_TARGET, method, env.now(), "inbound");
    const limit = options.trustDeadline === true ? deadlineIn((name) => headers.get(name), env, record, left) : undefined;
    const exchange = newFetchExchange(request, next, left, env.now, () => limit?.over());
    const call = newCall({
      record,
      metadata: { get: (name) => (name === ":path" ? url.pathname + url.search : (headers.get(name) ?? undefined)) },
      signal: left,
      idempotent: undefined,
      idempotencyKey: undefined,
      payload: { replayable: false, incoming: exchange.incoming },
      send: exchange.send,
      ...(limit === undefined ? {} : { deadline: limit.at }),
    });
    let work: { readonly error: unknown } | undefined;
    try {
      const response = await door.through(ruled, call, (outcome) => {
        if (outcome.ok || outcome.by !== "peer" || outcome.response !== undefined) return concluded(outcome, call, exchange);
        work = { error: thrown(outcome, record) };
        throw work.error;
      });
      if (response.status === LEFT && left.aborted) await exchange.worked(); // nobody waits, and a framework may let go of what comes later
      return response;
    } catch (error) {
      exchange.over();
      if (work !== undefined) throw work.error;
      return made(brokenInPlace(error));
    }
  };
}

/** Whoever has left is told nothing that matters; 499 is nginx's word for it. */
const LEFT = 499;

function concluded(outcome: Outcome<unknown>, { record }: Call, exchange: FetchExchange): Response {
  const { response } = outcome;
  if (response instanceof Replayed) return made(againOf(response.answer));
  if (response instanceof Response && outcome.reply === undefined) return response;
  exchange.over();
  const inPlace = inPlaceOf(outcome, record);
  return inPlace === undefined ? new Response(null, { status: LEFT }) : made(inPlace);
}

/** Statuses that have no body. */
const BODILESS = new Set([101, 204, 205, 304]);

function made({ status, fields, body }: InPlace): Response {
  const headers = new Headers();
  for (const [name, value] of fields) headers.append(name, value);
  // the cast: bytes that are kept are not shared
  return new Response(BODILESS.has(status) ? null : (body as string | Uint8Array<ArrayBuffer>), { status, headers });
}
