// Tap: a pass-through dispatcher under one `fetch`, which tells when a byte was sent and when the response was over on the wire.
//
// The native Response stays untouched: rebuilding one around a TransformStream costs 25-45 % more CPU a request and loses `url` and `redirected`.
// No undici is imported and nothing crosses its majors: whatever fetch hands over goes to the dispatcher it would have used itself.
import { type End, endNow, newEnd } from "../../call/end.ts";

type Headers_ = Record<string, string> | string[];

/** What fetch hands to a dispatcher; the fields that we look at. */
interface DispatchOptions {
  headers?: Headers_ | Iterable<[string, string]> | null;
}

/** A handler of either generation of undici's interface; fetch makes a new one for each dispatch. */
interface Handler {
  onConnect?(abort: (reason: unknown) => void, ...rest: unknown[]): unknown;
  onHeaders?(status: number, ...rest: unknown[]): unknown;
  onComplete?(...rest: unknown[]): unknown;
  onError?(error: unknown, ...rest: unknown[]): unknown;
  onRequestStart?(controller: { abort(reason: unknown): void }, ...rest: unknown[]): unknown;
  onResponseStart?(controller: unknown, status: number, ...rest: unknown[]): unknown;
  onResponseEnd?(...rest: unknown[]): unknown;
  onResponseError?(controller: unknown, error: unknown, ...rest: unknown[]): unknown;
}

/** An undici dispatcher, as far as it concerns us. */
export interface Dispatcher {
  dispatch(options: DispatchOptions, handler: Handler): boolean;
}

const LEGACY_GLOBAL = Symbol.for("undici.globalDispatcher.1");
const CURRENT_GLOBAL = Symbol.for("undici.globalDispatcher.2");

/** The dispatcher that fetch would have used: looked up per call, so that `setGlobalDispatcher` counts, and by the generation of the handler. */
function globalDispatcher(handler: Handler): Dispatcher {
  const globals = globalThis as unknown as Record<symbol, Dispatcher | undefined>; // the cast: undici keeps its dispatcher there
  const [first, second] = handler.onRequestStart === undefined ? [LEGACY_GLOBAL, CURRENT_GLOBAL] : [CURRENT_GLOBAL, LEGACY_GLOBAL];
  const found = globals[first] ?? globals[second];
  if (found === undefined) throw new TypeError("premesh: fetch has no global dispatcher; pass createClient your own fetch function");
  return found;
}

/** One `fetch` seen from below. A class, since undici's API asks for an object with a `dispatch` method. */
export class Tap implements Dispatcher {
  readonly end: End = newEnd();
  /** fetch has come here; otherwise the response is not undici's, and its end must be seen elsewhere. */
  used = false;
  /** A connection took the request, so a byte of it may have left. */
  connected = false;
  /** The head of a final response (no 1xx) came, on the hop that is under way. */
  headed = false;
  /** Dispatches under way: one for each hop of a redirect. */
  #open = 0;
  /** fetch has returned its response, so the last hop is known. */
  #returned = false;
  #abort: ((reason: unknown) => void) | undefined;
  #aborted: { readonly reason: unknown } | undefined;
  readonly #under: Dispatcher | undefined;
  readonly #fields: readonly (readonly [name: string, value: string])[];
  readonly #onConnected: () => void;

  constructor(under: Dispatcher | undefined, fields: readonly (readonly [string, string])[], onConnected: () => void) {
    this.#under = under;
    this.#fields = fields;
    this.#onConnected = onConnected;
  }

  dispatch(options: DispatchOptions, handler: Handler): boolean {
    this.used = true;
    this.headed = false;
    this.#open++;
    for (const [name, value] of this.#fields) addField(options, name, value);
    const under = this.#under ?? globalDispatcher(handler);
    this.#listen(handler);
    return under.dispatch(options, handler);
  }

  /** Ends the attempt, whatever it is doing; before a connection took it, as soon as one does. */
  abort(reason: unknown): void {
    if (this.#aborted !== undefined) return;
    this.#aborted = { reason };
    this.#abort?.(reason);
  }

  /** fetch has given its response: when nothing is open any more, the response is over. */
  returned(): void {
    this.#returned = true;
    if (this.#open === 0) endNow(this.end);
  }

  #started(abort: (reason: unknown) => void): void {
    if (!this.connected) {
      this.connected = true;
      this.#onConnected();
    }
    this.#abort = abort;
  }

  #closed(error: unknown): void {
    this.#open--;
    if (this.#returned && this.#open === 0) endNow(this.end, error);
  }

  /** Overrides methods on the handler itself: it is fetch's own fresh object, and a Proxy around it costs 2-8 us a request. */
  #listen(handler: Handler): void {
    // oxlint-disable-next-line typescript/unbound-method -- each is called with the handler as its `this`, below
    const { onConnect, onHeaders, onComplete, onError, onRequestStart, onResponseStart, onResponseEnd, onResponseError } = handler;
    const tap = this; // oxlint-disable-line typescript/no-this-alias -- the overrides below have the handler as their `this`
    if (onRequestStart === undefined) {
      if (onConnect !== undefined) {
        handler.onConnect = function (abort, ...rest) {
          tap.#started(abort);
          const result: unknown = onConnect.call(this, abort, ...rest);
          if (tap.#aborted !== undefined) abort(tap.#aborted.reason);
          return result;
        };
      }
      handler.onHeaders = function (status, ...rest) {
        tap.headed = status >= 200;
        return onHeaders?.call(this, status, ...rest);
      };
      handler.onComplete = function (...all) {
        const result: unknown = onComplete?.apply(this, all);
        tap.#closed(undefined);
        return result;
      };
      handler.onError = function (error, ...rest) {
        const result: unknown = onError?.call(this, error, ...rest);
        tap.#closed(error);
        return result;
      };
      return;
    }
    handler.onRequestStart = function (controller, ...rest) {
      tap.#started((reason) => controller.abort(reason));
      const result: unknown = onRequestStart.call(this, controller, ...rest);
      if (tap.#aborted !== undefined) controller.abort(tap.#aborted.reason);
      return result;
    };
    handler.onResponseStart = function (controller, status, ...rest) {
      tap.headed = status >= 200;
      return onResponseStart?.call(this, controller, status, ...rest);
    };
    handler.onResponseEnd = function (...all) {
      const result: unknown = onResponseEnd?.apply(this, all);
      tap.#closed(undefined);
      return result;
    };
    handler.onResponseError = function (controller, error, ...rest) {
      const result: unknown = onResponseError?.call(this, controller, error, ...rest);
      tap.#closed(error);
      return result;
    };
  }
}

/** Adds a header field unless the caller has set it. */
function addField(options: DispatchOptions, name: string, value: string): void {
  const { headers } = options;
  if (Array.isArray(headers)) {
    for (let index = 0; index < headers.length; index += 2) if (headers[index]?.toLowerCase() === name) return;
    headers.push(name, value);
  } else if (typeof headers === "object" && headers !== null && !(Symbol.iterator in headers)) {
    for (const key in headers) if (key.length === name.length && key.toLowerCase() === name) return;
    headers[name] = value;
  } else {
    options.headers = { [name]: value };
  }
}
