// Static table: the fields that every HTTP/2 connection knows from the start (RFC 7541, Appendix A).
import { type Field, OVERHEAD } from "./field.ts";

/** By their indexes. Written out one by one: what is read by index and what code compares it with is one string to V8. */
const NAMES = [
  "", // there is none at 0
  ":authority",
  ":method",
  ":method",
  ":path",
  ":path",
  ":scheme",
  ":scheme",
  ":status",
  ":status",
  ":status",
  ":status",
  ":status",
  ":status",
  ":status",
  "accept-charset",
  "accept-encoding",
  "accept-language",
  "accept-ranges",
  "accept",
  "access-control-allow-origin",
  "age",
  "allow",
  "authorization",
  "cache-control",
  "content-disposition",
  "content-encoding",
  "content-language",
  "content-length",
  "content-location",
  "content-range",
  "content-type",
  "cookie",
  "date",
  "etag",
  "expect",
  "expires",
  "from",
  "host",
  "if-match",
  "if-modified-since",
  "if-none-match",
  "if-range",
  "if-unmodified-since",
  "last-modified",
  "link",
  "location",
  "max-forwards",
  "proxy-authenticate",
  "proxy-authorization",
  "range",
  "referer",
  "refresh",
  "retry-after",
  "server",
  "set-cookie",
  "strict-transport-security",
  "transfer-encoding",
  "user-agent",
  "vary",
  "via",
  "www-authenticate",
];

const VALUES: ReadonlyMap<number, string> = new Map([
  [2, "GET"],
  [3, "POST"],
  [4, "/"],
  [5, "/index.html"],
  [6, "http"],
  [7, "https"],
  [8, "200"],
  [9, "204"],
  [10, "206"],
  [11, "304"],
  [12, "400"],
  [13, "404"],
  [14, "500"],
  [16, "gzip, deflate"],
]);

export const STATIC_FIELDS: readonly (Field | undefined)[] = NAMES.map((name, index) => {
  const value = VALUES.get(index) ?? "";
  return name === "" ? undefined : { name, value, size: name.length + value.length + OVERHEAD, misnamed: false, malformed: false };
});

/** The index of the first field of a connection's own table. */
export const FIRST_DYNAMIC = STATIC_FIELDS.length;

/** What the table has under a name: the first index, and those of the values, where there are any. */
export interface StaticName {
  readonly index: number;
  readonly values: Map<string, number> | undefined;
}

export const STATIC_NAMES: ReadonlyMap<string, StaticName> = byName();

function byName(): Map<string, StaticName> {
  const names = new Map<string, StaticName>();
  for (const [index, name] of NAMES.entries()) {
    if (!names.has(name)) names.set(name, { index, values: VALUES.has(index) ? new Map() : undefined });
    const value = VALUES.get(index);
    if (value !== undefined) names.get(name)?.values?.set(value, index);
  }
  return names;
}
