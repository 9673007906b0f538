// Request: a request as it came in, read once: what of it goes on to the upstream, and what is for the proxy.
import type { Exchange, Fields, RequestHead } from "../../wire/wire.ts";
import { Kind, nameOf, nominatedBy, without } from "./field-names.ts";

export interface Request {
  readonly head: RequestHead;
  /** HTTP's method, or an RPC's: `payments.v1.Payments/Charge`. */
  readonly method: string;
  /** What goes on as it is; a list for whoever sends it to add to. */
  readonly plain: string[];
  /** W3C trace context; empty where there is none. */
  readonly trace: Fields;
  /** Envoy's fields, names in lower case; `undefined`: none. */
  readonly envoy: ReadonlyMap<string, string> | undefined;
  /** Our own; `undefined`: none. */
  readonly premesh: ReadonlyMap<string, string> | undefined;
  readonly requestId: string | undefined;
  readonly via: string | undefined;
  readonly forwardedFor: string | undefined;
  readonly forwardedProto: string | undefined;
  readonly grpcTimeout: string | undefined;
  /** How often a retry before us has sent it. */
  readonly previousAttempts: number;
  readonly maxForwards: number | undefined;
  readonly isGrpc: boolean;
}

const NOTHING: Fields = [];

/** Content types of gRPC; `application/grpc-web` is none (https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md). */
export const isGrpcType = (type: string | undefined): boolean =>
  type !== undefined && type.startsWith("application/grpc") && (type.length === 16 || type[16] === "+" || type[16] === ";");

export function readRequest({ head }: Pick<Exchange, "head">): Request {
  const { fields } = head;
  const plain: string[] = [];
  let requestId: string | undefined;
  let via: string | undefined;
  let forwardedFor: string | undefined;
  let forwardedProto: string | undefined;
  let grpcTimeout: string | undefined;
  let previousAttempts: string | undefined;
  let maxForwards: string | undefined;
  let trace: string[] | undefined;
  let connection: string[] | undefined;
  let envoy: Map<string, string> | undefined;
  let premesh: Map<string, string> | undefined;
  let type: string | undefined;
  for (let at = 0; at + 1 < fields.length; at += 2) {
    const spelling = fields[at] ?? "";
    const value = fields[at + 1] ?? "";
    const { kind, lower } = nameOf(spelling);
    if (kind === Kind.PLAIN) plain.push(spelling, value);
    else if (kind === Kind.SEEN) {
      if (lower === "content-type") type = value;
      plain.push(spelling, value);
    } else if (kind === Kind.NOTED) {
      if (lower === "x-request-id") requestId = joined(requestId, value);
      else if (lower === "via") via = joined(via, value);
      else if (lower === "x-forwarded-for") forwardedFor = joined(forwardedFor, value);
      else if (lower === "x-forwarded-proto") forwardedProto = joined(forwardedProto, value);
      else if (lower === "grpc-timeout") grpcTimeout = joined(grpcTimeout, value);
      else if (lower === "grpc-previous-rpc-attempts") previousAttempts = joined(previousAttempts, value);
      else if (lower === "max-forwards") maxForwards = joined(maxForwards, value);
    } else if (kind === Kind.CONNECTION) (connection ??= []).push(value);
    else if (kind === Kind.TRACE) (trace ??= []).push(lower, value);
    else if (kind === Kind.ENVOY) (envoy ??= new Map<string, string>()).set(lower, joined(envoy.get(lower), value));
    else if (kind === Kind.PREMESH) (premesh ??= new Map<string, string>()).set(lower, joined(premesh.get(lower), value));
  }
  const nominated = connection === undefined ? undefined : nominatedBy(connection);
  const kept = (name: string, value: string | undefined): string | undefined => (nominated?.has(name) === true ? undefined : value);
  const isGrpc = head.method === "POST" && isGrpcType(type);
  return {
    head,
    method: isGrpc ? head.path.slice(1) : head.method,
    plain: nominated === undefined ? plain : without(plain, nominated),
    trace: trace === undefined ? NOTHING : nominated === undefined ? trace : without(trace, nominated),
    envoy,
    premesh,
    requestId: kept("x-request-id", requestId),
    via: kept("via", via),
    forwardedFor: kept("x-forwarded-for", forwardedFor),
    forwardedProto: kept("x-forwarded-proto", forwardedProto),
    grpcTimeout: kept("grpc-timeout", grpcTimeout),
    previousAttempts: numeral(kept("grpc-previous-rpc-attempts", previousAttempts)) ?? 0,
    maxForwards: numeral(kept("max-forwards", maxForwards)),
    isGrpc,
  };
}

const joined = (before: string | undefined, value: string): string => (before === undefined ? value : `${before}, ${value}`);

const numeral = (value: string | undefined): number | undefined =>
  value !== undefined && /^\d{1,9}$/.test(value) ? Number(value) : undefined;
