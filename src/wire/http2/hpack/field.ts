// Field: a header field as HPACK's tables hold it, and what is allowed in one (RFC 9110 5, RFC 9113 8.2.1).

export interface Field {
  readonly name: string;
  readonly value: string;
  /** What it counts in a table and in a list (RFC 7541, 4.1). */
  readonly size: number;
  /** The name is not one of HTTP/2's. */
  readonly misnamed: boolean;
  /** The name or the value is not allowed. */
  readonly malformed: boolean;
}

/** What a field counts besides its name and its value. */
export const OVERHEAD = 32;

/** 1 for what cannot stand in a name: anything but the characters of a token, in lower case. */
const UNNAMED = new Uint8Array(256).fill(1);
for (const char of Buffer.from("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz")) UNNAMED[char] = 0;

/** 1 for what cannot stand in a value: controls but the tab. */
const UNVALUED = new Uint8Array(256).fill(1, 0, 32);
UNVALUED[0x09] = 0;
UNVALUED[0x7f] = 1;

/** Whether these bytes are a name, of a pseudo-field perhaps. */
export function isName(bytes: Uint8Array, from: number, to: number): boolean {
  const first = bytes[from] === 0x3a ? from + 1 : from;
  let wrong = to === first ? 1 : 0;
  for (let at = first; at < to; at++) wrong |= UNNAMED[bytes[at] ?? 0] ?? 1;
  return wrong === 0;
}

/** Whether these bytes are a value: no space at either end. */
export function isValue(bytes: Uint8Array, from: number, to: number): boolean {
  if (to === from) return true;
  let wrong = isBlank(bytes[from]) || isBlank(bytes[to - 1]) ? 1 : 0;
  for (let at = from; at < to; at++) wrong |= UNVALUED[bytes[at] ?? 0] ?? 1;
  return wrong === 0;
}

const isBlank = (byte: number | undefined): boolean => byte === 0x20 || byte === 0x09;
