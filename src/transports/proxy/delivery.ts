// Delivery: the response of the attempt that a call has settled on, on its way to the client.
import type { CallRecord } from "../../call/call.ts";
import { Code, codeName } from "../../call/codes.ts";
import type { Failure, Outcome } from "../../call/outcome.ts";
import { thrown } from "../../call/refusal.ts";
import type { FarCall } from "../../seam/call-field.ts";
import type { Destination, Exchange, Fields } from "../../wire/wire.ts";
import type { Attempt } from "./attempt.ts";
import { responseFields } from "./common-fields.ts";
import type { Context } from "./context.ts";
import { CLIENT_LEFT, DEADLINE, type Why, whyCut } from "./flags.ts";
import { codeIn, statusFields, statusIn } from "./grpc.ts";
import type { Sink } from "./relay.ts";
import type { Request } from "./request.ts";
import { passedOn } from "./response.ts";
import { outcomeField } from "./seam.ts";
import { MISSING } from "./verdict.ts";

/** The call whose response it is. */
export interface Client {
  readonly context: Context;
  readonly exchange: Exchange;
  readonly request: Request;
  readonly requestId: string;
  readonly record: CallRecord;
  readonly to: Destination;
  /** It came over a seam, whose other side is no client but a part of the call: it gets the response as it is. */
  readonly far: FarCall | undefined;
  /** It has gone. */
  readonly left: boolean;
  /** Its own deadline has passed. */
  readonly expired: boolean;
  /** The delivery is over. */
  delivered(why: Why, delivery: Delivery): void;
}

/** A class, since there is one for every call. */
export class Delivery implements Sink {
  readonly attempt: Attempt;
  readonly status: number;
  /** Bytes of the body that went to the client. */
  sent = 0;
  grpcStatus: number | undefined = undefined;
  readonly #client: Client;
  readonly #why: Why;

  /** `why`: what was out of order before, if nothing is from now on. */
  constructor(client: Client, attempt: Attempt, why: Why) {
    this.#client = client;
    this.attempt = attempt;
    this.status = attempt.response?.status ?? 0;
    this.#why = why;
  }

  begin(outcome: Outcome<unknown>): void {
    const { fallback, end } = outcome;
    const { exchange, context, requestId, request, to, far, record } = this.#client;
    const { response, serviceMs, nth } = this.attempt;
    if (response === undefined) return;
    const { status, grpcStatus } = response;
    const fields =
      far === undefined
        ? responseFields(response, context, requestId, to.version, serviceMs)
        : [...response.plain, ...response.replaced, ...outcomeField(outcome, record, far, this.attempt.call.origin)];
    if (fallback !== undefined && far === undefined) fields.push("premesh-fallback", fallback);
    if (request.isGrpc && nth > 1 && far === undefined) fields.push("grpc-previous-rpc-attempts", String(nth - 1));
    const ended = end === undefined;
    if (ended && request.isGrpc && grpcStatus === undefined && status === 200) fields.push(...this.#missing());
    if (grpcStatus !== undefined) this.grpcStatus = codeIn(grpcStatus);
    exchange.respond({ status, fields }, ended);
    this.attempt.deliver(this);
    if (ended) this.#finish(undefined);
  }

  body(chunk: Uint8Array): boolean {
    this.sent += chunk.byteLength;
    return this.#client.exchange.write(chunk);
  }

  ended(trailers: Fields): void {
    const { exchange, request } = this.#client;
    const passed = passedOn(trailers);
    if (!request.isGrpc) exchange.end(passed);
    else {
      const status = statusIn(passed);
      if (status !== undefined) this.grpcStatus = status.code;
      exchange.end(this.grpcStatus === undefined && this.status === 200 ? [...passed, ...this.#missing()] : passed);
    }
    this.#finish(undefined);
  }

  halfClosed(): void {
    this.#client.exchange.end();
  }

  cut(cut: Failure<never>): void {
    const { exchange, request, record, left, expired } = this.#client;
    if (left) return this.#client.delivered(CLIENT_LEFT, this);
    if (request.isGrpc && this.grpcStatus === undefined) {
      const { code, message } = expired ? { code: Code.DEADLINE_EXCEEDED, message: "the client's deadline has passed" } : told(cut, record);
      exchange.end(statusFields(code, message));
      this.grpcStatus = code;
    } else exchange.reset("reset");
    this.#finish(expired ? DEADLINE : whyCut(cut));
  }

  #missing(): string[] {
    this.grpcStatus = MISSING.code;
    return statusFields(Code.INTERNAL, MISSING.details);
  }

  #finish(cut: Why | undefined): void {
    const { record } = this.#client;
    const { grpcStatus } = this;
    if (grpcStatus !== undefined && grpcStatus !== Code.OK && record.cameOut === "ok") record.cameOut = `ok, then ${nameOf(grpcStatus)}`;
    this.#client.delivered(cut ?? this.#why, this);
  }
}

/** `internal`; a server may send what is no code of gRPC's. */
const nameOf = (status: number): string =>
  status >= Code.OK && status <= Code.UNAUTHENTICATED ? codeName(status as Code) : String(status); // the cast: in range

/** What an RPC is told that was cut. */
function told(cut: Failure<never>, record: CallRecord): { readonly code: Code; readonly message: string } {
  const cause = thrown(cut, record);
  return { code: cut.code, message: cause instanceof Error ? cause.message : String(cause) };
}
