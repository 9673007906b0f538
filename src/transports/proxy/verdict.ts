// The verdict on the head of a response: what layers make of the attempt.
import { httpOutcome, rpcFailure } from "../../call/classify.ts";
import { Code, rpcCodeOfHttpStatus } from "../../call/codes.ts";
import type { End } from "../../call/end.ts";
import type { Outcome } from "../../call/outcome.ts";
import { parsePushback, parseRetryAfter } from "../../call/retry-after.ts";
import type { Fields } from "../../wire/wire.ts";
import { codeIn, decoded, type RpcStatus, rpcStatus, statusIn } from "./grpc.ts";
import type { Response } from "./response.ts";

/** `end`: its body is to come. */
export function httpVerdict<R>(attempt: R, response: Response, end: End | undefined, discard: (attempt: R) => void): Outcome<R> {
  const { status, retryAfter } = response;
  return httpOutcome(attempt, status, status < 400 ? undefined : parseRetryAfter(retryAfter), end, discard, response);
}

/** A status in the head is the answer of an RPC that has no other; a head without one is the beginning of an answer. */
export function rpcVerdict<R>(attempt: R, response: Response, end: End | undefined, discard: (attempt: R) => void): Outcome<R> {
  const { status, grpcStatus, grpcMessage = "", pushback } = response;
  if (grpcStatus === undefined && status !== 200) {
    const told = rpcStatus(rpcCodeOfHttpStatus(status), `Received HTTP status code ${status}`);
    return { ...rpcFailure(told.code, "answer", told, { status, head: response }), response: attempt, end, discard };
  }
  const told = grpcStatus === undefined ? (end === undefined ? MISSING : undefined) : rpcStatus(codeIn(grpcStatus), decoded(grpcMessage));
  if (told === undefined || told.code === Code.OK) return { ok: true, response: attempt, status, head: response, end, discard };
  const failure = rpcFailure(told.code, "answer", told, { retryAfterMs: parsePushback(pushback), head: response });
  return { ...failure, response: attempt, end, discard };
}

/** An RPC that ended without a status was broken off, in gRPC's eyes. */
export const MISSING: RpcStatus = rpcStatus(Code.INTERNAL, "the upstream ended the RPC without a grpc-status");

/** How an RPC failed behind its head; `undefined`: it did not. */
export function badStatus(trailers: Fields, response: Response | undefined): RpcStatus | undefined {
  const inHead = response?.grpcStatus;
  const status = statusIn(trailers) ?? (inHead === undefined ? MISSING : rpcStatus(Number(inHead), ""));
  return status.code === Code.OK ? undefined : status;
}
