// Handler: fetch's side of one dispatch, in the words of either generation of undici; and how to listen to it.
//
// Methods are overridden on the handler itself: it is fetch's own fresh object, and a Proxy around it costs 2-8 us a request. The overrides are the same
// functions for every request, and find what belongs to theirs on the handler: eight closures for each took 700 bytes.

import type { Crossing } from "../../call/crossing.ts";
import { OUTCOME_FIELD } from "../../seam/names.ts";

/** Fetch makes a new one for each dispatch. */
export interface Handler {
  onConnect?(abort: (reason: unknown) => void, context?: unknown): unknown;
  onHeaders?(status: number, headers?: unknown, resume?: unknown, statusText?: unknown): unknown;
  onComplete?(trailers?: unknown): unknown;
  onError?(error: unknown): unknown;
  onRequestStart?(controller: { abort(reason: unknown): void } | undefined, context?: unknown): unknown;
  onResponseStart?(controller: unknown, status: number, headers?: unknown, statusText?: unknown): unknown;
  onResponseEnd?(controller: unknown, trailers?: unknown): unknown;
  onResponseError?(controller: unknown, error: unknown): unknown;
}

/** Who is told how a dispatch goes. */
export interface Listener {
  /** A connection has taken it; `abort` ends it. */
  started(abort: (reason: unknown) => void): void;
  /** The head of a response is there, perhaps of a 1xx. */
  headed: boolean;
  /** The dispatch goes to a sidecar, which is told of its answer. */
  readonly crossing: Crossing | undefined;
  /** It is over; told once. */
  closed(error: unknown): void;
}

/** What belongs to one handler. */
interface Kept {
  readonly listener: Listener;
  /** The handler's own methods, to be called on it. */
  readonly own: Handler;
  /** Handlers may hear of one failure twice, and only the first counts. */
  over: boolean;
}

const KEPT = Symbol("premesh.listener");

type Heard = Handler & { [KEPT]: Kept };

/** Tells the listener how the dispatch goes, from now on. */
export function listen(handler: Handler, listener: Listener): void {
  // oxlint-disable-next-line typescript/unbound-method -- each is called on its handler, below
  const { onConnect, onHeaders, onComplete, onError, onRequestStart, onResponseStart, onResponseEnd, onResponseError } = handler;
  const heard = handler as Heard; // the cast: this makes it one
  if (onRequestStart === undefined) {
    heard[KEPT] = { listener, own: { onConnect, onHeaders, onComplete, onError } as Handler, over: false };
    heard.onConnect = heardConnect;
    heard.onHeaders = heardHeaders;
    heard.onComplete = heardComplete;
    heard.onError = heardError;
  } else {
    heard[KEPT] = { listener, own: { onRequestStart, onResponseStart, onResponseEnd, onResponseError } as Handler, over: false };
    heard.onRequestStart = heardRequestStart;
    heard.onResponseStart = heardResponseStart;
    heard.onResponseEnd = heardResponseEnd;
    heard.onResponseError = heardResponseError;
  }
}

/** Tells fetch that the dispatch has failed. */
export function fail(handler: Handler, reason: unknown): void {
  if (handler.onRequestStart === undefined) handler.onError?.(reason);
  else handler.onResponseError?.(undefined, reason);
}

function close(kept: Kept, error: unknown): void {
  if (kept.over) return;
  kept.over = true;
  kept.listener.closed(error);
}

// undici 6 and 7

function heardConnect(this: Heard, abort: (reason: unknown) => void, context?: unknown): unknown {
  const { own, listener } = this[KEPT];
  const result: unknown = own.onConnect?.call(this, abort, context);
  listener.started(abort);
  return result;
}

function heardHeaders(this: Heard, status: number, headers?: unknown, resume?: unknown, statusText?: unknown): unknown {
  const { own, listener } = this[KEPT];
  listener.headed = status >= 200;
  if (status < 200 || listener.crossing === undefined) return own.onHeaders?.call(this, status, headers, resume, statusText);
  return own.onHeaders?.call(this, answered(listener, status, taken(headers)), headers, resume, statusText);
}

function heardComplete(this: Heard, trailers?: unknown): unknown {
  const result: unknown = this[KEPT].own.onComplete?.call(this, trailers);
  close(this[KEPT], undefined);
  return result;
}

function heardError(this: Heard, error: unknown): unknown {
  const result: unknown = this[KEPT].own.onError?.call(this, error);
  close(this[KEPT], error);
  return result;
}

// undici 8

function heardRequestStart(this: Heard, controller: { abort(reason: unknown): void } | undefined, context?: unknown): unknown {
  const { own, listener } = this[KEPT];
  const result: unknown = own.onRequestStart?.call(this, controller, context);
  listener.started((reason) => controller?.abort(reason));
  return result;
}

function heardResponseStart(this: Heard, controller: unknown, status: number, headers?: unknown, statusText?: unknown): unknown {
  const { own, listener } = this[KEPT];
  listener.headed = status >= 200;
  if (status < 200 || listener.crossing === undefined) return own.onResponseStart?.call(this, controller, status, headers, statusText);
  // fetch goes by the raw fields of the controller, where there are any
  const raw = taken((controller as { rawHeaders?: unknown } | undefined)?.rawHeaders); // the cast: any object can be asked
  const parsed = taken(headers);
  return own.onResponseStart?.call(this, controller, answered(listener, status, raw ?? parsed), headers, statusText);
}

function heardResponseEnd(this: Heard, controller: unknown, trailers?: unknown): unknown {
  const result: unknown = this[KEPT].own.onResponseEnd?.call(this, controller, trailers);
  close(this[KEPT], undefined);
  return result;
}

function heardResponseError(this: Heard, controller: unknown, error: unknown): unknown {
  const result: unknown = this[KEPT].own.onResponseError?.call(this, controller, error);
  close(this[KEPT], error);
  return result;
}

/** Tells a crossing of its answer. Fetch repeats what is answered with 421 by itself, over another connection: a sidecar's own it is not shown. */
function answered({ crossing }: Listener, status: number, outcome: string | undefined): number {
  crossing?.answered(outcome);
  return status === 421 && crossing !== undefined && outcome?.startsWith("unseen") === true ? 503 : status;
}

/** Takes the field for the outcome out of the fields of a response, which are a list of names and values or an object, and gives its value. */
function taken(headers: unknown): string | undefined {
  if (Array.isArray(headers)) {
    let value: string | undefined;
    for (let index = headers.length - 2; index >= 0; index -= 2) {
      const name: unknown = headers[index];
      // names may be bytes; few are as long
      if ((name as string | Uint8Array).length !== OUTCOME_FIELD.length || String(name).toLowerCase() !== OUTCOME_FIELD) continue; // the cast: both have a length
      value = String(headers[index + 1]);
      headers.splice(index, 2);
    }
    return value;
  }
  if (typeof headers !== "object" || headers === null) return undefined;
  const fields = headers as Record<string, unknown>; // the cast: any object can be asked
  const value = fields[OUTCOME_FIELD];
  delete fields[OUTCOME_FIELD];
  return typeof value === "string" ? value : undefined;
}
