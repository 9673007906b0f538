// What a ConnectError says about an attempt, in the words of call/classify.ts.
import { errorOutcome, misuseOutcome, rpcFailure } from "../../call/classify.ts";
import type { Failure } from "../../call/outcome.ts";
import { parsePushback, parseRetryAfter } from "../../call/retry-after.ts";
import { ConnectError } from "./connect-es.ts";

/** Codes of errors that sockets, HTTP parsers and streams of Node give, and undici. */
const CONNECTION_ERROR = /^(?:E[A-Z]+(?:_[A-Z]+)?|ERR_(?:HTTP2|STREAM|SSL|TLS)_\w+|UND_ERR_\w+|HPE_\w+)$/;

/** How connect-node words an HTTP/2 stream that was reset, or that ended before its response. */
const STREAM_RESET = /^http\/2 stream closed with error code (\w+)/;

/** How Connect words a message that it cannot write. */
const UNWRITABLE = /^serialize (?:binary|JSON): /;

/** The outcome of an attempt that failed with this error, which becomes its cause. */
export function failureOf(error: unknown): Failure<never> {
  if (!(error instanceof ConnectError)) return misuseOutcome(error); // Connect makes a ConnectError of all that happens once it has begun to send
  if (codesBehind(error).some((code) => CONNECTION_ERROR.test(code))) return errorOutcome(error, undefined);
  if (UNWRITABLE.test(error.rawMessage)) return misuseOutcome(error);
  const { code, metadata } = error;
  const reset = STREAM_RESET.exec(error.rawMessage)?.[1];
  if (reset !== undefined) return rpcFailure(code, reset === "REFUSED_STREAM" ? "refusal" : "break", error);
  return rpcFailure(code, "answer", error, { retryAfterMs: pushbackOf(metadata), head: metadata });
}

/** gRPC's word for it, or HTTP's: errors of the Connect protocol come with the headers of their response. */
function pushbackOf(metadata: Headers): number | undefined {
  const pushback = metadata.get("grpc-retry-pushback-ms");
  return parsePushback(pushback === null ? [] : [pushback]) ?? parseRetryAfter(metadata.get("retry-after"));
}

/** The codes of an error's causes that are words, at most five deep. */
function codesBehind(error: unknown): string[] {
  const codes: string[] = [];
  for (let inner = error, depth = 0; inner instanceof Error && depth < 5; inner = inner.cause, depth++) {
    const { code } = inner as { code?: unknown }; // the cast: any error can be asked
    if (typeof code === "string") codes.push(code);
    if (inner instanceof AggregateError) codes.push(...inner.errors.flatMap(codesBehind));
  }
  return codes;
}
