// gRPC's status codes: the one vocabulary into which every edge translates its own.
import { GRPC_STATUSES, type GrpcStatus } from "../policy/conditions.ts";

/** gRPC status codes (https://grpc.io/docs/guides/status-codes/). */
export const Code = {
  OK: 0,
  CANCELLED: 1,
  UNKNOWN: 2,
  INVALID_ARGUMENT: 3,
  DEADLINE_EXCEEDED: 4,
  NOT_FOUND: 5,
  ALREADY_EXISTS: 6,
  PERMISSION_DENIED: 7,
  RESOURCE_EXHAUSTED: 8,
  FAILED_PRECONDITION: 9,
  ABORTED: 10,
  OUT_OF_RANGE: 11,
  UNIMPLEMENTED: 12,
  INTERNAL: 13,
  UNAVAILABLE: 14,
  DATA_LOSS: 15,
  UNAUTHENTICATED: 16,
} as const;

export type Code = (typeof Code)[keyof typeof Code];

/** The code of a status name. */
export function codeOf(name: GrpcStatus): Code {
  return (GRPC_STATUSES.indexOf(name) + 1) as Code; // the cast: the list is in the order of the numbers
}

/** The name of a code: `unavailable`. */
export function codeName(code: Code): GrpcStatus | "ok" {
  return GRPC_STATUSES[code - 1] ?? "ok";
}

const httpOf: { readonly [C in Code]: number } = {
  0: 200,
  1: 499,
  2: 500,
  3: 400,
  4: 504,
  5: 404,
  6: 409,
  7: 403,
  8: 429,
  9: 400,
  10: 409,
  11: 400,
  12: 501,
  13: 500,
  14: 503,
  15: 500,
  16: 401,
};

/** The HTTP status of a code, as google/rpc/code.proto names it. */
export function httpStatusOf(code: Code): number {
  return httpOf[code];
}

const codeOfStatus = new Map<number, Code>([
  [400, Code.INVALID_ARGUMENT],
  [401, Code.UNAUTHENTICATED],
  [403, Code.PERMISSION_DENIED],
  [404, Code.NOT_FOUND],
  [409, Code.ABORTED],
  [416, Code.OUT_OF_RANGE],
  [429, Code.RESOURCE_EXHAUSTED],
  [499, Code.CANCELLED],
  [501, Code.UNIMPLEMENTED],
  [502, Code.UNAVAILABLE],
  [503, Code.UNAVAILABLE],
  [504, Code.DEADLINE_EXCEEDED],
]);

/** The code of an HTTP status of 400 or above: google/rpc/code.proto read backwards, 502 as gRPC's own mapping has it. */
export function codeOfHttpStatus(status: number): Code {
  return codeOfStatus.get(status) ?? (status >= 500 ? Code.INTERNAL : Code.FAILED_PRECONDITION);
}

/** The code of an HTTP status that came in place of gRPC's own words: https://github.com/grpc/grpc/blob/master/doc/http-grpc-status-mapping.md */
export function rpcCodeOfHttpStatus(status: number): Code {
  return rpcCodeOf[status] ?? Code.UNKNOWN;
}

const rpcCodeOf: Readonly<Record<number, Code>> = {
  400: Code.INTERNAL,
  401: Code.UNAUTHENTICATED,
  403: Code.PERMISSION_DENIED,
  404: Code.UNIMPLEMENTED,
  429: Code.UNAVAILABLE,
  502: Code.UNAVAILABLE,
  503: Code.UNAVAILABLE,
  504: Code.UNAVAILABLE,
};
