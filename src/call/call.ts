// Call: one logical call on its way through the layers; and what layers are made of.
import type { Direction } from "../policy/matching.ts";
import type { LayerDefinition } from "../policy/policy.ts";
import type { Address } from "./address.ts";
import type { Crosses, Crossing } from "./crossing.ts";
import type { Orders } from "./orders.ts";
import type { Incoming } from "./incoming.ts";
import type { Outcome } from "./outcome.ts";
import type { Signal } from "./signal.ts";

/** Header fields as the transport has them. Names are in lower case. Over HTTP `:path` is the path with its query, as HTTP/2 words it. */
export interface Metadata {
  get(name: string): string | undefined;
}

/** A field that a layer has added; a list from the newest to the oldest. */
export interface AddedField {
  readonly name: string;
  readonly value: string;
  readonly before: AddedField | undefined;
}

/** By which way a call came in. */
export type Protocol = "http" | "grpc" | "connect" | "run";

/** That an attempt was given an address; a list from the newest to the oldest. */
export interface Visit {
  readonly address: Address;
  /** Which attempt of the call it was. */
  readonly nth: number;
  readonly before: Visit | undefined;
}

/** What is written down about a call while it runs; one for the call and all its attempts. */
export interface CallRecord {
  readonly policy: string;
  readonly revision: string;
  /** The layers of the policy, as they were when the call began. */
  readonly layers: readonly LayerDefinition[];
  readonly protocol: Protocol;
  readonly direction: Direction;
  readonly target: string;
  readonly method: string;
  /** On the clock of `Env.now`. */
  readonly startedAt: number;
  /** The same on both sides of a seam, where one was needed. */
  id: string | undefined;
  /** What became of it at a seam, latest: it went over, or the layers behind ran here, since its transport cannot or there was no sidecar. */
  seam: "crossed" | "cannot-cross" | "stayed" | undefined;
  /** How often it was sent. */
  attempts: number;
  /** The highest number that an attempt was given; layers take the next from here, since several may be under way. */
  numbered: number;
  /** How often a byte of it may have left: an attempt that found no connection is not in here. */
  sent: number;
  /** What layers decided, where they did more than pass it on. */
  decisions: Decision[] | undefined;
  /** Where a `route` layer has sent it. */
  visits: Visit | undefined;
  /** How the call came out, in words, once it has. Words only: whoever waits for the end of a response holds the record, and so would hold the response. */
  cameOut: string | undefined;
  /** How long that took, in milliseconds: until the head of the response. */
  tookMs: number | undefined;
}

/** One decision of a layer about a call. */
export interface Decision {
  /** The layer's `name`, else its kind. */
  readonly layer: string;
  readonly kind: LayerDefinition["kind"];
  /** Its place in the list of layers, from 0. */
  readonly index: number;
  /** What it decided, in a word of the layer's own: `refused`, `retrying`. */
  readonly what: string;
  readonly attempt: number;
  /** When, in milliseconds since the call began; 0 where no call was behind it. */
  readonly atMs: number;
  /** Numbers behind the decision. */
  readonly detail?: Readonly<Record<string, unknown>>;
}

/** A decision as a layer reports it: its place and the time are added on the way. The attempt is that of the call unless the layer says otherwise. */
export type Report = Omit<Decision, "attempt" | "index" | "atMs"> & { readonly attempt?: number };

/** How attempts of a call show up in a trace; put on the call by the `trace` layer. */
export interface AttemptTracer {
  /** Begins one attempt. `attributes`: what the transport knows of it, by OpenTelemetry's names. */
  start(call: Call, attributes: Readonly<Record<string, string | number>>): AttemptSpan;
}

export interface AttemptSpan {
  /** Fields to send along: W3C trace context. */
  readonly fields: readonly (readonly [name: string, value: string])[];
  /** Runs what sends the attempt, so that spans opened in it stand beneath this one. */
  within<T>(send: () => T): T;
  end<R>(outcome: Outcome<R>): void;
}

/** Why an attempt is sent: it is the first, one before it has failed, or one under way is slow. */
export type AttemptType = "initial" | "retry" | "hedge";

/** The body and whatever else belongs to the transport. */
export interface Payload {
  /** Whether it can be sent again; a streamed body that has outgrown its buffer cannot. */
  readonly replayable: boolean;
  /** The caller has not yet given all of it; absent where it always has. */
  readonly unfinished?: boolean;
  /** What a trusted caller asks of the layers. */
  readonly orders?: Orders | undefined;
  /** Asks that a streamed body be kept, up to so many bytes, so that it can be sent again. `overflowed`: the attempt under way is the last for that. */
  keep?(bytes: number, overflowed?: (call: Call, bytes: number) => void): void;
  /**
   * Gives a payload with the same body for a send beside the call, which neither the call nor its caller's abort touches: at once, when all of the body
   * has come, or with the call's outcome. `undefined`: its body is gone, or longer than so many bytes. Absent: this transport cannot.
   */
  copy?(bytes: number, given: (copy: Payload | undefined) => void): void;
  /** It has come in from elsewhere and is answered here; absent for calls that go out. */
  readonly incoming?: Incoming | undefined;
}

/** One logical call. Readonly; a layer that changes it passes a changed copy on. */
export interface Call {
  readonly target: string;
  /** Another origin than the caller's, when a layer sends it elsewhere. */
  readonly origin: string | undefined;
  /** The address that a `route` layer has picked for it; `undefined`: what the name of the target stands for. */
  readonly endpoint: Address | undefined;
  /** What the peer is called in Host, `:authority` and TLS; `undefined`: by the name of the target. */
  readonly authority: string | undefined;
  /** HTTP method, or a gRPC method: `payments.v1.Payments/Charge`. */
  readonly method: string;
  readonly metadata: Metadata;
  /** Fields that layers have added. */
  readonly added: AddedField | undefined;
  /** Which attempt this is; 1 is the first. */
  readonly attempt: number;
  readonly type: AttemptType;
  /** When it must be over, on the clock of `Env.now`; `Infinity`: never. */
  readonly deadline: number;
  /** When its response must have ended, on the same clock; later than `deadline` where a `timeout` waits for the head only. */
  readonly endBy: number;
  readonly signal: Signal | undefined;
  /** What is known of sending it twice: yes (a key, or the caller's word), no (the caller's word), or go by the method. */
  readonly idempotent: boolean | undefined;
  /** The key that the caller gave for it. */
  readonly idempotencyKey: string | undefined;
  readonly payload: Payload;
  readonly record: CallRecord;
  readonly tracer: AttemptTracer | undefined;
  /** Sends one attempt; never rejects. */
  readonly send: (call: Call) => Promise<Outcome<unknown>>;
  /** How its transport brings it over a seam; `undefined`: it cannot. */
  readonly crosses: Crosses | undefined;
  /** It goes to a sidecar, and not to its target. */
  readonly crossing: Crossing | undefined;
}

/** What a transport knows of a call that begins. */
export type NewCall = Pick<Call, "record" | "metadata" | "signal" | "payload" | "send"> & {
  /** Absent: nothing is known. */
  readonly idempotent?: boolean | undefined;
  /** Absent: none. */
  readonly idempotencyKey?: string | undefined;
  /** Absent: never. */
  readonly deadline?: number;
  /** Absent: its transport cannot. */
  readonly crosses?: Crosses;
};

/** A call before its first layer. */
export function newCall(call: NewCall): Call {
  const { record, metadata, signal, idempotent, idempotencyKey, payload, send, crosses, deadline = Number.POSITIVE_INFINITY } = call;
  return {
    target: record.target,
    origin: undefined,
    endpoint: undefined,
    authority: undefined,
    method: record.method,
    metadata,
    added: undefined,
    attempt: 1,
    type: "initial",
    deadline,
    endBy: deadline,
    signal,
    idempotent,
    idempotencyKey,
    payload,
    record,
    tracer: undefined,
    send,
    crosses,
    crossing: undefined,
  };
}

/** What follows a layer. It never rejects. */
export type Next<R> = (call: Call) => Promise<Outcome<R>>;

/** A layer, with its state, before it knows what follows; applied once per stack, never per call. */
export type Layer = <R>(next: Next<R>) => Next<R>;

/** The value of a field: what layers have added, else what the caller sent. `name` in lower case. */
export function fieldOf(call: Call, name: string): string | undefined {
  for (let field = call.added; field !== undefined; field = field.before) if (field.name === name) return field.value;
  return call.metadata.get(name);
}

/** The call with a field more. `name` in lower case. */
export function withField(call: Call, name: string, value: string): Call {
  return { ...call, added: { name, value, before: call.added } };
}

/** The number of a further attempt. */
export function nextAttempt(record: CallRecord): number {
  return ++record.numbered;
}
