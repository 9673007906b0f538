// Makes the payload of a fetch: what its attempts send, and what of it can be sent again.
import { copied, type FetchPayload, once, oncePayload, type Sent } from "./once.ts";
import { type FetchInit, type FetchInput, requestIn } from "./request.ts";
import type { Dispatcher } from "./dispatcher.ts";

/** A body that fetch can read again and again asks for nothing. */
const nothing = (): undefined => undefined;

export function payloadOf(input: FetchInput, init: FetchInit | undefined, url: URL, signal: AbortSignal | undefined): FetchPayload {
  const request = requestIn(input);
  const given: unknown = init?.body ?? undefined;
  const dispatcher = dispatcherOf(request, init);
  if (request === undefined && !once(given)) return plain({ input, init: copyable(init), url, signal, dispatcher });
  const sent: Sent = {
    input,
    init: request === undefined || hasFields(init) ? copyable(init) : referring(request),
    url,
    signal,
    dispatcher,
  };
  const unread = request !== undefined && request.body !== null && !request.bodyUsed && !request.body.locked;
  if (once(given) || (given === undefined && unread)) return oncePayload(sent, given, given === undefined ? request : undefined);
  return plain(sent);
}

const plain = ({ input, init, url, signal, dispatcher }: Sent): FetchPayload => ({
  input,
  init,
  url,
  signal,
  dispatcher,
  replayable: true,
  bodyFailed: false,
  body: nothing,
  copy: copyPlain,
  settle: nothing,
});

function copyPlain(this: FetchPayload, _bytes: number, given: (copy: FetchPayload) => void): void {
  given(copied(this));
}

/** Whether there is anything in `init` for fetch. */
const hasFields = (init: FetchInit | undefined): boolean =>
  typeof init === "object" && init !== null && Object.keys(init).some((key) => key !== "premesh");

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

/** The dispatcher that the caller has chosen, in init or when making the Request. */
function dispatcherOf(request: Request | undefined, init: FetchInit | undefined): Dispatcher | undefined {
  const chosen = (init as { dispatcher?: Dispatcher } | undefined)?.dispatcher; // the cast: undici's own extension of RequestInit
  if (chosen !== undefined || request === undefined) return chosen;
  const kept = Object.getOwnPropertySymbols(request).find(({ description }) => description === "dispatcher");
  return kept === undefined ? undefined : (request as unknown as Record<symbol, Dispatcher>)[kept]; // the cast: undici keeps it under its own symbol
}
