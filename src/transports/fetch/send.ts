// Sends one attempt with `fetch` and gives its outcome.
import type { AttemptSpan, Call } from "../../call/call.ts";
import { abortedOutcome, errorOutcome, httpOutcome, misuseOutcome } from "../../call/classify.ts";
import { type End, newEnd, whenEnded } from "../../call/end.ts";
import type { Env } from "../../call/env.ts";
import { discard, type Failure, type Outcome } from "../../call/outcome.ts";
import { Abort, nativeSignal, type Signal } from "../../call/signal.ts";
import { parseRetryAfter } from "../../call/retry-after.ts";
import { encodePolicy } from "../../seam/policy-field.ts";
import { runtimeFetch } from "./beneath.ts";
import { watched } from "./foreign.ts";
import { attributesOf } from "./attributes.ts";
import { destination, detourOf, hosted } from "./destination.ts";
import type { Field } from "./field.ts";
import { type Drop, newDrop } from "./drop.ts";
import type { FetchPayload } from "./once.ts";
import { type FetchFunction, requestIn } from "./request.ts";
import { Tap } from "./tap.ts";

/** What sending asks of the world. */
type World = Pick<Env, "now" | "timers" | "sidecars">;

/** The time that is left, as Envoy words it: https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_filters/router_filter */
const DEADLINE_FIELD = "x-envoy-expected-rq-timeout-ms";

/** A sender over a fetch function, looked up for each attempt. */
export function fetchSender(fetchNow: () => FetchFunction, env: World): (call: Call) => Promise<Outcome<unknown>> {
  const drop = newDrop(env.timers);
  return (call) => {
    const { signal } = call;
    const payload = call.payload as FetchPayload; // the cast: this sender is only put on calls with this payload
    const fetch = fetchNow();
    const foreign = fetch !== runtimeFetch;
    if (signal?.aborted === true) {
      const unheard = foreign && payload.signal?.aborted === true && call.record.attempts === 0;
      return unheard ? worded(fetch, payload, drop) : Promise.resolve(abortedOutcome(signal));
    }
    return attempt(call, payload, fetch, foreign, env, drop);
  };
}

function attempt(
  call: Call,
  payload: FetchPayload,
  fetch: FetchFunction,
  foreign: boolean,
  env: World,
  drop: Drop,
): Promise<Outcome<Response>> {
  const { record, signal } = call;
  record.attempts++;
  if (foreign) record.sent++;
  const span = call.tracer?.start(call, attributesOf(call, payload.url));
  const fields = fieldsOf(call, span, env);
  const detour = detourOf(call, payload.url);
  const tap = new Tap(
    payload.dispatcher,
    fields,
    foreign ? undefined : record,
    detour,
    env.sidecars?.isProxy === true ? ranField(record) : undefined,
  );
  // fetch leaves its listeners on a signal until they are collected, so one that lives long is followed by one that does not
  const followed = !foreign && payload.signal !== undefined && payload.signal === payload.init?.signal;
  const heard = followed ? new Abort(payload.signal) : undefined;
  const responded = (response: Response): Outcome<Response> => {
    // the cast: a foreign fetch gives what it will
    if (typeof (response as unknown) !== "object" || (response as unknown) === null)
      return failed(new TypeError("the fetch function gave no Response"));
    tap.returned();
    const end = tap.used ? tap.end : newEnd();
    if (heard !== undefined) whenEnded(end, () => heard.unfollow());
    const outcome = responseOutcome(tap.used ? response : watched(response, end), end, drop);
    span?.end(outcome);
    return outcome;
  };
  const failed = (error: unknown): Failure<never> => {
    heard?.unfollow();
    const outcome = failureOf(error, call, payload, tap, foreign);
    span?.end(outcome);
    return outcome;
  };
  let sending: Promise<Response>;
  try {
    // what is awaited inside may be any thenable, of a mock
    const elsewhere = foreign ? (detour?.to ?? call.origin) : call.origin;
    const init = foreign ? foreignInit(call, payload, tap, hosted(fields, detour), elsewhere) : nativeInit(payload, tap, elsewhere, heard);
    const to = destination(payload, elsewhere);
    sending = Promise.resolve(span === undefined ? fetch(to, init) : span.within(() => fetch(to, init)));
  } catch (error) {
    return Promise.resolve(failed(error)); // what throws at once fails like what fails later: nothing may be thrown past the layers
  }
  // The runtime's fetch hears the caller's own abort as such; a signal that a layer has put in its place reaches it through the tap.
  if (signal === undefined || (signal === payload.signal && !foreign)) return sending.then(responded, failed);
  return interruptible(sending, responded, failed, tap, signal, payload.signal, foreign);
}

/** What a mock gives may lack anything that a Response has; without a status it is a success. */
function responseOutcome(response: Response, end: End, drop: Drop): Outcome<Response> {
  const { status = 200, headers } = response as Partial<Response>; // the cast: see above
  return httpOutcome(response, status, status < 400 ? undefined : parseRetryAfter(headers?.get("retry-after")), end, drop, headers);
}

/** How many turns of the microtask queue a foreign fetch has to reject an aborted call with an error of its own. */
const FOREIGN_TURNS = 16;

/** What was aborted before it began: a foreign fetch is given what the caller gave, and says in its own words that it does nothing with it. */
async function worded(fetch: FetchFunction, { input, init, signal }: FetchPayload, drop: Drop): Promise<Failure<never>> {
  const outcome = abortedOutcome(signal);
  let { cause } = outcome;
  const sending = (async () => fetch(input, init))();
  void sending.then(drop, (error: unknown) => (cause = error));
  await turns(FOREIGN_TURNS);
  return { ...outcome, cause };
}

async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn++) await Promise.resolve();
}

/**
 * Gives the outcome at once when a layer's signal is aborted, without waiting for fetch to say so: what stands between, such as a bulkhead, has then
 * let go before the caller goes on. The signal reaches fetch until the response has ended.
 */
function interruptible(
  sending: Promise<Response>,
  responded: (response: Response) => Outcome<Response>,
  failed: (error: unknown) => Outcome<Response>,
  tap: Tap,
  signal: Signal,
  own: AbortSignal | undefined,
  foreign: boolean,
): Promise<Outcome<Response>> {
  const { promise, resolve } = Promise.withResolvers<Outcome<Response>>();
  const interruption = new Interruption(resolve, tap, signal, own, foreign);
  sending.then(
    (response) => interruption.settle(responded(response)),
    (error: unknown) => interruption.settle(failed(error)),
  );
  return promise;
}

/**
 * Waits for an abort until the response has ended, and until then knows nothing of the response: one that nobody else holds is to be collected. A class,
 * since a closure here would hold whatever its neighbours do.
 */
class Interruption {
  #resolve: ((outcome: Outcome<Response>) => void) | undefined;
  readonly #tap: Tap;
  readonly #signal: Signal;
  readonly #own: AbortSignal | undefined;
  readonly #foreign: boolean;

  constructor(resolve: (outcome: Outcome<Response>) => void, tap: Tap, signal: Signal, own: AbortSignal | undefined, foreign: boolean) {
    this.#resolve = resolve;
    this.#tap = tap;
    this.#signal = signal;
    this.#own = own;
    this.#foreign = foreign;
    signal.addEventListener("abort", this, { once: true });
  }

  settle(outcome: Outcome<Response>): void {
    const resolve = this.#resolve;
    if (resolve === undefined) return discard(outcome);
    this.#resolve = undefined;
    whenEnded(outcome.end, () => this.#signal.removeEventListener("abort", this));
    return resolve(outcome);
  }

  /** The signal was aborted. */
  handleEvent(): void {
    const theirs = this.#own?.aborted === true;
    if (!theirs) this.#tap.abort(this.#signal.reason); // the caller's own abort reaches fetch by itself, which then words it as ever
    if (theirs && this.#foreign) void turns(FOREIGN_TURNS).then(() => this.#give());
    else this.#give();
  }

  #give(): void {
    const resolve = this.#resolve;
    if (resolve === undefined) return;
    this.#resolve = undefined;
    resolve(abortedOutcome(this.#signal, this.#tap.connected || !this.#tap.used));
  }
}

function failureOf(error: unknown, call: Call, payload: FetchPayload, tap: Tap, foreign: boolean): Failure<never> {
  const sent = tap.connected || (foreign && !tap.used);
  if (payload.signal?.aborted === true) return { ...abortedOutcome(payload.signal, sent), cause: error };
  if (call.signal?.aborted === true) return abortedOutcome(call.signal, sent);
  if (payload.bodyFailed) return misuseOutcome(error);
  if (tap.used) return tap.headed ? misuseOutcome(error) : errorOutcome(error, tap.connected);
  return foreign ? errorOutcome(error, undefined) : misuseOutcome(error);
}

// The casts below: `dispatcher` and `duplex` are undici's extensions of RequestInit, and the tap is a dispatcher by shape.

function nativeInit(payload: FetchPayload, tap: Tap, elsewhere: string | undefined, heard?: Abort): RequestInit {
  const body = payload.body(elsewhere !== undefined);
  const init: RequestInit & { duplex?: "half" } = { ...payload.init, dispatcher: tap } as unknown as RequestInit;
  if (heard !== undefined) init.signal = heard.native();
  return body === undefined ? init : Object.assign(init, { body, duplex: "half" });
}

/** A foreign fetch may not know dispatchers, so signal and fields go the way that every fetch knows; the fields below then find theirs set. */
function foreignInit(call: Call, payload: FetchPayload, tap: Tap, fields: readonly Field[], elsewhere: string | undefined): RequestInit {
  const init = nativeInit(payload, tap, elsewhere);
  // a signal that is none stays, so that fetch says so
  if (call.signal !== undefined && typeof (init.signal ?? call.signal).addEventListener === "function")
    init.signal = nativeSignal(call.signal);
  if (fields.length === 0 || init.headers === null) return init;
  const given = init.headers ?? requestIn(payload.input)?.headers;
  return { ...init, headers: given === undefined ? Object.fromEntries(fields) : joined(given, fields) };
}

/** The caller's headers and ours, in the kind that they came in: undici keeps the order and case of names, which the runtime's Headers would lose. */
function joined(given: NonNullable<RequestInit["headers"]>, fields: readonly Field[]): NonNullable<RequestInit["headers"]> {
  try {
    const known = new Headers(given);
    const ours = fields.filter(([name]) => !known.has(name)).map(([name, value]): [string, string] => [name, value]);
    if (Array.isArray(given)) return [...given, ...ours];
    if (!(Symbol.iterator in given)) return { ...given, ...Object.fromEntries(ours) };
    if (Object.prototype.toString.call(given) !== "[object Headers]") return [...given, ...ours];
    const copy = new (given.constructor as typeof Headers)(given); // the cast: every Headers can be copied by its class
    for (const [name, value] of ours) copy.set(name, value);
    return copy;
  } catch {
    return given; // fetch will say what is wrong with them
  }
}

const ranField = ({ policy, revision }: Call["record"]): string => encodePolicy({ policy, revision, ran: true });

const none: readonly Field[] = [];

function fieldsOf(call: Call, span: AttemptSpan | undefined, env: World): readonly Field[] {
  if (call.added === undefined && call.deadline === Number.POSITIVE_INFINITY && span === undefined) return none;
  const fields: Field[] = [...(span?.fields ?? none)];
  for (let field = call.added; field !== undefined; field = field.before) fields.push([field.name, field.value]);
  if (call.deadline !== Number.POSITIVE_INFINITY) fields.push([DEADLINE_FIELD, String(Math.max(1, Math.ceil(call.deadline - env.now())))]);
  return fields;
}
