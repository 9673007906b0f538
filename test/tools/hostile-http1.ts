// Sends the hostile requests to any proxy, and says which of them it let by: `node test/tools/hostile-http1.ts 127.0.0.1:15001 [127.0.0.1:8080]`, where the
// second is the host that is asked for. Behind the proxy stands a server that answers 200 to everything.
import { setTimeout as wait } from "node:timers/promises";
import { hostileRequests, isAllowed, sendHostile } from "../harness/hostile-http1.ts";

const PATIENCE_MS = 3_000;
const APART_MS = 15;

const [address = "127.0.0.1:15001", host = "shop.internal"] = process.argv.slice(2);
const outcomes = await Promise.all(
  hostileRequests.map(async (one, nth) => {
    await wait(nth * APART_MS);
    return { one, outcome: await sendHostile(address, one, host, PATIENCE_MS) };
  }),
);
const wrong = outcomes.filter(({ one, outcome }) => !isAllowed(one, outcome));
for (const { one, outcome } of wrong)
  console.log(`${one.name.slice(0, 100)}: ${outcome.statuses.join(", ") || "nothing"}, ${outcome.closed ? "closed" : "left open"}`);
console.log(`${wrong.length} of ${hostileRequests.length} let by, or refused in a way that standards do not allow`);
process.exitCode = wrong.length === 0 ? 0 : 1;
