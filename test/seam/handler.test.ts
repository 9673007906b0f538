// The handlers of both generations of undici: the field for the outcome is taken out before fetch sees the head, and handed over.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Crossing } from "../../src/call/crossing.ts";
import { type Handler, listen, type Listener } from "../../src/transports/fetch/handler.ts";

interface Heard {
  readonly listener: Listener;
  readonly outcomes: (string | undefined)[];
}

function listening(): Heard {
  const outcomes: (string | undefined)[] = [];
  const crossing = { answered: (outcome: string | undefined) => outcomes.push(outcome) } as unknown as Crossing; // the cast: no more is used of it
  return { outcomes, listener: { started: () => undefined, headed: false, crossing, closed: () => undefined } };
}

const bytes = (...texts: readonly string[]): Buffer[] => texts.map((text) => Buffer.from(text));

test("undici 6 and 7: raw fields, as bytes or text, in any case", () => {
  for (const write of [bytes, (...texts: readonly string[]) => [...texts]]) {
    const seen: unknown[] = [];
    const handler: Handler = { onConnect: () => true, onHeaders: (status, headers) => seen.push([status, String(headers)]) };
    const { listener, outcomes } = listening();
    listen(handler, listener);
    handler.onHeaders?.(103, write("link", "x"));
    handler.onHeaders?.(200, write("a", "1", "Premesh-Outcome", "attempts=1", "b", "2"));
    assert.deepEqual(outcomes, ["attempts=1"]);
    assert.deepEqual(seen, [
      [103, "link,x"],
      [200, "a,1,b,2"],
    ]);
  }
});

test("undici 8: parsed fields, and the raw ones of the controller", () => {
  const seen: unknown[] = [];
  const handler: Handler = {
    onRequestStart: () => undefined,
    onResponseStart: (controller, status, headers) =>
      seen.push([status, String((controller as { rawHeaders: unknown }).rawHeaders), headers]), // the cast: it is the one below
  };
  const { listener, outcomes } = listening();
  listen(handler, listener);
  handler.onResponseStart?.({ rawHeaders: bytes("a", "1", "premesh-outcome", "attempts=2") }, 200, {
    a: "1",
    "premesh-outcome": "attempts=2",
  });
  handler.onResponseStart?.({ rawHeaders: null }, 200, { a: "1", "premesh-outcome": "attempts=3" });
  handler.onResponseStart?.({ rawHeaders: [] }, 200, { a: "1" });
  assert.deepEqual(outcomes, ["attempts=2", "attempts=3", undefined]);
  assert.deepEqual(seen, [
    [200, "a,1", { a: "1" }],
    [200, "null", { a: "1" }],
    [200, "", { a: "1" }],
  ]);
});

test("a 421 that the sidecar itself gives is not shown to fetch, which would repeat it; one of the peer's is", () => {
  const statuses: unknown[] = [];
  const handler: Handler = { onConnect: () => true, onHeaders: (status) => statuses.push(status) };
  const { listener } = listening();
  listen(handler, listener);
  handler.onHeaders?.(421, bytes("premesh-outcome", "unseen, why=unknown-revision"));
  handler.onHeaders?.(421, bytes("premesh-outcome", "attempts=1, sent=1"));
  assert.deepEqual(statuses, [503, 421]);
});
