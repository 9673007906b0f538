// Static table: the fields that every HTTP/2 connection knows from the start (RFC 7541, Appendix A).
import { type Field, OVERHEAD } from "./field.ts";

const LINES = `
:authority
:method GET
:method POST
:path /
:path /index.html
:scheme http
:scheme https
:status 200
:status 204
:status 206
:status 304
:status 400
:status 404
:status 500
accept-charset
accept-encoding gzip, deflate
accept-language
accept-ranges
accept
access-control-allow-origin
age
allow
authorization
cache-control
content-disposition
content-encoding
content-language
content-length
content-location
content-range
content-type
cookie
date
etag
expect
expires
from
host
if-match
if-modified-since
if-none-match
if-range
if-unmodified-since
last-modified
link
location
max-forwards
proxy-authenticate
proxy-authorization
range
referer
refresh
retry-after
server
set-cookie
strict-transport-security
transfer-encoding
user-agent
vary
via
www-authenticate`;

/** As the string that V8 has for it in code: comparing the two is comparing addresses. */
const intern = (text: string): string => Object.keys({ [text]: 0 })[0] ?? text;

/** The fields by their index; there is none at 0. */
export const STATIC_FIELDS: readonly (Field | undefined)[] = LINES.split("\n").map((line, index) => {
  if (index === 0) return undefined;
  const end = line.indexOf(" ");
  const name = intern(end === -1 ? line : line.slice(0, end));
  const value = intern(end === -1 ? "" : line.slice(end + 1));
  return { name, value, size: name.length + value.length + OVERHEAD, misnamed: false, malformed: false };
});

/** The index of the first field of a connection's own table. */
export const FIRST_DYNAMIC = STATIC_FIELDS.length;

/** What the table has under a name. */
export interface StaticName {
  readonly index: number;
  /** The indexes by value, where there are values. */
  readonly values: ReadonlyMap<string, number> | undefined;
}

export const STATIC_NAMES: ReadonlyMap<string, StaticName> = new Map(
  [...Map.groupBy(STATIC_FIELDS.entries(), ([, field]) => field?.name ?? "")].map(([name, entries]) => {
    const values = new Map(entries.flatMap(([index, field]) => (field === undefined || field.value === "" ? [] : [[field.value, index]])));
    return [name, { index: entries[0]?.[0] ?? 0, values: values.size === 0 ? undefined : values }];
  }),
);
