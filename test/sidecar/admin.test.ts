// The admin and the health listener of a running shim: what they answer, to whom, and that nobody reaches them through the proxy.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite, test, type TestContext } from "node:test";
import { definePolicy, retry, route } from "../../src/index.ts";
import { newOutput } from "../../src/sidecar/output.ts";
import { newLog } from "../../src/sidecar/log.ts";
import { type Sidecar, startSidecar } from "../../src/sidecar/sidecar.ts";
import type { SidecarSettings } from "../../src/sidecar/settings.ts";
import { startTelemetry } from "../../src/sidecar/telemetry/telemetry.ts";
import { systemTimers } from "../../src/call/clock.ts";
import { ask } from "../harness/http-get.ts";
import { openUpstream } from "../harness/upstream.ts";

interface Running {
  readonly shim: Sidecar;
  readonly admin: string;
  readonly outbound: string;
  readonly quit: Promise<void>;
}

/** A shim in this process, ended after the test. */
async function running(t: TestContext, settings: Partial<SidecarSettings> = {}): Promise<Running> {
  const output = newOutput(process.stderr, { timers: systemTimers });
  const log = newLog({ write: () => undefined }, "json", Date.now);
  const telemetry = await startTelemetry({}, log);
  const quit = Promise.withResolvers<void>();
  const shim = await startSidecar(
    { version: "1.2.3", policies: [], outbound: "127.0.0.1:0", admin: "127.0.0.1:0", ...settings },
    { log, telemetry, accessLog: undefined, dropped: output.dropped, quit: quit.resolve },
  );
  t.after(async () => {
    await shim.stop();
    await telemetry.shutdown(1_000);
  });
  return { shim, admin: shim.addresses.admin ?? "", outbound: shim.addresses.outbound ?? "", quit: quit.promise };
}

const json = (text: string): unknown => JSON.parse(text);

suite("the admin listener", { timeout: 30_000 }, () => {
  test("says how the shim is, what is in force and what happened, as JSON", async (t) => {
    const upstream = await openUpstream(t, [{ status: 503 }, {}]);
    const shop = definePolicy({
      name: "shop",
      match: [{ host: "shop.internal" }],
      layers: [retry(), route({ to: [{ endpoints: [upstream.url] }] })],
    });
    const { admin, outbound } = await running(t, { policies: [shop] });
    assert.equal((await ask(outbound, "http://shop.internal/a", { headers: { host: "shop.internal" } })).status, 200);
    const health = await ask(admin, "/healthz");
    assert.deepEqual([health.status, json(health.body), health.headers["content-type"]], [200, { status: "alive" }, "application/json"]);
    const ready = await ask(admin, "/readyz");
    assert.deepEqual([ready.status, json(ready.body)], [200, { status: "ready", policies: "in force" }]);
    const config = json((await ask(admin, "/config")).body) as {
      version: string;
      source: unknown;
      policies: { name: string; revision: string }[];
    }; // the cast: what it is
    assert.deepEqual([config.version, config.source, config.policies.map(({ name }) => name)], ["1.2.3", null, ["shop"]]);
    assert.match(config.policies[0]?.revision ?? "", /^\w{16}$/);
    const stats = json((await ask(admin, "/stats")).body) as { state: string; policies: { shop: { targets: object } } }; // the cast: what it is
    assert.deepEqual([stats.state, Object.keys(stats.policies.shop.targets)], ["ready", ["shop.internal"]]);
  });

  test("shows the metrics of the policies and of the shim to Prometheus", async (t) => {
    const upstream = await openUpstream(t, [{ status: 503 }, { body: "hello" }]);
    const shop = definePolicy({
      name: "shop",
      match: [{ host: "shop.internal" }],
      layers: [retry({ backoff: { base: "1ms", max: "1ms" } }), route({ to: [{ endpoints: [upstream.url] }] })],
    });
    const { admin, outbound } = await running(t, { policies: [shop] });
    await ask(outbound, "http://shop.internal/a", { headers: { host: "shop.internal" } });
    await ask(outbound, "http://elsewhere.internal/a", { headers: { host: "elsewhere.internal" } });
    const { headers, body } = await ask(admin, "/metrics");
    assert.equal(headers["content-type"], "text/plain; version=0.0.4; charset=utf-8");
    for (const line of [
      'premesh_sidecar_requests_total{direction="outbound",protocol="HTTP/1.1",response_code_class="2xx",response_flags="-"} 1',
      'premesh_sidecar_requests_total{direction="outbound",protocol="HTTP/1.1",response_code_class="4xx",response_flags="NR"} 1',
      'premesh_sidecar_sent_bytes_total{direction="outbound",protocol="HTTP/1.1",response_code_class="2xx",response_flags="-"} 5',
      'premesh_sidecar_request_duration_seconds_count{direction="outbound"} 2',
      'premesh_sidecar_requests_active{direction="outbound"} 0',
      "premesh_sidecar_draining 0",
    ])
      assert.ok(body.split("\n").includes(line), `${line}\n${body}`);
    assert.match(body, /^premesh_call_attempts_sum\{premesh_policy="shop".*\} 2$/m);
    assert.match(body, /^premesh_call_duration_seconds_count\{premesh_policy="shop",outcome="success"\} 1$/m);
    assert.match(body, /^premesh_policy_info\{premesh_policy="shop",hash="\w{16}"\} 1$/m);
    const units = [...body.matchAll(/^# UNIT (\w+) (.*)$/gm)];
    assert.deepEqual(
      units.filter(([, name = "", unit = ""]) => !name.replace(/_total$/, "").endsWith(`_${unit}`)).map(([line]) => line),
      [],
      "a unit stands in the name",
    );
    assert.ok(units.length > 5);
    // every line is one of the format's: https://prometheus.io/docs/instrumenting/exposition_formats/
    const odd = body
      .split("\n")
      .filter(
        (line) =>
          line !== "" &&
          !/^# (?:HELP|TYPE|UNIT) [a-z_]\w*( .*)?$|^[a-z_]\w*(\{[a-z_]\w*="(?:[^"\\]|\\.)*"(,[a-z_]\w*="(?:[^"\\]|\\.)*")*\})? -?[\d.e+]+$/.test(
            line,
          ),
      );
    assert.deepEqual(odd, []);
  });

  test("knows its paths and methods, and HEAD", async (t) => {
    const { admin } = await running(t);
    const missing = await ask(admin, "/secrets");
    assert.equal(missing.status, 404);
    assert.ok(missing.body.includes("GET /readyz") && missing.body.includes("POST /drain"));
    for (const path of ["/drain", "/quitquitquit"]) {
      const { status, headers } = await ask(admin, path);
      assert.deepEqual([status, headers["allow"]], [405, "POST"]);
    }
    assert.deepEqual(
      [(await ask(admin, "/readyz", { method: "POST" })).status, (await ask(admin, "/readyz", { method: "DELETE" })).status],
      [405, 405],
    );
    const head = await ask(admin, "/readyz?verbose", { method: "HEAD" });
    assert.deepEqual([head.status, head.body], [200, ""]);
  });

  test("heeds no page in a browser", async (t) => {
    const { admin, shim } = await running(t);
    assert.equal((await ask(admin, "/config", { headers: { host: "evil.example" } })).status, 403);
    assert.equal((await ask(admin, "/drain", { method: "POST", headers: { origin: "http://evil.example" } })).status, 403);
    assert.equal((await ask(admin, "/readyz")).status, 200);
    assert.notEqual(shim.addresses.outbound, undefined);
  });

  test("is not reached through the proxy, by no name", async (t) => {
    const { admin, outbound } = await running(t, { allowAny: true, health: "127.0.0.1:0" });
    const port = admin.split(":")[1];
    for (const host of [
      admin,
      `localhost:${port}`,
      `[::1]:${port}`,
      `0.0.0.0:${port}`,
      `127.1:${port}`,
      `[::ffff:127.0.0.1]:${port}`,
      outbound,
    ]) {
      const { status, body } = await ask(outbound, `http://${host}/quitquitquit`, { method: "POST", headers: { host } });
      assert.ok(status >= 400, `${host} ${status} ${body}`);
    }
    assert.equal((await ask(admin, "/readyz")).status, 200);
  });

  test("drains: is ready no more at once, and asks for the end when what was under way is over", async (t) => {
    const upstream = await openUpstream(t, [{ after: "hang" }]);
    const { admin, outbound, quit } = await running(t, { allowAny: true });
    const slow = ask(outbound, `${upstream.url}/a`, { headers: { host: upstream.host } });
    await upstream.arrived(1);
    assert.equal((await ask(admin, "/drain", { method: "POST" })).status, 202);
    const ready = await ask(admin, "/readyz");
    assert.deepEqual(
      [ready.status, (json(ready.body) as { status: string }).status, (await ask(admin, "/healthz")).status],
      [503, "draining", 200],
    );
    upstream.finish();
    assert.deepEqual([(await slow).status, (await slow).body], [200, "part"]);
    await quit;
  });

  test("on a socket is its owner's alone, and may be called by any name", async (t) => {
    const folder = mkdtempSync(join(tmpdir(), "premesh-admin-"));
    t.after(() => rmSync(folder, { recursive: true, force: true }));
    const path = join(folder, "admin.sock");
    const { admin } = await running(t, { admin: `unix:${path}` });
    assert.equal(statSync(path).mode & 0o777, 0o600);
    assert.equal((await ask(admin, "/readyz", { headers: { host: "anything" } })).status, 200);
  });
});

suite("the health listener", { timeout: 30_000 }, () => {
  test("answers probes and Prometheus by any name, and nothing else", async (t) => {
    const { shim } = await running(t, { health: "127.0.0.1:0" });
    const health = shim.addresses.health ?? "";
    for (const path of ["/healthz", "/readyz", "/metrics"])
      assert.equal((await ask(health, path, { headers: { host: "shop.prod.svc" } })).status, 200, path);
    for (const path of ["/config", "/stats"]) assert.equal((await ask(health, path)).status, 404, path);
    for (const path of ["/drain", "/quitquitquit"]) assert.equal((await ask(health, path, { method: "POST" })).status, 404, path);
  });
});
