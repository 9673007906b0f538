// Frame: where a message's body ends (RFC 9112 6), decided by its head; whatever could be read in two ways is refused.
import type { Facts } from "./fields.ts";

/** How many bytes; or one of the others. */
export type Frame = number;
export const CHUNKED: Frame = -1;
/** Until the connection ends: responses only. */
export const TO_END: Frame = -2;
/** Nothing is told: a request without a body, a response that ends with its connection. */
export const UNTOLD: Frame = -3;

/** Two lengths, a length beside a coding, a length that is no number. */
export const CONFLICT = -4;
/** A coding that is not `chunked`. */
export const UNKNOWN_CODING = -5;

/** What the fields say; negative values as above. */
export function frameOf(facts: Facts, minor: number): Frame {
  if (facts.codings > 0) {
    if (facts.lengths > 0 || minor === 0) return CONFLICT;
    if (facts.codings === 1 && facts.coding.toLowerCase() === "chunked") return CHUNKED;
    return facts.codings === 1 &&
      /^[\w!#$%&'*+\-.^`|~]+(?:[ \t]*,[ \t]*[\w!#$%&'*+\-.^`|~]+)*$/.test(facts.coding) &&
      !/chunked.*,.*chunked/i.test(facts.coding)
      ? UNKNOWN_CODING
      : CONFLICT;
  }
  if (facts.lengths === 0) return UNTOLD;
  if (facts.lengths > 1) return CONFLICT;
  return lengthOf(facts.length) ?? CONFLICT;
}

/** A Content-Length: digits and nothing else, at most 2^53 - 1. */
export function lengthOf(text: string): number | undefined {
  if (text.length === 0 || text.length > 16) return undefined;
  let length = 0;
  for (let at = 0; at < text.length; at++) {
    const digit = text.charCodeAt(at) - 48;
    if (digit < 0 || digit > 9) return undefined;
    length = length * 10 + digit;
  }
  return Number.isSafeInteger(length) ? length : undefined;
}
