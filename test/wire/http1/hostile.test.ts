// Hostile HTTP/1.1: every case is refused in a way that a strict proxy may, nothing of it is passed on, and others are served on.
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { hostileRequests, isAllowed, sendHostile } from "../../harness/hostile-http1.ts";
import { hostileResponses } from "../../harness/hostile-responses.ts";
import { answering, rawClient, rawServer } from "../../harness/raw.ts";
import { eventually, wireTo } from "../../harness/wire.ts";

const OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const GET = "GET /good HTTP/1.1\r\nHost: shop.internal\r\n\r\n";

suite("a hostile request", () => {
  for (const one of hostileRequests) {
    test(`${one.name}: is refused, and others are served on`, async (t) => {
      const upstream = await rawServer(t, answering(OK));
      const { address, listener } = await wireTo(t, upstream.origin);
      const other = await rawClient(t, address);
      other.send(GET);
      await other.until(/ok$/);
      const outcome = await sendHostile(address, one, "shop.internal");
      assert.ok(isAllowed(one, outcome), JSON.stringify({ ...outcome, text: outcome.text.slice(0, 300) }));
      if (outcome.statuses.at(-1) !== 200) {
        const passed = upstream.connections.map((end) => end.text()).join("");
        assert.equal(passed.match(/smuggled|\/hostile HTTP[^]*\r\n0\r\n\r\n/), null, "something of it reached the upstream whole");
        // A request whose head is good and whose body goes wrong later has begun to pass; all others must not.
        const begun = (passed.match(/ HTTP\/1\.1\r\n/g)?.length ?? 0) - 1 - (one.first === undefined ? 0 : 1);
        assert.ok(begun === 0 || one.send[0]?.includes("Transfer-Encoding: chunked\r\n\r\n"), passed);
      }
      other.send(GET);
      await other.until(/ok[^]*ok$/);
      await eventually(() => listener.count().connections === 1);
      assert.equal(listener.count().exchanges, 0);
    });
  }
});

suite("a hostile response", () => {
  for (const { name, bytes, stays = false, client: expected } of hostileResponses) {
    test(`${name}: reaches nobody as it is, and its connection serves nobody else`, async (t) => {
      const upstream = await rawServer(t, (end) => {
        end.socket.once("data", () => {
          end.send(bytes);
          if (!stays) end.end();
        });
      });
      const { address, listener } = await wireTo(t, upstream.origin);
      const client = await rawClient(t, address);
      client.send(GET);
      if (expected === "bad")
        assert.match(await client.until(/HTTP\/1\.1 [2-5]\d\d/), /^(?:HTTP\/1\.1 103 Early Hints\r\n\r\n)*HTTP\/1\.1 502 /);
      else if (expected === "cut") assert.match(await client.over, /^HTTP\/1\.1 200 OK\r\n(?:.+\r\n)*\r\n(?!.*0\r\n\r\n$)/);
      else await client.until(new RegExp(`\r\n\r\n${expected.body}$`));
      await eventually(() => listener.count().exchanges === 0);
      const again = await rawClient(t, address);
      again.send(GET);
      await upstream.connection(name === "a line without a reason" ? 1 : 2);
      assert.doesNotMatch(again.text(), /poison/);
    });
  }
});

test("a response that nobody asked for ends its connection, and is no answer to the next request", async (t) => {
  const upstream = await rawServer(t, answering(OK));
  const { address } = await wireTo(t, upstream.origin);
  const client = await rawClient(t, address);
  client.send(GET);
  await client.until(/ok$/);
  const first = await upstream.connection(1);
  first.send("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison");
  await first.over;
  client.send(GET);
  assert.doesNotMatch(await client.until(/ok[^]*ok$/), /poison/);
});
