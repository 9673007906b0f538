// Shims that share by a real Redis: one limit over all of them, and a key that is done once, wherever it comes in.
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, suite, test, type TestContext } from "node:test";
import { setTimeout as soon } from "node:timers/promises";
import { noRedis, openRedis } from "../harness/redis.ts";
import { type SidecarProcess, type StartOptions, startSidecarProcess } from "../harness/sidecar-process.ts";
import { openUpstream } from "../harness/upstream.ts";
import { post } from "../transports/inbound/service.ts";

const folder = mkdtempSync(join(tmpdir(), "premesh-shared-"));
after(() => rmSync(folder, { recursive: true, force: true }));

let files = 0;

function policyFile(...layers: readonly object[]): string {
  const file = join(folder, `policies-${++files}.json`);
  writeFileSync(file, JSON.stringify({ policies: [{ name: "guard", match: [{ inbound: true }], layers }] }));
  return file;
}

const keys = { kind: "idempotency", store: "shared" };

/** A shim in front of this app. */
const before = (
  t: TestContext,
  app: string,
  file: string,
  words: readonly string[] = [],
  env: StartOptions["env"] = {},
): Promise<SidecarProcess> =>
  startSidecarProcess(t, [file, "--inbound", "127.0.0.1:0", "--app", app, ...words], { env: { PREMESH_SHARED: "", ...env } });

/** The words that begin a shim whose Redis stands in a file. */
function sharedFile(url: string): readonly string[] {
  const file = join(folder, `redis-${++files}`);
  writeFileSync(file, `${url}\n`);
  return ["--shared-file", file];
}

const portOf = ({ inbound }: SidecarProcess): { readonly port: number } => ({ port: Number(inbound.split(":")[1]) });

suite("premesh sidecar --shared", { timeout: 60_000 }, () => {
  test("two shims keep one limit and do one key once", { skip: noRedis }, async (t) => {
    const redis = await openRedis(t, { args: ["--requirepass", "s3cr3t-word"] });
    const url = redis.url.replace("redis://", "redis://default:s3cr3t-word@");
    const app = await openUpstream(t, [{ body: "first" }, { body: "second" }, { body: "more" }]);
    const limit = { kind: "rateLimit", rate: 4, per: "1h", burst: 4, shared: true, onStoreLoss: "closed" };
    const file = policyFile(keys, limit);
    const shims = [await before(t, app.host, file, sharedFile(url)), await before(t, app.host, file, [], { PREMESH_SHARED: url })] as const;
    for (const { child } of shims) assert.doesNotMatch(readFileSync(`/proc/${child.pid}/cmdline`, "utf8"), /s3cr3t-word/);
    const [one, other] = [portOf(shims[0]), portOf(shims[1])];
    // a shim that has just started is not connected yet, and then does nothing
    for (const [index, shim] of [one, other].entries()) {
      while ((await post(shim, `begin-${index}`)).status !== 200) await soon(20);
    }
    assert.equal(app.requests.length, 2);
    const first = await post(one, "k");
    const again = await post(other, "k");
    assert.deepEqual([first.status, again.status, again.body.toString()], [200, 200, first.body.toString()]);
    assert.equal(again.headers["idempotency-replayed"], "true");
    assert.equal((await post(other, "k", { body: "other" })).status, 422);
    assert.equal(app.requests.length, 3);
    const statuses: number[] = [];
    for (const [nth, shim] of [other, one, other, one].entries()) statuses.push((await post(shim, `more-${nth}`)).status);
    assert.deepEqual(
      statuses.toSorted((a, b) => a - b),
      [200, 429, 429, 429],
    );
    for (const shim of shims) {
      shim.child.kill("SIGTERM");
      assert.equal(await shim.ended, 0);
      assert.doesNotMatch(JSON.stringify(shim.log) + shim.out(), /s3cr3t-word/);
    }
  });

  test("a shim whose Redis cannot be reached starts, and does nothing that has a key", async (t) => {
    const app = await openUpstream(t, [{ body: "done" }]);
    const shim = await before(t, app.host, policyFile(keys), ["--shared", "redis://user:s3cr3t-word@127.0.0.1:1"]);
    assert.match((await shim.said("password-exposed")).message, /--shared-file, or PREMESH_SHARED/);
    assert.deepEqual([(await post(portOf(shim), "k")).status, (await post(portOf(shim), undefined)).status], [503, 200]);
    shim.child.kill("SIGTERM");
    assert.equal(await shim.ended, 0);
    assert.doesNotMatch(JSON.stringify(shim.log) + shim.out(), /s3cr3t-word/);
  });

  test("what is no URL of a Redis, and answers that nobody would share, keep it from starting; no password is told", async (t) => {
    const app = await openUpstream(t, [{}]);
    const wrong = await before(t, app.host, policyFile(keys), ["--shared", "http://user:s3cr3t-word@127.0.0.1:1"]);
    assert.equal(await wrong.ended, 2);
    assert.match(JSON.stringify(wrong.log), /must begin with redis/);
    assert.doesNotMatch(JSON.stringify(wrong.log), /s3cr3t-word/);
    const written = await before(t, app.host, policyFile(keys), sharedFile("redis://user:s3cr3t-word@127.0.0.1:1/x"));
    assert.equal(await written.ended, 2);
    assert.doesNotMatch(JSON.stringify(written.log), /s3cr3t-word/);
    const alone = await before(t, app.host, policyFile(keys));
    assert.equal(await alone.ended, 2);
    assert.match(JSON.stringify(alone.log), /--shared/);
  });

  test("a Redis on the command line comes before the one in the environment, and without a password nobody is warned", async (t) => {
    const app = await openUpstream(t, [{}]);
    const shim = await before(t, app.host, policyFile(keys), ["--shared", "redis://127.0.0.1:1"], { PREMESH_SHARED: "no URL" });
    assert.deepEqual([(await post(portOf(shim), "k")).status, shim.log.filter(({ level }) => level !== "info").length], [503, 0]);
  });

  test("one that is named twice, and a file that is empty or not there, are told of", async (t) => {
    const file = policyFile(keys);
    for (const [words, says] of [
      [["--shared", "redis://127.0.0.1:1", ...sharedFile("redis://127.0.0.1:1")], /--shared or --shared-file, not both/],
      [["--shared-file", join(folder, "none")], /--shared-file .*none cannot be read \(ENOENT\)/],
      [sharedFile(""), /--shared-file .* is empty/],
    ] as const) {
      const shim = await before(t, "127.0.0.1:1", file, words);
      assert.equal(await shim.ended, 2);
      assert.match(JSON.stringify(shim.log), says);
    }
  });
});
