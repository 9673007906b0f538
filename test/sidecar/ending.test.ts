// How a shim ends: what is under way ends with it, within the time there is, or at once when it is told twice; and what a fault of its own does.
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { ask } from "../harness/http-get.ts";
import { startSidecarProcess } from "../harness/sidecar-process.ts";
import { openUpstream } from "../harness/upstream.ts";

suite("a shim that is told to end", { timeout: 60_000 }, () => {
  test("lets calls under way end, says so to new ones, and breaks what is left at a second signal", async (t) => {
    const upstream = await openUpstream(t, [{ after: "hang" }]);
    const shim = await startSidecarProcess(t, ["--allow-any"]);
    const call = ask(shim.outbound, `${upstream.url}/a`, { headers: { host: upstream.host } });
    const broken = assert.rejects(call);
    await upstream.arrived(1);
    shim.child.kill("SIGTERM");
    await shim.said("draining");
    const ready = await ask(shim.admin, "/readyz");
    assert.deepEqual([ready.status, ready.body.includes('"draining"')], [503, true]);
    await assert.rejects(ask(shim.outbound, `${upstream.url}/a`), { code: "ECONNREFUSED" });
    shim.child.kill("SIGTERM");
    assert.equal(await shim.ended, 0);
    await broken;
  });

  test("breaks what has not ended when its time is over", async (t) => {
    const upstream = await openUpstream(t, [{ after: "hang" }]);
    const shim = await startSidecarProcess(t, ["--allow-any", "--drain-time", "50ms"]);
    const broken = assert.rejects(ask(shim.outbound, `${upstream.url}/a`, { headers: { host: upstream.host } }));
    await upstream.arrived(1);
    shim.child.kill("SIGTERM");
    assert.equal(await shim.ended, 0);
    await broken;
    assert.match(shim.log.map(({ message }) => message).join("\n"), /broke what had not ended/);
  });

  test("over its admin listener ends at once", async (t) => {
    const shim = await startSidecarProcess(t, ["--allow-any"]);
    assert.equal((await ask(shim.admin, "/quitquitquit", { method: "POST" })).status, 202);
    assert.equal(await shim.ended, 0);
  });

  test("takes calls until the delay is over", async (t) => {
    const upstream = await openUpstream(t, [{ body: "hello" }]);
    const shim = await startSidecarProcess(t, ["--allow-any", "--drain-delay", "1h"]);
    shim.child.kill("SIGTERM");
    await shim.said("draining");
    assert.equal((await ask(shim.admin, "/readyz")).status, 503);
    assert.equal((await ask(shim.outbound, `${upstream.url}/a`, { headers: { host: upstream.host } })).body, "hello");
    shim.child.kill("SIGINT");
    assert.equal(await shim.ended, 0);
  });
});

test("a fault of its own ends the shim with 70, and a line that says why", { timeout: 60_000 }, async (t) => {
  // the fault comes from outside, since none is known within
  const fault = "data:text/javascript,process.once('SIGUSR2',()=>{throw new Error('a fault')})";
  const main = new URL("../../src/cli/main.ts", import.meta.url).pathname;
  const shim = await startSidecarProcess(t, ["--allow-any"], { command: [process.execPath, "--import", fault, main, "sidecar"] });
  shim.child.kill("SIGUSR2");
  assert.equal(await shim.ended, 70);
  const line = shim.log.find(({ event }) => event === "fault");
  assert.match(line?.message ?? "", /^Error: a fault\n/);
});
