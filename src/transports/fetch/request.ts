// Reads what `fetch` was called with: where to and how. Changes nothing of it.
import type { Metadata } from "../../call/call.ts";
import { type End, whenEnded } from "../../call/end.ts";
import type { Signal } from "../../call/signal.ts";

export type FetchFunction = typeof globalThis.fetch;
export type FetchInput = Parameters<FetchFunction>[0];

/** What premesh reads from `init`, beside fetch's own fields. */
export interface PremeshInit {
  /** Use this policy, whatever the matches say. */
  readonly policy?: string;
  /** Whether the call may be sent twice. Default: by its method. */
  readonly idempotent?: boolean;
  /** The key that the policy's `idempotency` layer sends. Default: a fresh one for each call. */
  readonly idempotencyKey?: string;
}

/** fetch's own options, and ours. */
export interface FetchInit extends RequestInit {
  readonly premesh?: PremeshInit;
}

/** The Request among the inputs, whichever library's class it is: more than one undici may be loaded, and a foreign fetch has its own. */
export function requestIn(input: FetchInput): Request | undefined {
  if (typeof input !== "object" || input === null || input instanceof URL) return undefined;
  return input instanceof Request || ("url" in input && "method" in input && "headers" in input && "clone" in input) ? input : undefined;
}

/** The URL of a call, or `undefined` when it is none that fetch sends over HTTP; fetch then says what is wrong with it. */
export function urlOf(input: FetchInput): URL | undefined {
  const text = typeof input === "string" ? input : input instanceof URL ? input.href : (requestIn(input)?.url ?? written(input));
  const url = typeof text === "string" ? URL.parse(text) : null;
  return url?.protocol === "http:" || url?.protocol === "https:" ? url : undefined;
}

/** Any other object is what it says it is, such as the URL of another realm. */
function written(input: { toString(): string } | null): string | undefined {
  try {
    return input?.toString();
  } catch {
    return undefined;
  }
}

/** The port is part of the key even where the URL leaves it out. */
export function hostKey(url: URL): string {
  return url.port === "" ? `${url.hostname}:${url.protocol === "https:" ? 443 : 80}` : url.host;
}

/** The method as fetch normalises it; `patch` too, which fetch leaves as it is, so that policies find it. */
export function methodOf(input: FetchInput, init: RequestInit | undefined): string {
  const method: unknown = init?.method ?? requestIn(input)?.method;
  return typeof method === "string" ? method.toUpperCase() : "GET";
}

/** The signal that the caller has given. One of a polyfill or another realm is followed by one of the runtime, on which layers can rely. */
export function signalOf(input: FetchInput, init: RequestInit | undefined): AbortSignal | undefined {
  const signal = init?.signal === undefined ? requestIn(input)?.signal : (init.signal ?? undefined);
  if (signal === undefined || signal instanceof AbortSignal) return signal;
  return typeof (signal as AbortSignal | null)?.addEventListener === "function" ? following(signal) : undefined; // fetch will say that it is none
}

function following(signal: AbortSignal): AbortSignal {
  const controller = new AbortController();
  const abort = (): void => controller.abort(signal.reason);
  if (signal.aborted) abort();
  else signal.addEventListener("abort", abort, { once: true });
  unfollowing.set(controller.signal, () => signal.removeEventListener("abort", abort));
  return controller.signal;
}

const unfollowing = new WeakMap<Signal, () => void>();

/** Takes our listener off a foreign signal, once it has nothing more to end. */
export function unfollowed(signal: Signal | undefined, end: End | undefined): void {
  const unfollow = signal === undefined ? undefined : unfollowing.get(signal);
  if (unfollow !== undefined) whenEnded(end, unfollow);
}

/** Headers of a call, parsed only when a layer asks. A class, since one is made for every call. */
export class FetchMetadata implements Metadata {
  readonly #input: FetchInput;
  readonly #init: RequestInit | undefined;
  readonly #url: URL;
  #headers: Headers | undefined = undefined;

  constructor(input: FetchInput, init: RequestInit | undefined, url: URL) {
    this.#input = input;
    this.#init = init;
    this.#url = url;
  }

  /** `:path` is the path with the query, as in HTTP/2. */
  get(name: string): string | undefined {
    if (name === ":path") return this.#url.pathname + this.#url.search;
    this.#headers ??= headersOf(this.#input, this.#init);
    return this.#headers.get(name) ?? undefined;
  }
}

function headersOf(input: FetchInput, init: RequestInit | undefined): Headers {
  try {
    return new Headers(init?.headers ?? requestIn(input)?.headers);
  } catch {
    return new Headers(); // fetch will say what is wrong with them
  }
}
