// The access log: as text it cannot be forged by a caller, and a reader that is stuck or gone holds up no call.
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import fc from "fast-check";
import { jsonLine, textLine } from "../../src/sidecar/access-log/lines.ts";
import type { Entry } from "../../src/transports/proxy/entry.ts";
import { ask } from "../harness/http-get.ts";
import { startSidecarProcess } from "../harness/sidecar-process.ts";
import { openUpstream } from "../harness/upstream.ts";

const entry: Entry = {
  start_time: "2026-11-26T12:00:00.000Z",
  method: "GET",
  path: "/a",
  protocol: "HTTP/1.1",
  response_code: 200,
  response_code_details: "via_upstream",
  response_flags: "-",
  bytes_received: 1,
  bytes_sent: 2,
  duration: 3,
  upstream_service_time: null,
  x_forwarded_for: null,
  user_agent: null,
  request_id: "id",
  authority: "shop.internal",
  upstream_host: "10.0.0.1:80",
  upstream_cluster: "shop",
  attempts: 1,
};

suite("the access log", { timeout: 60_000 }, () => {
  test("as JSON is its entry, whatever a caller has written", () => {
    const text = fc.option(fc.string({ unit: "binary" }));
    const entries = fc.record({
      path: fc.string({ unit: "binary" }),
      method: fc.string(),
      request_id: fc.string({ unit: "binary-ascii" }),
      authority: fc.string(),
      x_forwarded_for: text,
      user_agent: text,
      upstream_host: text,
      upstream_cluster: text,
      upstream_service_time: fc.option(fc.nat()),
      grpc_status: fc.option(fc.nat(16), { nil: undefined }),
    });
    fc.assert(
      fc.property(entries, (some) => {
        const whole = { ...entry, ...some };
        assert.equal(jsonLine(whole as Entry, "inbound"), JSON.stringify({ ...whole, direction: "inbound" })); // the cast: an absent status is undefined here
      }),
    );
    assert.equal(JSON.parse(jsonLine({ ...entry, grpc_status: null }, "outbound")).grpc_status, null);
  });

  test("as text is Envoy's default format", () => {
    assert.equal(
      textLine(entry, "outbound"),
      '[2026-11-26T12:00:00.000Z] "GET /a HTTP/1.1" 200 - 1 2 3 - "-" "-" "id" "shop.internal" "10.0.0.1:80"',
    );
  });

  test("as text lets no caller end a line or its quotes, or speak to a terminal", () => {
    const line = textLine({ ...entry, path: '/"\\\n\u001b[31m', user_agent: '" 200 -' }, "outbound");
    assert.ok(line.includes('"GET /\\"\\\\\\x0a\\x1b[31m HTTP/1.1"') && line.includes('"\\" 200 -"'), line);
  });

  test("that nobody reads holds up no call, and what is dropped is counted", async (t) => {
    const upstream = await openUpstream(t, [{}]);
    const shim = await startSidecarProcess(t, ["--allow-any"], { deaf: true });
    const path = `${upstream.url}/${"x".repeat(12_000)}`;
    for (let round = 0; round < 40; round++)
      await Promise.all(Array.from({ length: 10 }, () => ask(shim.outbound, path, { headers: { host: upstream.host } })));
    const { body } = await ask(shim.admin, "/metrics");
    assert.ok(Number(/^premesh_sidecar_log_dropped_total (\d+)$/m.exec(body)?.[1]) > 0, body);
    shim.child.kill("SIGTERM");
    assert.equal(await shim.ended, 0);
  });

  test("whose reader is gone costs nothing but its lines", async (t) => {
    const upstream = await openUpstream(t, [{}]);
    const shim = await startSidecarProcess(t, ["--allow-any"]);
    shim.child.stdout.destroy();
    for (let call = 0; call < 3; call++)
      assert.equal((await ask(shim.outbound, `${upstream.url}/a`, { headers: { host: upstream.host } })).status, 200);
    shim.child.kill("SIGTERM");
    assert.equal(await shim.ended, 0);
  });
});
