// The verdict on an attempt that failed before its head: how far it came, and so what layers may make of it.
import { misuseOutcome, type Reached, rpcFailure } from "../../call/classify.ts";
import { Code } from "../../call/codes.ts";
import type { Failure } from "../../call/outcome.ts";
import { parsePushback } from "../../call/retry-after.ts";
import { Metadata, Status, type StatusObject } from "./grpc-js.ts";
import { headOf } from "./metadata.ts";

/** `sent`: grpc-js found a connection for it. */
export function verdictOn(status: StatusObject, sent: boolean): Failure<never> {
  const { code, details, metadata } = status;
  const http = /^Received HTTP status code (\d+)$/.exec(details)?.[1];
  if (http !== undefined) return rpcFailure(code, "answer", status, { status: Number(http), head: headOf(metadata) });
  if (!isLocal(status)) {
    const retryAfterMs = parsePushback(metadata.get("grpc-retry-pushback-ms"));
    return rpcFailure(code, "answer", status, { retryAfterMs, head: headOf(metadata) });
  }
  if (OWN_FAULT.test(details)) return { ...misuseOutcome(status), code: Code.RESOURCE_EXHAUSTED };
  const reached: Reached = !sent ? "nothing" : code === Status.UNAVAILABLE && details === REFUSED ? "refusal" : "break";
  return rpcFailure(code, reached, status);
}

/** The outcome of an attempt that could not be made; no layer retries or counts it. */
export const misused = (code: Code, details: string): Failure<never> => ({
  ...misuseOutcome({ code, details, metadata: new Metadata() }),
  code,
});

/** A status that grpc-js made: nothing came from the peer, whose answer has at least a content type (when it has no head before). */
export const isLocal = ({ metadata }: StatusObject): boolean => metadata.get("content-type").length === 0;

/** What grpc-js says of a stream that the server did not take (REFUSED_STREAM, a GOAWAY below its id); a test holds the words. */
const REFUSED = "Stream refused by server";

/** What it says of a message that it would not send. */
const OWN_FAULT = /^(?:Attempted to send message|Failed to write message)/;
