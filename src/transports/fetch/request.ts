// Reads what `fetch` was called with: where to, how, and whether its body can be sent again. Changes nothing of it.
import { isErrored } from "node:stream";
import type { Metadata, Payload } from "../../call/call.ts";
import { newReplay, type Replay } from "../../call/replay.ts";
import type { Dispatcher } from "./tap.ts";

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
  const url = typeof text === "string" && URL.canParse(text) ? new URL(text) : undefined;
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

/** The signal that the caller has given. */
export function signalOf(input: FetchInput, init: RequestInit | undefined): AbortSignal | undefined {
  const signal = init?.signal === undefined ? requestIn(input)?.signal : (init.signal ?? undefined);
  return typeof signal?.addEventListener === "function" ? signal : undefined; // fetch will say that it is none
}

export interface FetchPayload extends Payload {
  readonly input: FetchInput;
  readonly init: FetchInit | undefined;
  readonly url: URL;
  /** The caller's own signal, which fetch hears without us. */
  readonly signal: AbortSignal | undefined;
  readonly dispatcher: Dispatcher | undefined;
  /** What the next attempt sends as its body; `undefined`: what input and init say. `elsewhere`: not to where the input says. */
  body(elsewhere: boolean): ReadableStream<Uint8Array> | Uint8Array | undefined;
  /** The body's own stream failed; the peer is not to blame. */
  readonly bodyFailed: boolean;
  /** No further attempt will come. `unanswered`: the last one gave no response, and `why`: a body that was never sent is cancelled with that. */
  settle(unanswered: boolean, why?: unknown): void;
}

/** Body kinds that fetch can read again and again. */
const once = (body: unknown): body is ReadableStream | AsyncIterable<Uint8Array> =>
  typeof body === "object" && body !== null && (body instanceof ReadableStream || Symbol.asyncIterator in body) && !(body instanceof Blob);

/** Fields of `init` that fetch reads, from wherever they are inherited. */
const FIELDS = [
  "body",
  "cache",
  "credentials",
  "dispatcher",
  "duplex",
  "headers",
  "integrity",
  "keepalive",
  "method",
  "mode",
  "priority",
  "redirect",
  "referrer",
  "referrerPolicy",
  "signal",
  "window",
] as const;

/** `init` as an object that can be copied: a Request or another object with getters may stand in its place. */
function copyable(init: FetchInit | undefined): FetchInit | undefined {
  if (typeof init !== "object" || init === null) return init;
  const prototype: unknown = Object.getPrototypeOf(init);
  if (prototype === Object.prototype || prototype === null) return init;
  const fields = FIELDS.map((name) => [name, (init as Record<string, unknown>)[name]] as const); // the cast: any object can be asked for any field
  return { ...init, ...Object.fromEntries(fields.filter(([, value]) => value !== undefined)) };
}

/** What a Request would lose by any init beside it, though there was none: with one, fetch forgets the referrer. */
function referring({ referrer, referrerPolicy }: Request): FetchInit | undefined {
  return referrer === "about:client" && referrerPolicy === "" ? undefined : { referrer, referrerPolicy };
}

export function payloadOf(input: FetchInput, init: FetchInit | undefined, url: URL, signal: AbortSignal | undefined): FetchPayload {
  let bound = 0;
  let replay: Replay | undefined;
  let attempts = 0;
  const given = init?.body;
  // without `duplex` fetch refuses the stream, with its own words
  const streamed =
    once(given) && (init as { duplex?: string } | undefined)?.duplex === "half" && !(given instanceof ReadableStream && given.locked);
  const asked = requestIn(input);
  const whole = asked !== undefined && asked.body !== null && !asked.bodyUsed && !asked.body.locked;
  const request = (given ?? undefined) === undefined && whole ? asked : undefined;

  return {
    input,
    init:
      asked === undefined || (init !== undefined && init !== null && Object.keys(init).some((key) => key !== "premesh"))
        ? copyable(init)
        : referring(asked),
    url,
    signal,
    dispatcher: dispatcherOf(input, init),
    get replayable() {
      if (replay !== undefined) return replay.replayable;
      return (!once(given) && request === undefined) || attempts === 0;
    },
    get bodyFailed() {
      if (replay?.failed === true) return true;
      const stream = given ?? request?.body;
      return stream instanceof ReadableStream && isErrored(stream as unknown as NodeJS.ReadableStream); // the cast: its type forgets web streams
    },
    keep: (bytes) => {
      bound = Math.max(bound, bytes);
    },
    body: (elsewhere) => {
      attempts++;
      // a stream that is sent once is left alone; an iterable is not, since nothing else tells that it has failed
      if (streamed && (bound > 0 || replay !== undefined || !(given instanceof ReadableStream))) {
        replay ??= newReplay(sourceOf(given), bound);
        return replay.open();
      }
      if (request === undefined || (bound === 0 && !elsewhere)) return undefined;
      if (replay === undefined && !elsewhere) {
        // The first attempt sends the Request itself, since only fetch knows the length of its body; a clone is kept for the others.
        const { body } = request.clone();
        if (body !== null) replay = newReplay(sourceOf(body), bound);
        replay?.readAhead();
        return undefined;
      }
      replay ??= newReplay(sourceOf(request.body ?? new ReadableStream()), bound);
      return replay.whole() ?? replay.open();
    },
    settle: (unanswered, why) => {
      replay?.settle(unanswered);
      const unsent = attempts === 0 && unanswered ? (given ?? request?.body) : undefined;
      if (unsent instanceof ReadableStream && !unsent.locked) void unsent.cancel(why).catch(() => undefined);
    },
  };
}

function sourceOf(body: ReadableStream | AsyncIterable<unknown>): { next(): Promise<IteratorResult<unknown>>; return?(): unknown } {
  if (!(body instanceof ReadableStream)) return body[Symbol.asyncIterator]();
  const reader: ReadableStreamDefaultReader<unknown> = body.getReader();
  return {
    next: async () => {
      const { done, value } = await reader.read();
      return { done, value } as IteratorResult<unknown>; // the cast: the two types differ in name only
    },
    return: () => reader.cancel(),
  };
}

/** The dispatcher that the caller has chosen, in init or when making the Request. */
function dispatcherOf(input: FetchInput, init: FetchInit | undefined): Dispatcher | undefined {
  const chosen = (init as { dispatcher?: Dispatcher } | undefined)?.dispatcher; // the cast: undici's own extension of RequestInit
  const request = requestIn(input);
  if (chosen !== undefined || request === undefined) return chosen;
  const kept = Object.getOwnPropertySymbols(request).find(({ description }) => description === "dispatcher");
  return kept === undefined ? undefined : (request as unknown as Record<symbol, Dispatcher>)[kept]; // the cast: undici keeps it under its own symbol
}

/** Headers of a call, parsed only when a layer asks. */
export function metadataOf(input: FetchInput, init: RequestInit | undefined): Metadata {
  let headers: Headers | undefined;
  return {
    get: (name) => {
      headers ??= headersOf(input, init);
      return headers.get(name) ?? undefined;
    },
  };
}

function headersOf(input: FetchInput, init: RequestInit | undefined): Headers {
  try {
    return new Headers(init?.headers ?? requestIn(input)?.headers);
  } catch {
    return new Headers(); // fetch will say what is wrong with them
  }
}
