// What the work is told of the call that it works on; found by what its framework gives it, so that nothing has to be handed through.
import type { Call } from "../../call/call.ts";
import { nativeSignal } from "../../call/signal.ts";

/** A call that has come in, as the work may know it. */
export interface InboundCall {
  /** The policy that it came through. */
  readonly policy: string;
  /** Aborted when its deadline passes or when whoever asked has left. Pass it on. A call with a key is worked on to its end, so there only a `timeout` behind the `idempotency` layer aborts it. */
  readonly signal: AbortSignal;
  /** How many milliseconds remain until its deadline; `Infinity`: it has none. */
  remainingMs(): number;
}

const never = new AbortController().signal;

/** A constructor that gives what it is given: its heirs put their private fields on that. */
// oxlint-disable-next-line typescript/no-extraneous-class -- it is inherited from
class Given {
  constructor(given: object) {
    return given;
  }
}

/** Writes a call on what its framework gives as a private field, as call/record.ts does: a WeakMap takes 3 us here, and as much again of the garbage collector. */
class Known extends Given {
  #call: Call;
  #now: () => number;

  constructor(by: object, call: Call, now: () => number) {
    super(by);
    this.#call = call;
    this.#now = now;
  }

  static write(by: object, call: Call, now: () => number): void {
    if (!(#call in by)) return void new Known(by, call, now); // oxlint-disable-line no-new -- the new field is the point
    by.#call = call;
    by.#now = now;
  }

  static read(by: object): InboundCall | undefined {
    if (!(#call in by)) return undefined;
    const call = by.#call;
    const now = by.#now;
    return {
      policy: call.record.policy,
      signal: call.signal === undefined ? never : nativeSignal(call.signal),
      remainingMs: () => Math.max(0, call.deadline - now()),
    };
  }
}

/** The work begins. `by`: what its framework gives it. */
export function makeKnown(by: object, call: Call, now: () => number): void {
  Known.write(by, call, now);
}

/**
 * What is known of a call that came in through `inbound`, by its request: Node's `IncomingMessage` (Express's `request`, Fastify's `request.raw`, Koa's
 * `context.req`), a fetch `Request` (Hono's `context.req.raw`), or the `metadata` of a gRPC call. `undefined`: no policy matched it.
 *
 * @example
 * ```ts
 * createServer((request, response) =>
 *   guard(request, response, async () => {
 *     const upstream = await fetch(url, { signal: inboundCall(request)?.signal ?? null });
 *     response.end(await upstream.text());
 *   }),
 * );
 * ```
 */
export function inboundCall(request: object): InboundCall | undefined {
  return Known.read(request);
}
