// Tap: a pass-through dispatcher under one `fetch`, which tells when a byte was sent and when the response was over on the wire.
//
// The native Response stays untouched: rebuilding one around a TransformStream costs 25-45 % more CPU a request and loses `url` and `redirected`.
// No undici is imported and nothing crosses its majors: whatever fetch hands over goes to the dispatcher it would have used itself.
import type { Crossing } from "../../call/crossing.ts";
import { type End, endNow, newEnd } from "../../call/end.ts";
import { POLICY_FIELD } from "../../seam/names.ts";
import { agentFor, isEnvProxy } from "./agent.ts";
import { type Dispatcher, type DispatchOptions, globalDispatcher, globalDispatchers, isMocked } from "./dispatcher.ts";
import { fail, type Handler, type Listener, listen } from "./handler.ts";

/** Sends requests for one origin to an address instead. */
export interface Detour {
  /** The origin that fetch asks for. Redirects to other origins go there. */
  readonly from: string;
  /** The origin of the address. */
  readonly to: string;
  /** What the peer is called in Host; undici takes the name for TLS from there. `undefined`: by its address. */
  readonly host: string | undefined;
  /** The address is a sidecar's. */
  readonly crossing?: Crossing;
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
  /** The dispatch under way goes to a sidecar. */
  crossing: Crossing | undefined = undefined;
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
  readonly #sends: { sent: number } | undefined;
  readonly #detour: Detour | undefined;
  readonly #ran: string | undefined;

  /** `sends`: where it counts that a byte has left. `ran`: what a sidecar is told that stands on the way as a proxy: all layers have run. */
  constructor(
    under: Dispatcher | undefined,
    fields: readonly (readonly [string, string])[],
    sends: { sent: number } | undefined,
    detour?: Detour,
    ran?: string,
  ) {
    this.#ran = ran;
    this.#detour = detour;
    this.#under = under;
    this.#fields = fields;
    this.#sends = sends;
  }

  dispatch(options: DispatchOptions, handler: Handler): boolean {
    this.used = true;
    this.headed = false;
    this.#open++;
    this.#abort = undefined;
    for (const [name, value] of this.#fields) addField(options, name, value);
    const detour = this.#detour;
    const taken = detour !== undefined && takes(detour, options);
    const there = taken ? detoured(options, detour) : options;
    const agent = (taken ? this.#crossed(detour, there, handler) : this.#strayed()) ?? this.#under ?? globalDispatcher(handler);
    if (this.#ran !== undefined && this.crossing === undefined && isEnvProxy(agent)) setField(there, POLICY_FIELD, this.#ran);
    this.#handler = handler;
    listen(handler, this);
    if (this.#aborted === undefined) return agent.dispatch(there, handler);
    fail(handler, this.#aborted.reason);
    return true;
  }

  /** What fetch asks before it has a handler. */
  get isMockActive(): boolean {
    return this.#under === undefined ? isMocked() : this.#under.isMockActive === true;
  }

  /** The sidecar's own dispatcher, where the detour leads to one. */
  #crossed({ crossing }: Detour, options: DispatchOptions, handler: Handler): Dispatcher | undefined {
    this.crossing = crossing;
    if (crossing === undefined) return undefined;
    for (const [name, value] of crossing.fields) setField(options, name, value);
    return agentFor(crossing.to, globalDispatchers(handler));
  }

  /** A redirect to another origin goes there straight, as it would without a sidecar. */
  #strayed(): undefined {
    this.crossing = undefined;
    this.#detour?.crossing?.strayed();
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
      if (this.#sends !== undefined) this.#sends.sent++;
    }
    this.#abort = abort;
    if (this.#aborted !== undefined) abort(this.#aborted.reason);
  }

  /** A dispatch is over. Nothing of it is kept: undici's tables keep the tap for longer than that. */
  closed(error: unknown): void {
    this.#open--;
    this.#abort = this.#handler = undefined;
    if (this.#returned && this.#open === 0) endNow(this.end, error);
  }
}

/** A fetch function that was given the address in its URL asks for that, and has taken out the Host that it was given. */
const takes = ({ from, to }: Detour, { origin }: DispatchOptions): boolean => String(origin) === from || String(origin) === to;

function detoured(options: DispatchOptions, { to, host }: Detour): DispatchOptions {
  const there = { ...options, origin: to };
  if (host !== undefined) addField(there, "host", host);
  return there;
}

/** Sets a header field, whatever the caller has set. */
function setField(options: DispatchOptions, name: string, value: string): void {
  const { headers } = options;
  if (Array.isArray(headers)) {
    options.headers = headers.filter((_text, index) => headers[index - (index % 2)]?.toLowerCase() !== name);
  } else if (typeof headers === "object" && headers !== null && !(Symbol.iterator in headers)) {
    for (const key in headers) if (key.length === name.length && key.toLowerCase() === name) delete headers[key];
  }
  addField(options, name, value);
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
