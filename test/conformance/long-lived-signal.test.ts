// One AbortSignal for many calls, as services have for their shutdown: nothing is left on it, whoever's fetch is beneath.
import assert from "node:assert/strict";
import { getEventListeners } from "node:events";
import test from "node:test";
import * as undici8 from "undici8";
import { openUpstream } from "../harness/upstream.ts";
import { healthyClient } from "./healthy.ts";

// the cast: the library types the same classes anew
const beneath = { "the runtime's fetch": undefined, "undici 8": undici8.fetch as unknown as typeof globalThis.fetch };

for (const [name, fetch] of Object.entries(beneath)) {
  test(`no listener stays on a signal when calls have ended: ${name}`, async (t) => {
    const upstream = await openUpstream(t, [{}, { status: 500 }, "reset", {}]);
    const client = healthyClient(fetch === undefined ? {} : { fetch });
    const { signal } = new AbortController();
    for (let call = 0; call < 50; call++) await (await client.fetch(upstream.url, { signal })).text();
    await assert.rejects(client.fetch("http://127.0.0.1:1/", { signal }), TypeError);
    assert.equal(getEventListeners(signal, "abort").length, 0);
  });
}

test("one abort ends all calls that share the signal", async (t) => {
  const upstream = await openUpstream(t, ["hang"]);
  const client = healthyClient();
  const controller = new AbortController();
  const calls = Array.from({ length: 30 }, () => client.fetch(upstream.url, { signal: controller.signal }));
  await upstream.arrived(30);
  controller.abort(new RangeError("shutdown"));
  for (const call of calls) await assert.rejects(call, controller.signal.reason as Error); // the cast: given above
  assert.equal(getEventListeners(controller.signal, "abort").length, 0);
});
