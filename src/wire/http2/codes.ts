// Codes: HTTP/2's error codes (RFC 9113, 7) and the wire's words for why a message breaks off.
import type { Break, BreakReason } from "../wire.ts";

export const NO_ERROR = 0;
export const PROTOCOL_ERROR = 1;
export const INTERNAL_ERROR = 2;
export const FLOW_CONTROL_ERROR = 3;
export const STREAM_CLOSED = 5;
export const FRAME_SIZE_ERROR = 6;
export const REFUSED_STREAM = 7;
const CANCEL = 8;
export const COMPRESSION_ERROR = 9;
export const CONNECT_ERROR = 10;
export const ENHANCE_YOUR_CALM = 11;

/** What a stream is reset with. */
export function codeOf(why: BreakReason): number {
  if (why === "cancelled") return CANCEL;
  if (why === "protocol") return PROTOCOL_ERROR;
  if (why === "refused") return REFUSED_STREAM;
  return INTERNAL_ERROR;
}

/** Why a stream is over that the peer has reset. `asked`: who resets it is who asked. */
export function breakBy(code: number, asked: boolean): Break {
  const why = code === REFUSED_STREAM ? "refused" : code === PROTOCOL_ERROR ? "protocol" : asked && code === CANCEL ? "cancelled" : "reset";
  return { why, code };
}
