// Tap: a pass-through dispatcher under one `fetch`, which tells when a byte was sent and when the response was over on the wire.
//
// The native Response stays untouched: rebuilding one around a TransformStream costs 25-45 % more CPU a request and loses `url` and `redirected`.
// No undici is imported and nothing crosses its majors: whatever fetch hands over goes to the dispatcher it would have used itself.
import { type End, endNow, newEnd } from "../../call/end.ts";
import { fail, type Handler, type Listener, listen } from "./handler.ts";

type Headers_ = Record<string, string> | string[];

/** What fetch hands to a dispatcher; the fields that we look at. */
interface DispatchOptions {
  /** Where to: each hop of a redirect has its own. */
  origin?: string | URL;
  headers?: Headers_ | Iterable<[string, string]> | null;
}

/** An undici dispatcher, as far as it concerns us. */
export interface Dispatcher {
  dispatch(options: DispatchOptions, handler: Handler): boolean;
  /** True for a MockAgent at work, to which fetch hands the body as the caller gave it. */
  readonly isMockActive?: boolean;
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

/** Sends requests for one origin to an address instead. */
export interface Detour {
  /** The origin that fetch asks for. Redirects to other origins go there. */
  readonly from: string;
  /** The origin of the address. */
  readonly to: string;
  /** What the peer is called in Host; undici takes the name for TLS from there. `undefined`: by its address. */
  readonly host: string | undefined;
}

/** One `fetch` seen from below. A class, since undici's API asks for an object with a `dispatch` method. */
export class Tap implements Dispatcher, Listener {
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
  /** Ends the dispatch that is under way; known once a connection has taken it. */
  #abort: ((reason: unknown) => void) | undefined;
  /** fetch's side of the dispatch under way. */
  #handler: Handler | undefined;
  #aborted: { readonly reason: unknown } | undefined;
  readonly #under: Dispatcher | undefined;
  readonly #fields: readonly (readonly [name: string, value: string])[];
  readonly #onConnected: () => void;
  readonly #detour: Detour | undefined;

  constructor(under: Dispatcher | undefined, fields: readonly (readonly [string, string])[], onConnected: () => void, detour?: Detour) {
    this.#detour = detour;
    this.#under = under;
    this.#fields = fields;
    this.#onConnected = onConnected;
  }

  dispatch(options: DispatchOptions, handler: Handler): boolean {
    this.used = true;
    this.headed = false;
    this.#open++;
    this.#abort = undefined;
    for (const [name, value] of this.#fields) addField(options, name, value);
    const detour = this.#detour;
    const there = detour === undefined ? options : detoured(options, detour);
    const agent = this.#under ?? globalDispatcher(handler);
    this.#handler = handler;
    listen(handler, this);
    if (this.#aborted === undefined) return agent.dispatch(there, handler);
    fail(handler, this.#aborted.reason);
    return true;
  }

  /** What fetch asks before it has a handler, so that the generation is not known: either of the global ones may be the mock. */
  get isMockActive(): boolean {
    const globals = globalThis as unknown as Record<symbol, Dispatcher | undefined>; // the cast: undici keeps its dispatcher there
    if (this.#under !== undefined) return this.#under.isMockActive === true;
    return globals[CURRENT_GLOBAL]?.isMockActive === true || globals[LEGACY_GLOBAL]?.isMockActive === true;
  }

  /** Ends the attempt at once, whatever it is doing. While it has no connection, fetch is told so directly, and undici as soon as it has one. */
  abort(reason: unknown): void {
    if (this.#aborted !== undefined) return;
    this.#aborted = { reason };
    if (this.#abort !== undefined) this.#abort(reason);
    else if (this.#handler !== undefined) fail(this.#handler, reason);
  }

  /** fetch has given its response: when nothing is open any more, the response is over. */
  returned(): void {
    this.#returned = true;
    if (this.#open === 0) endNow(this.end);
  }

  /** A connection has taken the dispatch; `abort` ends it. */
  started(abort: (reason: unknown) => void): void {
    if (!this.connected) {
      this.connected = true;
      this.#onConnected();
    }
    this.#abort = abort;
    if (this.#aborted !== undefined) abort(this.#aborted.reason);
  }

  /** A dispatch is over. */
  closed(error: unknown): void {
    this.#open--;
    if (this.#returned && this.#open === 0) endNow(this.end, error);
  }
}

/** A fetch function that was given the address in its URL asks for that, and has taken out the Host that it was given. */
function detoured(options: DispatchOptions, { from, to, host }: Detour): DispatchOptions {
  const origin = String(options.origin);
  if (origin !== from && origin !== to) return options;
  const there = { ...options, origin: to };
  if (host !== undefined) addField(there, "host", host);
  return there;
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
