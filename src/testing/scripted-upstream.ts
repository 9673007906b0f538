// scriptedUpstream: a fetch function that answers from a script, in the process and on whatever clock.
import { type Clock, monotonicNow, systemTimers } from "../call/clock.ts";
import { Abort, type Signal } from "../call/signal.ts";
import { waited } from "../call/waiting.ts";
import type { FetchFunction } from "../transports/fetch/request.ts";
import { newScript, piecesOf, type Planned, type Script, type ScriptOptions, type SeenRequest } from "./script.ts";

/** A fetch function, and what came to it. */
export type ScriptedUpstream = FetchFunction & {
  /** Every request, in the order in which they came whole. */
  readonly requests: readonly SeenRequest[];
  /** Throws when steps of the script were not used, or when requests came after the last. */
  readonly assertDone: () => void;
};

const WITHOUT = { contentLength: "a false contentLength needs a wire: use faultServer" };

/** Statuses whose responses have no body. */
const BODILESS: ReadonlySet<number> = new Set([204, 205, 304]);

/**
 * A fetch function that answers from a script: give it to `createClient({ fetch })`. Answers are native Responses, and errors are made as those of
 * the runtime's fetch. Redirects are answers like others.
 *
 * Errors: `ERR_PREMESH_INVALID_OPTIONS` for a step that is wrong. A request after the last step is rejected.
 *
 * @example
 * ```ts
 * const upstream = scriptedUpstream([503, { status: 200, body: { id: 1 }, delay: "20ms" }], { clock });
 * const tested = createClient({ policies: [payments], fetch: upstream, clock });
 * ```
 */
export function scriptedUpstream(script: Script, options: ScriptOptions = {}): ScriptedUpstream {
  const clock: Clock = options.clock ?? { now: monotonicNow, ...systemTimers };
  const reader = newScript("scriptedUpstream", script, options, WITHOUT);
  const requests: SeenRequest[] = [];
  let begun = 0;

  const fetch: FetchFunction = async (input, init) => {
    const request = new Request(input, init); // which says what is wrong with them, as fetch does
    const signal = init?.signal ?? request.signal;
    signal.throwIfAborted();
    const number = ++begun;
    const at = clock.now();
    const turn = reader.turn();
    const { method, url, headers } = request;
    const seen: SeenRequest = {
      number,
      method,
      url,
      headers: Object.fromEntries(headers),
      body: turn.known?.fault === "refuse" ? "" : await orAborted(request.text(), signal), // nobody is there to read it
      at,
    };
    requests.push(seen);
    const step = await orAborted(turn.step(seen), signal);
    if (step === undefined) throw new Error(reader.unexpected(seen));
    await passed(clock, step.delayMs, signal);
    if (step.fault === "hang") await orAborted(new Promise(() => undefined), signal);
    if (step.fault !== undefined && step.fault !== "hang") throw failed(step.fault, url);
    const bodiless = BODILESS.has(step.status) || method === "HEAD";
    const body = bodiless ? null : step.drip === undefined && step.after === undefined ? step.body : streamed(step, clock, signal);
    const response = new Response(body, { status: step.status, headers: step.headers });
    return Object.defineProperty(response, "url", { value: url });
  };
  return Object.assign(fetch, { requests, assertDone: reader.assertDone });
}

/** The work, or the signal's reason as soon as it is aborted. */
function orAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(signal.reason as Error); // the cast: whatever the caller gave
    signal.addEventListener("abort", abort, { once: true });
    const over = (): void => signal.removeEventListener("abort", abort);
    work.then(resolve, reject).finally(over);
  });
}

async function passed(clock: Clock, ms: number, signal: Signal): Promise<void> {
  if (!(await waited(clock, ms, signal))) throw signal.reason;
}

/** What the runtime's fetch gives as the cause. */
const causes: { readonly [F in "refuse" | "reset" | "garbage"]: (host: string) => Error } = {
  refuse: (host) => Object.assign(new Error(`connect ECONNREFUSED ${host}`), { code: "ECONNREFUSED" }),
  reset: () => Object.assign(new Error("read ECONNRESET"), { code: "ECONNRESET" }),
  garbage: () => Object.assign(new Error("Response does not match the HTTP/1.1 protocol"), { name: "HTTPParserError" }),
};

function failed(fault: keyof typeof causes, url: string): TypeError {
  return new TypeError("fetch failed", { cause: causes[fault](new URL(url).host) });
}

/** A body that comes in pieces, or that does not come to its end. An abort breaks it off, as fetch does. */
function streamed(step: Planned, clock: Clock, signal: AbortSignal): ReadableStream<Uint8Array> {
  const pieces = piecesOf(step);
  const life = new Abort(signal);
  let sent = 0;
  return new ReadableStream<Uint8Array>(
    {
      start: (controller) => life.addEventListener("abort", () => controller.error(life.reason)),
      pull: async (controller) => {
        const piece = pieces[sent];
        if (piece !== undefined) {
          sent++;
          if (await waited(clock, step.drip?.everyMs ?? 0, life)) controller.enqueue(piece);
          return;
        }
        if (step.after === "hang") return;
        life.unfollow();
        if (step.after === undefined) controller.close();
        else
          controller.error(
            new TypeError("terminated", { cause: Object.assign(new Error("other side closed"), { code: "UND_ERR_SOCKET" }) }),
          );
      },
      cancel: (reason) => {
        life.unfollow();
        life.abort(reason);
      },
    },
    { highWaterMark: 0 },
  );
}
