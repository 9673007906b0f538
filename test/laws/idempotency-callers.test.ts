// Law: whatever callers with the same keys do, and whenever they leave, the work behind a key is done at most once, and all its answers are one.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { bulkhead, createClient, definePolicy, idempotency, timeout } from "../../src/index.ts";
import { inboundFetch } from "../../src/inbound.ts";
import { virtualClock } from "../../src/testing/index.ts";

/** One caller: when it comes and with what, when it leaves, and what the work does if this caller is the one whose call is done. */
const caller = fc.record({
  at: fc.nat(300),
  key: fc.nat(2),
  body: fc.nat(5).map((n) => Math.max(0, n - 4)),
  leavesAfter: fc.option(fc.nat(150), { nil: undefined }),
  works: fc.record({
    ms: fc.nat(120),
    ends: fc.constantFrom("answers", "answers", "answers", "fails", "throws", "answers too long", "hangs"),
  }),
});

test("callers with the same keys", { timeout: 120_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(caller, { minLength: 1, maxLength: 12 }), async (callers) => {
      const clock = virtualClock();
      const policies = [
        definePolicy({
          name: "guard",
          match: [{ inbound: true }],
          layers: [bulkhead({ limit: 12 }), timeout("100ms"), idempotency({ buffer: 100, lease: "200ms" })],
        }),
      ];
      const client = createClient({ policies, clock });
      const guarded = inboundFetch(client);
      const done = new Map<string, number>();
      const answers = new Map<string, Set<string>>();
      const later = (ms: number): Promise<void> => new Promise((resolve) => void clock.setTimer(resolve, ms));

      async function call({ at, key, body, leavesAfter, works }: (typeof callers)[number]): Promise<void> {
        await later(at);
        const leaving = new AbortController();
        if (leavesAfter !== undefined) void later(leavesAfter).then(() => leaving.abort());
        const request = new Request("http://service/orders", {
          method: "POST",
          headers: { "idempotency-key": `k${key}` },
          body: `b${body}`,
          signal: leaving.signal,
        });
        const id = `k${key}`;
        const work = async (): Promise<Response> => {
          const nth = (done.get(id) ?? 0) + 1;
          done.set(id, nth);
          assert.equal(await request.text(), `b${body}`);
          await later(works.ms);
          if (works.ends === "throws") throw new Error("boom");
          if (works.ends === "hangs") await later(10_000);
          return new Response(works.ends === "answers too long" ? "x".repeat(200) : `${id} b${body} ${nth}`, {
            status: works.ends === "fails" ? 500 : 201,
          });
        };
        const response = await guarded(request, work).catch((error: unknown) => error);
        if (!(response instanceof Response)) {
          assert.match(String(response), /boom/);
          return;
        }
        const text = await response.text();
        if (response.status === 201 || response.status === 500) {
          const seen = answers.get(id) ?? new Set();
          answers.set(id, seen.add(`${response.status} ${text}`));
        } else assert.ok([409, 422, 499, 504].includes(response.status), `${response.status} ${text}`);
      }

      const all = Promise.all(callers.map(call));
      await clock.runAll();
      await all;
      for (const [id, count] of done) assert.equal(count, 1, `${id} was done ${count} times`);
      for (const [id, seen] of answers) assert.equal(seen.size, 1, `${id}: ${[...seen].join(" | ")}`);
      const [guard] = client.status().policies["guard"]?.targets["inbound"] ?? [];
      assert.equal(guard?.state["active"], 0, "a place is still held");
      await client.close();
      assert.equal(clock.pending(), 0, "a timer is still set");
    }),
    { numRuns: 150 },
  );
});
