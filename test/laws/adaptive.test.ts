// The adaptive limit of a bulkhead finds the capacity of a simulated server, a queue before so many places, and follows it.
import assert from "node:assert/strict";
import test from "node:test";
import { bulkhead, type BulkheadOptions } from "../../src/index.ts";
import { abortedOutcome } from "../../src/call/classify.ts";
import { newLine } from "../../src/call/line.ts";
import { answer, type Answer } from "../harness/bare.ts";
import { percentile, type Simulated, simulated, taking } from "../harness/simulated.ts";

interface Peer {
  places: number;
  /** How long one call is worked on, on average. */
  serviceMs: number;
}

/** Works on `places` calls at a time, each as long as chance will have it, and lets the others wait in order. */
const serving =
  (peer: Peer) =>
  (time: Simulated["time"], random: () => number): Answer => {
    let busy = 0;
    const line = newLine(time);
    const free = (): void => {
      busy--;
      while (busy < peer.places && line.grant()) busy++;
    };
    return async ({ signal }) => {
      if (busy < peer.places) busy++;
      else if ((await line.wait(3_600_000, signal)) !== "granted") return abortedOutcome(signal, true);
      const outcome = await taking(time, peer.serviceMs * (0.5 + random()), signal, answer);
      free();
      return outcome;
    };
  };

const patient = { size: 1_000, timeout: "1h" } as const;

interface Run extends Simulated {
  readonly peer: Peer;
  /** The limit now, when nothing is measured. */
  readonly limit: () => number;
}

function run(peer: Peer, options: Partial<BulkheadOptions> = {}, seed = 1): Run {
  const sim = simulated([bulkhead({ limit: 200, queue: patient, adaptive: {}, ...options })], serving(peer), seed);
  return { ...sim, peer, limit: () => Number(sim.stack.status("bulkhead")["limit"]) };
}

/** The median of the limit in the last so many seconds of so many callers. */
async function settledLimit({ callers, limit, time }: Run, count: number, seconds: number, last: number): Promise<number> {
  const seen: number[] = [];
  const from = time.now() + 1_000 * (seconds - last);
  await callers(count, seconds * 1_000, () => {
    if (time.now() >= from) seen.push(limit());
  });
  return percentile(seen, 0.5);
}

for (const places of [4, 16, 40]) {
  test(`comes near a capacity of ${places}, from whatever it begins with, and stays`, async () => {
    for (const initial of [3, 20, 150]) {
      const it = run({ places, serviceMs: 50 }, { adaptive: { initial } });
      const limit = await settledLimit(it, places + 60, 20, 8);
      assert.ok(limit >= places && limit <= 2 * places + 4, `${limit} for ${places} places, from ${initial}`);
      const after = await settledLimit(it, places + 60, 35, 8);
      assert.ok(after >= places && after <= 2 * places + 4, `${after} for ${places} places, from ${initial}, after another measurement`);
    }
  });
}

test("follows when the capacity halves, and when it comes back", async () => {
  const it = run({ places: 32, serviceMs: 50 });
  await settledLimit(it, 100, 20, 1);
  it.peer.places = 8;
  const less = await settledLimit(it, 100, 15, 10);
  assert.ok(less >= 8 && less <= 20, `${less} for 8 places`);
  it.peer.places = 32;
  const again = await settledLimit(it, 100, 20, 10);
  assert.ok(again >= 32 && again <= 68, `${again} for 32 places`);
});

test("a peer that becomes slower without a queue is not throttled for ever", async () => {
  const it = run({ places: 16, serviceMs: 50 });
  await settledLimit(it, 60, 20, 1);
  it.peer.serviceMs = 200;
  const limit = await settledLimit(it, 60, 50, 10);
  assert.ok(limit >= 16 && limit <= 36, `${limit} for 16 places`);
});

test("keeps latency within what its rule says, where a fixed limit of its ceiling lets a queue grow", async () => {
  const took = async (options: Partial<BulkheadOptions>): Promise<number> => {
    const latencies: number[] = [];
    const peer: Peer = { places: 16, serviceMs: 20 };
    const sim = simulated([bulkhead({ limit: 200, queue: patient, ...options })], (time, random) => {
      const serve = serving(peer)(time, random);
      return async (call) => {
        const at = time.now();
        const outcome = await serve(call);
        if (at > 5_000) latencies.push(time.now() - at);
        return outcome;
      };
    });
    await sim.callers(200, 15_000);
    return percentile(latencies, 0.5);
  };
  const fixed = await took({});
  const adaptive = await took({ adaptive: {} });
  assert.ok(fixed > 200, `fixed: ${fixed} ms`);
  assert.ok(adaptive < 45, `adaptive: ${adaptive} ms`);
});

test("does not collapse on idle, nor grow while it is not used", async () => {
  const it = run({ places: 16, serviceMs: 20 });
  await it.callers(60, 10_000);
  await it.until(it.time.now() + 10_000);
  const before = it.limit();
  await it.until(it.time.now() + 3_600_000);
  assert.equal(it.limit(), before);
  await it.callers(2, 20_000);
  assert.ok(it.limit() <= before && it.limit() >= before / 2, `${it.limit()}, ${before} before`);
  const fresh = run({ places: 100, serviceMs: 20 }, { adaptive: { initial: 20 } });
  await fresh.callers(4, 20_000);
  assert.equal(fresh.limit(), 20);
});

test("is fair: calls are let through in the order in which they came, whatever the limit does", async () => {
  const it = run({ places: 8, serviceMs: 20 });
  await it.callers(60, 20_000);
  const late = it.results.filter(({ at }) => at > 5_000).map(({ tookMs }) => tookMs);
  assert.ok(percentile(late, 0.999) < 2.5 * percentile(late, 0.5), `p50 ${percentile(late, 0.5)}, p99.9 ${percentile(late, 0.999)}`);
});

test("a limit that changes much is told, not every step of it", async () => {
  const it = run({ places: 4, serviceMs: 20 }, { adaptive: { initial: 150 } });
  await it.callers(60, 60_000);
  const told = it.stack.reports.filter(({ what }) => what === "limit-changed");
  assert.ok(told.length >= 1 && told.length <= 12, `${told.length} in a minute`);
  assert.equal(told[0]?.detail?.["was"], 150);
  assert.ok(Number(told[0]?.detail?.["limit"]) < 100);
});

test("answers that come too fast because they are failures do not raise it, and timeouts lower it", async () => {
  const sim = simulated([bulkhead({ limit: 200, adaptive: {} })], (time) => () => taking(time, 1, undefined, () => answer(503)));
  await sim.callers(20, 10_000);
  assert.equal(sim.stack.status("bulkhead")["limit"], 20);

  let hangs = false;
  const cut = simulated(
    [bulkhead({ limit: 200, queue: patient, adaptive: {} }), { kind: "timeout", after: "500ms" }],
    (time) =>
      ({ signal }) =>
        taking(time, hangs ? 3_600_000 : 20, signal, answer),
  );
  await cut.callers(40, 5_000);
  const before = Number(cut.stack.status("bulkhead")["limit"]);
  hangs = true;
  await cut.callers(40, 20_000);
  assert.ok(
    Number(cut.stack.status("bulkhead")["limit"]) < before / 2,
    `${String(cut.stack.status("bulkhead")["limit"])}, ${before} before`,
  );
});

test("holds nothing when the traffic is over", async () => {
  const it = run({ places: 8, serviceMs: 20 });
  await it.traffic(300, 5_000);
  await it.until(it.time.now() + 60_000);
  it.stack.idle();
  assert.ok(it.results.every(({ outcome }) => outcome.ok));
});
