// The one place where a status or an error becomes an outcome: layers and telemetry judge by its words and look at nothing else.
import { type Condition, CONDITIONS, GRPC_STATUSES } from "../policy/conditions.ts";
import { PolicyError } from "../policy/error.ts";
import { Code, codeName, codeOfHttpStatus } from "./codes.ts";
import type { End } from "./end.ts";
import type { Failure, Head, Outcome } from "./outcome.ts";
import type { Signal } from "./signal.ts";

const bits = Object.fromEntries(CONDITIONS.map((word, index) => [word, 2 ** index])) as Readonly<Record<Condition, number>>; // the cast: every word has got a bit

const codeBit = (code: Code): number => {
  const name = codeName(code);
  return name === "ok" ? 0 : bits[name];
};

/** A reset, as Envoy counts it: the peer was reached or should have been, and gave no answer. */
const RESET = bits.reset | bits["5xx"] | bits["gateway-error"];

/** The words that fit a connection which was never made. */
const CONNECT_FAILURE = RESET | bits["connect-failure"] | bits["reset-before-request"] | bits.unavailable;

/** The words that fit a stream the peer refused before it worked on it (REFUSED_STREAM, GOAWAY below its id). */
const REFUSED_STREAM = RESET | bits["refused-stream"] | bits.unavailable;

/** The words that fit an attempt that a `timeout` layer ended. Envoy counts it as a local reset. */
export const TIMEOUT: number = RESET | bits.timeout | bits["deadline-exceeded"];

/** The word that fits what an inner layer refused. It is no failure of the peer. */
export const REFUSAL: number = bits.refusal;

/** The word that fits what a rate limit of an Envoy on the way refused. Only a `retry` that is given it repeats such a response, as with Envoy. */
export const RATE_LIMITED: number = bits["envoy-ratelimited"];

/** Present is enough: https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_filters/router_filter#x-envoy-ratelimited */
const rateLimited = (head: Head | undefined): number => ((head?.get("x-envoy-ratelimited") ?? undefined) === undefined ? 0 : RATE_LIMITED);

/** The condition words that fit, for those who have no bits of ours. */
export function wordsOfConditions(conditions: number): readonly Condition[] {
  return CONDITIONS.filter((word) => (conditions & bits[word]) !== 0);
}

/** The same backwards. A word that is not known is none. */
export function conditionsOfWords(words: readonly string[]): number {
  return words.reduce((sum, word) => sum | (Object.hasOwn(bits, word) ? bits[word as Condition] : 0), 0); // the cast: hasOwn has just shown it
}

/** The words that fit an HTTP status of 400 or above. */
export function conditionsOfHttpStatus(status: number): number {
  let words = codeBit(codeOfHttpStatus(status));
  if (status >= 500) words |= bits["5xx"];
  if (status >= 502 && status <= 504) words |= bits["gateway-error"];
  if (status === 409) words |= bits["retriable-4xx"];
  return words;
}

/** The words that fit a gRPC status. */
export function conditionsOfCode(code: Code): number {
  return codeBit(code);
}

/** The outcome of a response with an HTTP status, as peers give them. */
export function httpOutcome<R>(
  response: R,
  status: number,
  retryAfterMs: number | undefined,
  end: End | undefined,
  discard: (response: R) => void,
  head?: Head,
): Outcome<R> {
  if (status < 400) return { ok: true, response, status, head, end, discard };
  const [code, conditions] = [codeOfHttpStatus(status), conditionsOfHttpStatus(status) | rateLimited(head)];
  return { ok: false, code, by: "peer", sent: true, conditions, status, head, response, retryAfterMs, end, discard };
}

/** How far an attempt at an RPC came before it failed: to no connection, to a stream that the peer refused, to a stream that broke, to an answer. */
export type Reached = "nothing" | "refusal" | "break" | "answer";

/**
 * The outcome of an attempt at an RPC that ended with a status other than OK, before its head. `status`: what a proxy on the way answered in HTTP's words,
 * with no word of gRPC's.
 */
export function rpcFailure(
  code: number,
  reached: Reached,
  cause: unknown,
  more: { readonly status?: number | undefined; readonly retryAfterMs?: number | undefined; readonly head?: Head } = {},
): Failure<never> {
  const known = code >= Code.CANCELLED && code <= Code.UNAUTHENTICATED ? (code as Code) : Code.UNKNOWN; // the cast: in range; what is none of gRPC's is not known
  if (reached === "nothing" && known !== Code.UNAVAILABLE && known !== Code.DEADLINE_EXCEEDED)
    return { ...misuseOutcome(cause), code: known };
  const words = { nothing: CONNECT_FAILURE, refusal: REFUSED_STREAM, break: RESET, answer: 0 }[reached];
  const conditions = (known === Code.DEADLINE_EXCEEDED ? 0 : words) | codeBit(known) | httpWords(more.status) | rateLimited(more.head);
  return { ok: false, code: known, by: "peer", sent: reached === "break" || reached === "answer", conditions, cause, ...more };
}

const httpWords = (status: number | undefined): number => (status === undefined || status < 400 ? 0 : conditionsOfHttpStatus(status));

/** Why an attempt over a wire of our own broke off before its head. */
export type Broke = "connect" | "forbidden" | "refused" | "reset" | "protocol" | "too-large" | "slow" | "cancelled";

/** The outcome of an attempt at a request that broke off before its head. `sent`: a connection had taken it. */
export function brokenOutcome(why: Broke, sent: boolean, cause: unknown): Failure<never> {
  if (why === "forbidden") return misuseOutcome(cause);
  if (why === "refused") return { ok: false, code: Code.UNAVAILABLE, by: "peer", sent: false, conditions: REFUSED_STREAM, cause };
  return errorOutcome(cause, sent && why !== "connect");
}

/** The same for an RPC. `h2Code`: what the peer reset the stream with; the statuses are those of gRPC's table (doc/PROTOCOL-HTTP2.md, "Errors"). */
export function brokenRpcOutcome(why: Broke, sent: boolean, h2Code: number | undefined, cause: unknown): Failure<never> {
  if (why === "forbidden") return { ...misuseOutcome(cause), code: Code.UNAVAILABLE };
  if (why === "refused") return rpcFailure(Code.UNAVAILABLE, "refusal", cause);
  if (why === "connect" || !sent) return rpcFailure(Code.UNAVAILABLE, "nothing", cause);
  return rpcFailure(codeOfReset(why, h2Code), "break", cause);
}

/** The status of an RPC whose stream broke off. */
export function codeOfReset(why: Broke, h2Code: number | undefined): Code {
  if (h2Code !== undefined) return codeOfH2[h2Code] ?? Code.INTERNAL;
  return why === "protocol" || why === "too-large" ? Code.INTERNAL : Code.UNAVAILABLE;
}

/** Where it is not INTERNAL: CANCEL, ENHANCE_YOUR_CALM, INADEQUATE_SECURITY, and REFUSED_STREAM, which may come behind a head too. */
const codeOfH2: Readonly<Record<number, Code>> = {
  7: Code.UNAVAILABLE,
  8: Code.CANCELLED,
  11: Code.RESOURCE_EXHAUSTED,
  12: Code.PERMISSION_DENIED,
};

/** Errors of sockets and resolvers that mean: no connection, so nothing was sent. */
const NEVER_CONNECTED = new Set([
  "ECONNREFUSED",
  "ENOTFOUND",
  "EAI_AGAIN",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "EADDRNOTAVAIL",
  "UND_ERR_CONNECT_TIMEOUT",
]);

/**
 * The outcome of an attempt that failed without a response. `sent` false: it is known that no byte left; true: one may have, even if the error is of
 * a connection that was never made (the second hop of a redirect); `undefined`: go by the error.
 */
export function errorOutcome(cause: unknown, sent: boolean | undefined): Failure<never> {
  const by = "peer";
  const chain = causes(cause);
  if (chain.some((error) => error["code"] === "UND_ERR_INVALID_ARG")) return misuseOutcome(cause); // undici would not write such a request
  if (sent === false || (sent === undefined && chain.some((error) => NEVER_CONNECTED.has(String(error["code"]))))) {
    return { ok: false, code: Code.UNAVAILABLE, by, sent: false, conditions: CONNECT_FAILURE, cause };
  }
  if (chain.some((error) => error["code"] === "ERR_HTTP2_STREAM_ERROR" && /REFUSED_STREAM/.test(String(error["message"])))) {
    return { ok: false, code: Code.UNAVAILABLE, by, sent: false, conditions: REFUSED_STREAM, cause };
  }
  return { ok: false, code: Code.UNAVAILABLE, by, sent: true, conditions: RESET | bits.unavailable, cause };
}

/**
 * The outcome of work that threw: a status on the error counts as the peer's (`status`, `statusCode`, `response.status`; gRPC's numeric `code`),
 * a socket's code as a broken connection, and anything else as a reset, an attempt that gave no answer.
 */
export function thrownOutcome(cause: unknown): Failure<never> {
  try {
    return knownOutcome(cause) ?? unknownOutcome(cause);
  } catch {
    return unknownOutcome(cause); // it has a getter that throws
  }
}

const unknownOutcome = (cause: unknown): Failure<never> => ({
  ok: false,
  code: Code.UNKNOWN,
  by: "peer",
  sent: true,
  conditions: RESET | bits.unknown,
  cause,
});

function knownOutcome(cause: unknown): Failure<never> | undefined {
  for (const error of causes(cause)) {
    const status = error["status"] ?? error["statusCode"] ?? (error["response"] as { status?: unknown } | undefined)?.status; // the cast: only read
    if (typeof status === "number" && status >= 400 && status <= 599) {
      return {
        ok: false,
        code: codeOfHttpStatus(status),
        by: "peer",
        sent: true,
        conditions: conditionsOfHttpStatus(status),
        status,
        cause,
      };
    }
    const { code } = error;
    if (typeof code === "number" && "metadata" in error && code >= 1 && code <= GRPC_STATUSES.length) {
      return { ok: false, code: code as Code, by: "peer", sent: true, conditions: conditionsOfCode(code as Code), cause }; // the casts: in range
    }
    if (typeof code === "string" && NEVER_CONNECTED.has(code)) return errorOutcome(cause, false);
  }
  return undefined;
}

/** A mistake in the request itself, found before it was sent: no layer retries or counts it. */
export function misuseOutcome(cause: unknown): Failure<never> {
  return { ok: false, code: Code.INVALID_ARGUMENT, by: "caller", sent: false, conditions: 0, cause };
}

/** The call was ended from outside while it waited for its turn here, so it says nothing about the peer. */
export function gaveUpOutcome(signal: Signal | undefined): Failure<never> {
  const outcome = abortedOutcome(signal);
  return outcome.by === "timeout" ? { ...outcome, conditions: REFUSAL } : outcome;
}

/** The call was ended from outside: by the caller, or by a `timeout` layer further out, as the signal's reason tells. */
export function abortedOutcome(signal: Signal | undefined, sent = false): Failure<never> {
  const cause: unknown = signal?.reason;
  if (cause instanceof PolicyError && cause.code === "ERR_PREMESH_TIMEOUT") {
    return { ok: false, code: Code.DEADLINE_EXCEEDED, by: "timeout", sent, conditions: TIMEOUT, cause, layer: cause.layer };
  }
  return { ok: false, code: Code.CANCELLED, by: "caller", sent, conditions: 0, cause };
}

/** The error and the causes behind it, at most five deep. */
function causes(error: unknown): Record<string, unknown>[] {
  const chain: Record<string, unknown>[] = [];
  for (let inner = error; typeof inner === "object" && inner !== null && chain.length < 5; inner = (inner as { cause?: unknown }).cause) {
    chain.push(inner as Record<string, unknown>); // the casts: any object can be asked for any key
    if (inner instanceof AggregateError)
      chain.push(...inner.errors.filter((one): one is Record<string, unknown> => typeof one === "object" && one !== null));
  }
  return chain;
}

/** Compiles an `on` list into a test of outcomes: one AND for the words, one look-up for numbers. */
export function matcher(
  on: readonly (Condition | number)[],
  statuses: readonly number[] = [],
): (outcome: Outcome<unknown>) => outcome is Failure<unknown> {
  let words = 0;
  const numbers = new Set(statuses);
  for (const one of on) {
    if (typeof one === "number") numbers.add(one);
    else words |= bits[one];
  }
  return (outcome): outcome is Failure<unknown> =>
    !outcome.ok && ((outcome.conditions & words) !== 0 || (outcome.status !== undefined && numbers.has(outcome.status)));
}
