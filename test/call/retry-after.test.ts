// Retry-After in all forms that RFC 9110 knows.
import assert from "node:assert/strict";
import test from "node:test";
import { parseRetryAfter } from "../../src/call/retry-after.ts";

const noon = Date.UTC(2026, 0, 15, 12);
const parse = (value: string | null | undefined): number | undefined => parseRetryAfter(value, () => noon);

test("seconds become milliseconds", () => {
  assert.equal(parse("0"), 0);
  assert.equal(parse("120"), 120_000);
  assert.equal(parse(" 3 "), 3_000);
});

test("all three forms of an HTTP date become the time until then; one that has passed is 0", () => {
  assert.equal(parse("Thu, 15 Jan 2026 12:00:30 GMT"), 30_000);
  assert.equal(parse("Thursday, 15-Jan-26 12:00:30 GMT"), 30_000);
  assert.equal(parse("Thu Jan 15 12:00:30 2026"), 30_000);
  assert.equal(parse("Thu Jan  1 12:00:30 2026"), 0);
  assert.equal(parse("Sun, 06 Nov 1994 08:49:37 GMT"), 0);
});

test("anything else is as if it were absent", () => {
  for (const bad of [
    null,
    undefined,
    "",
    "-1",
    "1.5",
    "1e3",
    "0x10",
    "soon",
    "2026-01-15",
    "2026-01-15T12:00:30Z",
    "99999999999",
    "15 Jan 2026",
  ]) {
    assert.equal(parse(bad), undefined, String(bad));
  }
});
