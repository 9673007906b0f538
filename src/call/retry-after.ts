// Retry-After, and gRPC's pushback: how long the peer asks to wait.

/**
 * Milliseconds of a `Retry-After` value: seconds or an HTTP date (RFC 9110, 10.2.3). `undefined` when it is absent or malformed; a date that has
 * passed is 0. `wallClock` is the time of day, for dates.
 */
export function parseRetryAfter(value: string | null | undefined, wallClock: () => number = Date.now): number | undefined {
  if (value === null || value === undefined) return undefined;
  const text = value.trim();
  if (/^\d{1,10}$/.test(text)) return Number(text) * 1_000;
  if (!HTTP_DATE.test(text)) return undefined;
  const date = Date.parse(text.endsWith("GMT") ? text : `${text} GMT`);
  return Number.isNaN(date) ? undefined : Math.max(0, date - wallClock());
}

/** IMF-fixdate, and the two obsolete forms that a recipient must accept (RFC 9110, 5.6.7). */
const HTTP_DATE =
  /^(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d (?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) \d{4} \d\d:\d\d:\d\d GMT|(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day, \d\d-(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)-\d\d \d\d:\d\d:\d\d GMT|(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) (?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) [ \d]\d \d\d:\d\d:\d\d \d{4})$/;

/**
 * Milliseconds of a `grpc-retry-pushback-ms` (gRFC A6). `undefined` when it is absent. Whatever is no single number from 0 on, such as `-1`, is the peer's
 * wish that the call not be sent again: `Infinity`.
 */
export function parsePushback(values: readonly unknown[]): number | undefined {
  const [value] = values;
  if (value === undefined) return undefined;
  return values.length === 1 && typeof value === "string" && /^\d{1,10}$/.test(value) ? Number(value) : Number.POSITIVE_INFINITY;
}
