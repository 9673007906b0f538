// Times as the access log has them.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { isoTime } from "../../../src/transports/proxy/date.ts";

test("a time is written as Date writes it, whatever was written before", () => {
  const near = fc.double({ min: 0, max: 3_000, noNaN: true }).map((ms) => 1_795_694_400_000 + ms);
  fc.assert(
    fc.property(fc.array(fc.oneof(near, fc.double({ min: 0, max: 4e12, noNaN: true })), { minLength: 1 }), (times) => {
      for (const ms of times) assert.equal(isoTime(ms), new Date(ms).toISOString());
    }),
  );
});
