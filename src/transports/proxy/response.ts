// Response: the head of an upstream's response, read once: what of it goes on to the client, and what the layers are to know.
import type { Head } from "../../call/outcome.ts";
import type { Fields, ResponseHead } from "../../wire/wire.ts";
import { Kind, nameOf, nominatedBy, valueOf, without } from "./field-names.ts";
import { isGrpcType } from "./request.ts";

export interface Response extends Head {
  readonly status: number;
  /** What goes on as it is; a list for whoever sends it to add to. */
  readonly plain: string[];
  /** What a proxy says anew to its clients; the other side of a seam, which is none, gets it as it is. */
  readonly replaced: Fields;
  readonly via: string | undefined;
  readonly hasDate: boolean;
  readonly isGrpc: boolean;
  readonly retryAfter: string | undefined;
  readonly grpcStatus: string | undefined;
  readonly grpcMessage: string | undefined;
  readonly pushback: readonly string[];
}

const NONE: readonly string[] = [];

export function readResponse({ status, fields }: ResponseHead): Response {
  const plain: string[] = [];
  let connection: string[] | undefined;
  let replaced: string[] | undefined;
  let via: string | undefined;
  let hasDate = false;
  let isGrpc = false;
  let retryAfter: string | undefined;
  let grpcStatus: string | undefined;
  let grpcMessage: string | undefined;
  let pushback: string[] | undefined;
  for (let at = 0; at + 1 < fields.length; at += 2) {
    const spelling = fields[at] ?? "";
    const value = fields[at + 1] ?? "";
    const { kind, lower } = nameOf(spelling);
    if (kind === Kind.PLAIN || kind === Kind.TRACE) plain.push(spelling, value);
    else if (kind === Kind.CONNECTION) (connection ??= []).push(value);
    else if (kind === Kind.SEEN) {
      plain.push(spelling, value);
      if (lower === "date") hasDate = true;
      else if (lower === "content-type") isGrpc = isGrpcType(value);
      else if (lower === "retry-after") retryAfter ??= value;
      else if (lower === "grpc-status") grpcStatus = value;
      else if (lower === "grpc-message") grpcMessage = value;
      else if (lower === "grpc-retry-pushback-ms") (pushback ??= []).push(value);
    } else if (kind === Kind.NOTED) {
      if (lower === "via") via = via === undefined ? value : `${via}, ${value}`;
      if (lower === "via" || lower === "x-request-id") (replaced ??= []).push(spelling, value);
      else plain.push(spelling, value);
    } else if (kind === Kind.ENVOY && lower !== "x-envoy-upstream-service-time") plain.push(spelling, value);
    else if (kind === Kind.ENVOY) (replaced ??= []).push(spelling, value);
  }
  const nominated = connection === undefined ? undefined : nominatedBy(connection);
  return {
    status,
    plain: nominated === undefined ? plain : without(plain, nominated),
    replaced: replaced ?? NONE,
    via: nominated?.has("via") === true ? undefined : via,
    hasDate: hasDate && nominated?.has("date") !== true,
    isGrpc,
    retryAfter,
    grpcStatus,
    grpcMessage,
    pushback: pushback ?? NONE,
    get: valueIn,
  };
}

/** For layers that ask. One function for all responses. */
function valueIn(this: Response, name: string): string | undefined {
  return valueOf(this.plain, name);
}

const isPassed = (spelling: string): boolean => {
  const { kind } = nameOf(spelling);
  return kind !== Kind.HOP && kind !== Kind.CONNECTION && kind !== Kind.PREMESH;
};

/** Trailers, or the fields of an interim response, as they go on. */
export function passedOn(fields: Fields): Fields {
  for (let at = 0; at < fields.length; at += 2) {
    if (!isPassed(fields[at] ?? "")) return fields.filter((_, index) => isPassed(fields[index - (index % 2)] ?? ""));
  }
  return fields;
}
