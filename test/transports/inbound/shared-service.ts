// A service of its own process, whose answers are kept in a Redis: test/transports/inbound/shared.test.ts runs several of it and kills one.
import { createServer } from "node:http";
import { createClient, definePolicy, idempotency } from "../../../src/index.ts";
import { inbound } from "../../../src/inbound.ts";
import { redisStore } from "../../../src/redis.ts";

const [redis = "", lease = "30s"] = process.argv.slice(2);
const policies = [
  definePolicy({
    name: "orders",
    match: [{ inbound: true }],
    layers: [idempotency({ store: "shared", lease: lease as "30s" })], // the cast: the test gives durations
  }),
];
const guard = inbound(createClient({ policies, shared: redisStore(redis, { timeout: "10s" }) }));
const server = createServer((request, response) => {
  void guard(request, response, () => {
    process.send?.("working");
    if (request.url === "/hang") return;
    response.setHeader("x-by", String(process.pid));
    response.end("done");
  });
});
server.listen(0, "127.0.0.1", () => process.send?.(server.address()));
process.once("disconnect", () => process.exit());
