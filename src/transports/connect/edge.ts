// The edge of Connect: an outcome becomes a response or a ConnectError. Connect's codes have gRPC's numbers, as ours do.
import type { CallRecord } from "../../call/call.ts";
import { Code, codeOfHttpStatus } from "../../call/codes.ts";
import type { Failure, Outcome, Reply } from "../../call/outcome.ts";
import { thrown } from "../../call/refusal.ts";
import { PolicyError } from "../../policy/error.ts";
import {
  type Code as ConnectCode,
  ConnectError,
  type ConnectResponse,
  create,
  type DescMethod,
  fromJson,
  type JsonValue,
  type Output,
  type StreamResponse,
} from "./connect-es.ts";

/** The header that says that a `fallback` layer answered; its value is the policy's name. */
const FALLBACK_FIELD = "premesh-fallback";

/** What the metadata of an error says when a layer, and not the peer, ended the call; the same as over gRPC. */
const FIELDS = { by: "premesh-by", policy: "premesh-policy", retryAfterMs: "premesh-retry-after-ms" } as const;

/** The response of the call; a failure is thrown. */
export function connectResult(outcome: Outcome<ConnectResponse>, record: CallRecord, method: DescMethod): ConnectResponse {
  if (!outcome.ok) throw connectError(outcome, record);
  if (outcome.reply !== undefined) return made(outcome.reply, outcome.fallback, method);
  if (outcome.fallback !== undefined) outcome.response.header.set(FALLBACK_FIELD, outcome.fallback);
  return outcome.response;
}

function connectError(failure: Failure<unknown>, record: CallRecord): unknown {
  const error = thrown(failure, record);
  if (error instanceof PolicyError) return refusalError(error, failure.code, failure.by);
  return failure.code === Code.CANCELLED ? ConnectError.from(error, Code.CANCELLED) : error;
}

/** What a layer's word becomes; it stays as the cause. */
export function refusalError(error: PolicyError, code: Code, by: Failure<unknown>["by"]): ConnectError {
  const metadata = new Headers();
  if (by !== "peer" && by !== "caller") {
    metadata.set(FIELDS.by, by);
    if (error.policy !== undefined) metadata.set(FIELDS.policy, error.policy);
    if (error.retryAfterMs !== undefined) metadata.set(FIELDS.retryAfterMs, String(error.retryAfterMs));
  }
  return new ConnectError(error.message, code as ConnectCode, metadata, undefined, error); // the cast: no error has code 0
}

/** The response of a static fallback: its body is the message, or in a list the messages of a stream, as proto3's JSON has them. */
function made({ status, headers, body }: Reply, fallback: string | undefined, method: DescMethod): ConnectResponse {
  const header = new Headers(headers);
  if (fallback !== undefined) header.set(FALLBACK_FIELD, fallback);
  if (status >= 400)
    throw new ConnectError(typeof body === "string" ? body : `HTTP ${status}`, codeOfHttpStatus(status) as ConnectCode, header); // the cast: as above
  const trailer = new Headers();
  if (method.methodKind === "unary")
    return { stream: false, service: method.parent, method: method as never, header, trailer, message: messageOf(method, body) }; // the cast: see above
  const messages = Array.isArray(body) ? body.map((one: unknown) => messageOf(method, one)) : [messageOf(method, body)];
  return { stream: true, service: method.parent, method: method as StreamResponse["method"], header, trailer, message: each(messages) }; // the cast: it is none of the unary ones
}

function messageOf({ name, output }: DescMethod, body: unknown): Output {
  if (body === undefined) return create(output);
  try {
    return fromJson(output, body as JsonValue); // the cast: a policy is JSON
  } catch (error) {
    throw new ConnectError(
      `the fallback's body is no ${output.typeName}, which ${name} gives: write it as the message's JSON`,
      Code.INTERNAL,
      undefined,
      undefined,
      error,
    );
  }
}

async function* each<T>(messages: readonly T[]): AsyncGenerator<T> {
  yield* messages;
}
