// Key: the value of an Idempotency-Key field: a structured-field string (RFC 9651, 3.3.3) or, as most clients have it, the bare text.

/** How long a key may be. A UUID has 36 characters. */
const LONGEST = 255;

const QUOTED = /^"((?:[\x20-\x21\x23-\x5b\x5d-\x7e]|\\["\\])*)"$/;

/** One word without what would make it a list or a string. */
const BARE = /^[\x21\x23-\x2b\x2d-\x7e]+$/;

/** The key, the same quoted or not; `undefined` when it is empty, too long, several or malformed. */
export function parseKey(value: string): string | undefined {
  const text = value.trim();
  const quoted = QUOTED.exec(text)?.[1];
  const key = quoted === undefined ? (BARE.test(text) ? text : undefined) : quoted.replaceAll(/\\(["\\])/g, "$1");
  return key === undefined || key === "" || key.length > LONGEST ? undefined : key;
}
