// Measures for docs/decisions/0002-bulkhead-is-ours.md: a bulkhead layer on cockatiel's policy against the bulkhead layer.
import { alone } from "../../../src/call/build.ts";
import { bulkhead as cockatielBulkhead } from "cockatiel";
import type { Next } from "../../../src/call/call.ts";
import { endNow, newEnd, whenEnded } from "../../../src/call/end.ts";
import type { Outcome } from "../../../src/call/outcome.ts";
import { nativeSignal } from "../../../src/call/signal.ts";
import { bulkhead } from "../../../src/layers/bulkhead/definition.ts";
import { buildBulkhead } from "../../../src/layers/bulkhead/runtime.ts";
import { env, healthy, microseconds, plainCall, scope, settledWithin, show } from "./measure.ts";

/** The layer as it would stand on cockatiel: the caller gets the head, the permit stays until the response has ended. */
function onCockatiel(limit: number, queue: number, next: Next<unknown>): Next<unknown> {
  const policy = cockatielBulkhead(limit, queue);
  return (call) =>
    new Promise((resolve, reject) => {
      policy
        .execute(
          async () => {
            const outcome = await next(call);
            resolve(outcome);
            if (outcome.end !== undefined) await new Promise((over) => whenEnded(outcome.end, over));
          },
          call.signal && nativeSignal(call.signal),
        )
        .catch(reject);
    });
}

const ours = (limit: number, next: Next<unknown>): Next<unknown> => alone(buildBulkhead(bulkhead({ limit }), env, scope("bulkhead")))(next);
const refused = (outcome: Promise<Outcome<unknown>>): Promise<boolean> =>
  outcome.then(
    ({ ok }) => !ok,
    () => true,
  );

const call = plainCall();
const wide = cockatielBulkhead(1_000);
const through = ours(1_000, healthy);
const layered = onCockatiel(1_000, 0, healthy);
show("cockatiel: execute", await microseconds(() => wide.execute(() => 1)), "us");
show("cockatiel as a layer that holds the permit to the end", await microseconds(() => layered(call)), "us");
show("premesh: a healthy call", await microseconds(() => through(call)), "us");

/** Limit 1: each call begins when the one before has given its outcome. */
async function oneAfterTheOther(layer: Next<unknown>): Promise<number> {
  let count = 0;
  for (let n = 0; n < 100; n++) if (await refused(layer(call))) count++;
  return count;
}
const immediate: Next<unknown> = () => Promise.resolve({ ok: true, response: undefined });
show("limit 1, 100 calls one after the other: refused by cockatiel", await oneAfterTheOther(onCockatiel(1, 0, immediate)));
show("limit 1, 100 calls one after the other: refused by premesh", await oneAfterTheOther(ours(1, immediate)));

/** Limit 1: the next call begins so many microtasks after the response of the one before has ended. */
async function afterTheEnd(make: (next: Next<unknown>) => Next<unknown>, microtasks: number): Promise<boolean> {
  let end = newEnd();
  const layer = make(() => Promise.resolve({ ok: true, response: undefined, end: (end = newEnd()) }));
  await layer(call);
  await new Promise(setImmediate);
  endNow(end);
  for (let hop = 0; hop < microtasks; hop++) await Promise.resolve();
  return refused(layer(call));
}
for (const [name, make] of [
  ["cockatiel", (next: Next<unknown>) => onCockatiel(1, 0, next)],
  ["premesh", (next: Next<unknown>) => ours(1, next)],
] as const) {
  const hops = [];
  for (let hop = 0; hop <= 6; hop++) if (await afterTheEnd(make, hop)) hops.push(hop);
  show(`${name}: refused when the next call begins N microtasks after the end, N =`, hops.join(", ") || "none");
}

const never: Next<unknown> = () => new Promise(() => undefined);
const held = cockatielBulkhead(1, 1);
void held.execute(() => never(call));
const abort = new AbortController();
const waiting = held.execute(() => 1, abort.signal);
abort.abort();
show("cockatiel: an aborted waiter settles within 50 ms", await settledWithin(waiting, 50));
show("cockatiel: free places in a queue of 1 after the abort", held.queueSlots);

const full = buildBulkhead(bulkhead({ limit: 1, queue: { size: 1, timeout: "1m" } }), env, scope("bulkhead"));
const state = full.newState();
const behind = full.layer(state)(never);
void behind(call);
const leave = new AbortController();
const left = behind(plainCall(leave.signal));
leave.abort();
show("premesh: an aborted waiter settles within 50 ms", await settledWithin(left, 50));
show("premesh: calls in the queue after the abort", String(full.show?.(state).status()["waiting"]));
