// Eight processes under one limit: together they start no more than it allows, and none is left out.
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { runFleet } from "../../harness/fleet.ts";
import { noRedis, openRedis } from "../../harness/redis.ts";

suite("a fleet over Redis", { skip: noRedis }, () => {
  // The whole of it, 10 s long and with the share that is used, is `npm run bench -- shared`; how much of a limit is used depends on how busy the machine is.
  test("eight processes keep to one limit, and each gets at least half its fair share", async (t) => {
    const { url } = await openRedis(t);
    const [rate, burst] = [500, 50];
    const { counts, tookMs } = await runFleet(8, { url, limit: { rate, per: "1s", burst }, calls: 1, everyMs: 1_000 / 120, forMs: 3_000 });
    const total = counts.reduce((sum, { passed }) => sum + passed, 0);
    const limit = (rate * tookMs) / 1_000;
    assert.ok(total <= limit * 1.01 + burst, `${total} passed, and ${limit} + ${burst} may`);
    assert.ok(Math.min(...counts.map(({ passed }) => passed)) >= total / 8 / 2, JSON.stringify(counts));
  });
});
