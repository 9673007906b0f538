// Codes: HTTP/2's error codes (RFC 9113, 7) and the wire's words for why a message breaks off.
import { constants } from "node:http2";
import type { Break, BreakReason } from "../wire.ts";

export const {
  NGHTTP2_NO_ERROR: NO_ERROR,
  NGHTTP2_PROTOCOL_ERROR: PROTOCOL_ERROR,
  NGHTTP2_INTERNAL_ERROR: INTERNAL_ERROR,
  NGHTTP2_FLOW_CONTROL_ERROR: FLOW_CONTROL_ERROR,
  NGHTTP2_STREAM_CLOSED: STREAM_CLOSED,
  NGHTTP2_REFUSED_STREAM: REFUSED_STREAM,
  NGHTTP2_ENHANCE_YOUR_CALM: ENHANCE_YOUR_CALM,
} = constants;

const CANCEL = constants.NGHTTP2_CANCEL;

/** What a stream is reset with. */
export function codeOf(why: BreakReason): number {
  if (why === "cancelled") return CANCEL;
  if (why === "protocol") return PROTOCOL_ERROR;
  if (why === "refused") return REFUSED_STREAM;
  return INTERNAL_ERROR;
}

/** Why a stream is over that was closed with a code before its message was complete. `asked`: who resets it is who asked. */
export function breakBy(code: number, asked: boolean, cause: unknown): Break {
  if (isGarbage(cause)) return { why: "protocol", cause };
  const why = code === REFUSED_STREAM ? "refused" : code === PROTOCOL_ERROR ? "protocol" : asked && code === CANCEL ? "cancelled" : "reset";
  return { why, code, cause };
}

/** The connection was ended by nghttp2, on what the peer sent over it. */
export function isGarbage(cause: unknown): boolean {
  return cause instanceof Error && "code" in cause && cause.code === "ERR_HTTP2_ERROR";
}
