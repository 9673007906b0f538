// gRPC on the wire, as far as a proxy reads and writes it: timeouts and statuses (https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md).
import type { Code } from "../../call/codes.ts";
import type { Fields } from "../../wire/wire.ts";
import { valueOf } from "./field-names.ts";

const UNIT_MS: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1_000, m: 1, u: 1e-3, n: 1e-6 };

/** Milliseconds; `undefined`: it is absent or malformed. */
export function timeoutMs(value: string | undefined): number | undefined {
  const [, digits, unit = ""] = /^(\d{1,8})([HMSmun])$/.exec(value ?? "") ?? [];
  return digits === undefined ? undefined : Number(digits) * (UNIT_MS[unit] ?? 1);
}

/** As `grpc-timeout`, at most eight digits long. */
export function timeoutField(ms: number): string {
  const whole = Math.max(1, Math.ceil(ms));
  return whole < 1e8 ? `${whole}m` : `${Math.min(99_999_999, Math.ceil(whole / 1_000))}S`;
}

/** How an RPC ended; it looks like a status of grpc-js's, so that telemetry names it by its code. */
export interface RpcStatus {
  readonly code: number;
  readonly details: string;
  readonly metadata: undefined;
}

/** The status that trailers carry; `undefined`: they carry none. */
export function statusIn(trailers: Fields): RpcStatus | undefined {
  const code = valueOf(trailers, "grpc-status");
  return code === undefined ? undefined : rpcStatus(codeIn(code), decoded(valueOf(trailers, "grpc-message") ?? ""));
}

export const rpcStatus = (code: number, details: string): RpcStatus => ({ code, details, metadata: undefined });

/** What is no number is not known (2). */
export const codeIn = (value: string): number => (value === "0" ? 0 : /^\d{1,4}$/.test(value) ? Number(value) : 2);

export function decoded(message: string): string {
  try {
    return decodeURIComponent(message);
  } catch {
    return message;
  }
}

/** A status as fields. */
export const statusFields = (code: Code, message: string): string[] => ["grpc-status", String(code), "grpc-message", encoded(message)];

/** Percent-encoded, all but printable ASCII. */
function encoded(message: string): string {
  return /^[ -$&-~]*$/.test(message)
    ? message
    : Buffer.from(message).reduce(
        (text, byte) =>
          text +
          (byte >= 0x20 && byte <= 0x7e && byte !== 0x25
            ? String.fromCharCode(byte)
            : `%${byte.toString(16).toUpperCase().padStart(2, "0")}`),
        "",
      );
}
