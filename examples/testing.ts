// testing: a policy is tested in virtual time. A minute passes in no time, the peer fails as a script says, and nothing is asked to sleep.
import assert from "node:assert/strict";
import { test } from "node:test";
import { breaker, createClient, definePolicy, retry } from "../src/index.ts";
import { assertAttempts, assertDecision, assertIdle, assertPolicyError, scriptedUpstream, virtualClock } from "../src/testing/index.ts";

const policy = definePolicy({
  name: "payments",
  match: [{ host: "payments.internal" }],
  layers: [retry({ attempts: 3 }), breaker({ trip: { consecutive: 3 }, openFor: "1m" })],
});

await test("payments are left alone after three failures, and tried again after a minute", async () => {
  const clock = virtualClock();
  const upstream = scriptedUpstream([503, 503, "reset", 200], { clock });
  const client = createClient({ policies: [policy], fetch: upstream, clock, seed: 1 });
  const pay = (): Promise<unknown> => client.fetch("http://payments.internal/charges/1").catch((error: unknown) => error);

  const first = pay();
  await clock.advance(1_000); // the waits between attempts
  assertAttempts(client, await first, 3);
  assertDecision(client, await first, { layer: "breaker", what: "opened" });
  assertPolicyError(await pay(), "ERR_PREMESH_BREAKER_OPEN");

  await clock.advance(60_000);
  const again = await pay();
  assert.ok(again instanceof Response && again.status === 200);
  upstream.assertDone(); // four requests, no more and no fewer
  assertIdle(client);
  console.log(`${clock.now() / 1_000} seconds have passed, and ${upstream.requests.length} requests came`);
});
