// The shim as a process: what it says, how it ends, and what ends it.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, suite, test } from "node:test";
import { fileURLToPath } from "node:url";
import { ask } from "../harness/http-get.ts";
import { startSidecarProcess } from "../harness/sidecar-process.ts";
import { openUpstream } from "../harness/upstream.ts";

const MAIN = fileURLToPath(new URL("../../src/cli/main.ts", import.meta.url));

const folder = mkdtempSync(join(tmpdir(), "premesh-sidecar-"));
after(() => rmSync(folder, { recursive: true, force: true }));

let files = 0;

/** A file with one policy, whose calls go to this upstream. */
function policyFile(endpoint: string): string {
  const file = join(folder, `policies-${++files}.json`);
  const layers = [{ kind: "timeout", after: "5s" }, { kind: "retry" }, { kind: "route", to: [{ endpoints: [endpoint] }] }];
  writeFileSync(file, JSON.stringify({ policies: [{ name: "shop", match: [{ host: "shop.internal" }], layers }] }));
  return file;
}

/** One request through a proxy, as curl -x sends it. */
const through = async (proxy: string, url: string): Promise<{ readonly status: number; readonly body: string }> => {
  const { status, body } = await ask(proxy, url, { headers: { host: new URL(url).host } });
  return { status, body };
};

interface Ran {
  readonly code: unknown;
  readonly err: string;
}

const ran = (...words: readonly string[]): Promise<Ran> =>
  new Promise((resolve) => {
    execFile(process.execPath, [MAIN, "sidecar", ...words], { timeout: 30_000 }, (error, _out, err) =>
      resolve({ code: error === null ? 0 : error.code, err }),
    );
  });

suite("premesh sidecar", { timeout: 60_000 }, () => {
  test("sends calls through the policy that they match, writes the access log, and ends with 0 when it is told to", async (t) => {
    const upstream = await openUpstream(t, [{ status: 503 }, { body: "hello" }]);
    const shim = await startSidecarProcess(t, [policyFile(upstream.url)]);
    assert.deepEqual(await through(shim.outbound, "http://shop.internal/a"), { status: 200, body: "hello" });
    assert.equal((await through(shim.outbound, "http://elsewhere.internal/a")).status, 404);
    shim.child.kill("SIGTERM");
    assert.equal(await shim.ended, 0);
    const entries = shim
      .out()
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as Record<string, unknown>); // the cast: lines of JSON objects
    assert.deepEqual(
      entries.map(({ direction, path, response_code, attempts, response_flags }) => [
        direction,
        path,
        response_code,
        attempts,
        response_flags,
      ]),
      [
        ["outbound", "/a", 200, 2, "-"],
        ["outbound", "/a", 404, 0, "NR"],
      ],
    );
    assert.deepEqual(
      shim.log.map(({ event }) => event),
      ["listening", "listening", "ready", "signal", "draining"],
    );
  });

  test("without policies lets nothing through, and says so", async (t) => {
    const upstream = await openUpstream(t, [{}]);
    const shim = await startSidecarProcess(t, []);
    assert.match(
      shim.log.find(({ event }) => event === "no-policies")?.message ?? "",
      /nothing goes through; name a file, or say --allow-any/,
    );
    assert.equal((await through(shim.outbound, upstream.url)).status, 404);
  });

  test("with --allow-any lets through what no policy matches", async (t) => {
    const upstream = await openUpstream(t, [{ body: "hello" }]);
    const shim = await startSidecarProcess(t, ["--allow-any"]);
    assert.deepEqual(await through(shim.outbound, `${upstream.url}/a`), { status: 200, body: "hello" });
  });

  test("brings calls to the app on --inbound, and writes the log as text", async (t) => {
    const app = await openUpstream(t, [{ body: "the app" }]);
    const words = ["--inbound", "127.0.0.1:0", "--app", app.host, "--outbound", "off", "--access-log", "text"];
    const shim = await startSidecarProcess(t, words);
    assert.equal(shim.outbound, "");
    assert.deepEqual(await through(shim.inbound, "http://me.internal/a"), { status: 200, body: "the app" });
    shim.child.kill("SIGTERM");
    await shim.ended;
    assert.match(shim.out(), /^\[\d{4}-.+Z\] "GET \/a HTTP\/1\.1" 200 - 0 7 \d+ \d+ "-" "-" "[\w-]+" "me\.internal" "127\.0\.0\.1:\d+"\n$/);
  });

  test("says in Proxy-Status that it has refused what is no request, and takes others", async (t) => {
    const { outbound } = await startSidecarProcess(t, ["--allow-any"]);
    const { hostname, port } = new URL(`http://${outbound}`);
    const socket = connect(Number(port), hostname).setEncoding("utf8");
    socket.write("GET / HTTP/1.1\r\nHost: a.internal\r\nHost: b.internal\r\n\r\n");
    let answer = "";
    for await (const text of socket as AsyncIterable<string>) answer += text;
    assert.match(answer, /^HTTP\/1\.1 400 /);
    assert.match(answer, /^proxy-status: premesh-\w+; error=http_request_error/im);
    const upstream = await openUpstream(t, [{ body: "hello" }]);
    assert.deepEqual(await through(outbound, upstream.url), { status: 200, body: "hello" });
  });

  test("does not start with policies that are wrong, and says what is", async () => {
    const file = join(folder, "wrong.yaml");
    writeFileSync(file, "name: shop\nlayers:\n  - { kind: retry, attempts: 0 }\n");
    const { code, err } = await ran(file);
    assert.equal(code, 1);
    assert.match(err, /wrong\.yaml:3:\d+: error PM0204 \[shop\] layers\[0\]\.attempts: must be a whole number/);
    const missing = await ran(join(folder, "none.yaml"));
    assert.equal(missing.code, 2);
    assert.match(missing.err, /PM0101/);
  });

  test("does not start on a port that is taken", async (t) => {
    const server = createServer().listen(0, "127.0.0.1");
    t.after(() => server.close());
    await new Promise((resolve) => server.once("listening", resolve));
    const address = `127.0.0.1:${(server.address() as { port: number }).port}`; // the cast: it listens on a port
    for (const option of ["outbound", "admin"]) {
      const { code, err } = await ran(...(option === "admin" ? ["--outbound", "127.0.0.1:0"] : ["--admin", "off"]), `--${option}`, address);
      assert.equal(code, 2);
      assert.ok(err.includes(`${address} is in use: end what listens there, or take another address with --${option}`), err);
    }
  });

  for (const [words, says] of [
    [["--outbound", "15001"], /--outbound: Address "15001": write "127\.0\.0\.1:15001"/],
    [["--admin", "0.0.0.0:15000"], /can be reached from other machines.+--admin-open/],
    [["--inbound", "0.0.0.0:15006"], /--inbound and --app go together/],
    [["--outbound", "off"], /leaves nothing to do without --inbound/],
    [["--access-log", "xml"], /--access-log must be json, text or off/],
    [["--drain-time", "soon"], /--drain-time must be a duration/],
    [["a.yaml", "b.yaml"], /takes one file of policies/],
    [["a.yaml", "--demo"], /--demo brings its own policies/],
  ] as const) {
    test(`says what is wrong with ${words.join(" ")}`, async () => {
      const { code, err } = await ran(...words);
      assert.equal(code, 2);
      assert.match(err, says);
    });
  }

  test("--demo starts an upstream, too, and prints what to curl", async (t) => {
    const shim = await startSidecarProcess(t, ["--demo"]);
    assert.ok(shim.out().includes(`curl -i -x http://${shim.outbound} http://shop.internal/flaky`), shim.out());
    assert.deepEqual(await through(shim.outbound, "http://shop.internal/flaky"), {
      status: 200,
      body: "hello from the upstream, GET /flaky\n",
    });
    assert.equal((await through(shim.outbound, "http://shop.internal/limited")).status, 200);
    assert.equal((await through(shim.outbound, "http://shop.internal/limited")).status, 429);
  });
});
