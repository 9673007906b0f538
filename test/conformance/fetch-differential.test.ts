// client.fetch under a healthy policy against the same fetch bare: whatever a caller or the server can see must be the same.
import assert from "node:assert/strict";
import test, { type TestContext } from "node:test";
import * as undici6 from "undici6";
import * as undici7 from "undici7";
import * as undici8 from "undici8";
import { abortCases } from "./cases/abort.ts";
import type { Case } from "./cases/case.ts";
import { receiveCases } from "./cases/receive.ts";
import { sendCases } from "./cases/send.ts";
import { healthyClient } from "./healthy.ts";
import type { AnyFetch, Kit, Observed } from "./observe.ts";
import { openPeer, type Peer } from "./peer.ts";

interface Subject {
  readonly name: string;
  readonly bare: AnyFetch;
  readonly wrapped: AnyFetch;
  readonly kit: Kit;
}

// The casts here: each library types the same classes anew, and cases pass anything.

const bareFetch = globalThis.fetch as AnyFetch;
const plainWrapper = ((input: string, init?: RequestInit) => globalThis.fetch(input, init)) as AnyFetch;

const over = (name: string, fetch: AnyFetch, kit: unknown): Subject => ({
  name,
  bare: fetch,
  wrapped: healthyClient({ fetch }).fetch as AnyFetch,
  kit: kit as Kit,
});

const subjects: readonly Subject[] = [
  { name: "the runtime's fetch", bare: bareFetch, wrapped: healthyClient().fetch as AnyFetch, kit: globalThis },
  over("a wrapper of it", plainWrapper, globalThis),
  over("undici 6", undici6.fetch as unknown as AnyFetch, undici6),
  over("undici 7", undici7.fetch as unknown as AnyFetch, undici7),
  over("undici 8", undici8.fetch as unknown as AnyFetch, undici8),
];

const cases: readonly Case[] = [...sendCases, ...receiveCases, ...abortCases];

async function seen(t: TestContext, one: Case, fetch: AnyFetch, kit: Kit, watched: Peer): Promise<{ caller: Observed; server: Observed }> {
  // what comes late to a peer that nobody watches must not be taken for the next case's
  const peer = one.unwatched === true ? await openPeer(t) : watched;
  const caller = await one.run({ fetch, kit, at: (path) => peer.origin + path, begun: peer.begun });
  if (one.unwatched === true) return { caller, server: "chance" };
  const requests = (await peer.seen()).map((request) => ({
    ...request,
    headers: request.headers.filter(([field]) => field.toLowerCase() !== one.forgotten),
  }));
  if (one.retried === true) for (const request of requests) assert.deepEqual(request, requests[0], "an attempt is like the first");
  return { caller, server: one.retried === true ? requests.slice(0, 1) : requests };
}

for (const { name, bare, wrapped, kit } of subjects) {
  test(`${cases.length} things that callers do are the same over ${name} as without premesh`, async (t) => {
    const peer = await openPeer(t);
    for (const one of cases) {
      await t.test(one.name, { timeout: 20_000 }, async (inner) => {
        const expected = await seen(inner, one, bare, kit, peer);
        assert.deepEqual(await seen(inner, one, wrapped, kit, peer), expected);
      });
    }
  });
}
