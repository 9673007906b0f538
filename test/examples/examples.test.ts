// Every example and the demo run as a reader would run them: as processes of their own, which print what they promise and end by themselves.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { noRedis } from "../harness/redis.ts";

const root = join(import.meta.dirname, "../..");
const read = (path: string): string => readFileSync(join(root, path), "utf8");

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a file; resolves when it and every process that shares its output have ended. `onOutput` may look on and end it. */
function run(
  file: string,
  args: readonly string[] = [],
  onOutput?: (stdout: string, kill: (signal: NodeJS.Signals) => void) => void,
): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [join(root, file), ...args], {
      cwd: root,
      env: { ...process.env, NODE_OPTIONS: "", NODE_TEST_CONTEXT: undefined, FORCE_COLOR: undefined },
    });
    let stdout = "";
    let stderr = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      stdout += text;
      onOutput?.(stdout, (signal) => child.kill(signal));
    });
    child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
    child.once("error", reject).once("close", (code) => resolve({ code, stdout, stderr }));
  });
}

/** What both services show. */
const service = [
  /^all is well: 200 \{"id":"7","alsoRead":\["Dune","Solaris"\]\}\nrecommendations are down: 200 \{"id":"7","alsoRead":\[\]\}$/m,
  /^payments fail every other time: 201 \{"paid":true\}\npayments go down: 502 \{"paid":false\}$/m,
  /^and are left alone: 503 \{"error":"ERR_PREMESH_BREAKER_OPEN"\} \(try again in 5 s\)$/m,
  /^a caller goes away: the call to recommendations is given up too\nshut down: nothing was under way any more$/m,
];

/** What each example must print: the lesson, not the figures that chance and the machine have a part in. */
const lessons: Readonly<Record<string, readonly RegExp[]>> = {
  "quickstart.ts": [
    /^GET 127\.0\.0\.1:\d+ under policy payments: 200, after 3 attempts, in /m,
    /attempt 2 came out as 503: attempt 3 follows/,
  ],
  "retry.ts": [
    /^GET: 200 after 2 attempts$/m,
    /^POST: 503 after 1 attempt$/m,
    /^POST that the caller calls idempotent: 200 after 2 attempts$/m,
  ],
  "timeout.ts": [
    /must be answered within 400 ms/,
    /it was aborted/,
    /^200 here you are$/m,
    /^ERR_PREMESH_TIMEOUT by whole-call after 3 attempts$/m,
  ],
  "hedge.ts": [
    /^bare: (?:[5-9]|\d\d) of 50 calls took more than 150 ms; the server got 50 requests$/m,
    /^hedged: \d of 50 calls took more than 150 ms; the server got [5-9]\d requests$/m,
    /^the server saw the slow copies cancelled$/m,
  ],
  "breaker.ts": [
    /^500 \(breaker open, the server has seen 3\)$/m,
    /^ERR_PREMESH_BREAKER_OPEN, try again in \d+ ms \(breaker open, the server has seen 3\)$/m,
    /^200 \(breaker closed, the server has seen 4\)$/m,
  ],
  "route.ts": [
    /^a canary with a share of 20 %: [2-6]\d of 200 users see v2$/m,
    /^user 42 has seen 1 version in ten calls$/m,
    /^rolled out, while calls go on: 200 of 200 users see v2$/m,
    /^rolled back, and one server dies: 0 of 100 calls failed, 1 server was ejected$/m,
  ],
  "rateLimit.ts": [
    /^refusing.*\n {2}200\n {2}200\n {2}200\n {2}ERR_PREMESH_RATE_LIMITED, try again in \d+ ms\n {2}ERR_PREMESH_RATE_LIMITED, .*$/m,
    /^queueing.*\n(?: {2}200\n){5} {2}all answered/m,
  ],
  "bulkhead.ts": [
    /call 5: a long report\n {2}call 6: ERR_PREMESH_BULKHEAD_FULL\n {2}call 7: ERR_PREMESH_BULKHEAD_FULL/,
    /never saw more than 2 at a time/,
  ],
  "fallback.ts": [
    /^fixed: 200 \{"recommendations":\[\]\} \(premesh-fallback: fixed\)$/m,
    /^elsewhere: 200 \/recommendations from the backup \(premesh-fallback: elsewhere\)$/m,
  ],
  "fault.ts": [/^bare: 1\d\d of 200 calls succeeded/m, /^retried: (?:19\d|200) of 200 calls succeeded/m],
  "idempotency.ts": [
    /request 2 has a key that I know: not charged again/,
    /^201 after 2 attempts, charged 1 time$/m,
    /a fresh one, "order-4711"/,
  ],
  "inbound.ts": [
    /^five ask at once, and two places are there:\n {2}200\n {2}200\n(?: {2}503, try again in 1 s\n){3}/m,
    /^work that takes too long:\n(?: {2}(?:service: given up, nobody waits any more|504 ERR_PREMESH_TIMEOUT)\n){2}a health check: 200$/m,
  ],
  "inbound-idempotency.ts": [
    /^ {2}service: order 1 is written down\nk-1, book: 201 order 1\nk-1, book: 201 \(given again\) order 1\nk-1, lamp: 422 .*used for another/m,
    /^k-2, lamp: 201 order 2\nno key, lamp: 400 .*a key is needed.*\n2 orders$/m,
  ],
  "trace.ts": [/^premesh catalog \(attempts: 2\)\n {2}GET 503: the server got its id\n {2}GET 200, resend 1: the server got its id$/m],
  "adopt.ts": [
    /^200 after 2 attempts$/m,
    /\(opossum says: open\)\nERR_PREMESH_BREAKER_OPEN by the layer breaker\n(?:ERR_PREMESH_BREAKER_OPEN by the layer breaker\n){2}/,
    /^the server has seen 4 requests$/m,
  ],
  "express/main.ts": service,
  "fastify/main.ts": service,
  "run.ts": [/^3 rows after 2 attempts$/m, /^ERR_PREMESH_TIMEOUT after 3 attempts/m],
  "grpc-unary.ts": [
    /^Get: 10 after 3 attempts$/m,
    /^Charge: 14 UNAVAILABLE: try again, after 1 attempt$/m,
    /^Charge again: UNAVAILABLE by breaker, ERR_PREMESH_BREAKER_OPEN, try again in \d+ ms$/m,
  ],
  "grpc-streaming.ts": [
    /^server stream: 1, 2, 3 after 3 attempts$/m,
    /^client stream: the sum is 6 after 2 attempts; the server has got 1,2 and then 1,2,3$/m,
    /^bidirectional: 10, 20, 30 after 1 attempt$/m,
    /^broke off after 1, 2: 13 INTERNAL; after its head nothing is repeated$/m,
    /^cancelled after 1$/m,
  ],
  "connect/main.ts": [/^Get: 10 after 3 attempts\nImport: 6 after 3 attempts\nList: 1, 2, 3\nCharge: Unavailable after 1 attempt$/m],
  "move-to-sidecar/main.ts": [
    /^1-in-process\.yaml: 200 paid, directly, after 3 attempts\n {2}with the sidecar gone: 200 paid, directly$/m,
    /^2-attempts-in-the-sidecar\.yaml: 200 paid, by the sidecar, after 3 attempts\n {2}with the sidecar gone: 200 paid, directly$/m,
    /^3-all-in-the-sidecar\.yaml: 200 paid, by the sidecar, after 3 attempts\n(?:python: 200 paid, by the sidecar|Error: spawn python3 ENOENT)\n {2}with the sidecar gone: 200 paid, directly$/m,
  ],
  "policy-file/main.ts": [
    /^the same revision from file, code and JSON: true$/m,
    /^200 under policy payments$/m,
    /layers\[0\]\.atempts: .*did you mean "attempts"/,
    /layers\[1\]\.after: /,
  ],
  "testing.ts": [
    /^61 seconds have passed, and 4 requests came$/m,
    /✔ payments are left alone after three failures, and tried again after a minute/,
  ],
  "simulate.ts": [
    /^bare: \d\d % succeeded, 1\.0 sends per call, in trouble until \d+ s of 300 s$/m,
    /^retries without a budget: 1\d % succeeded, 3\.\d sends per call, in trouble until 295 s of 300 s$/m,
    /^with a budget and a breaker: \d\d % succeeded, 0\.\d sends per call, in trouble until 120 s of 300 s$/m,
  ],
  "hot-update.ts": [
    /^three failures: the breaker is open$/m,
    /is still open$/m,
    /^a bad set throws \(policies\[0\]\.layers\[0\]\.attempts\), and the breaker is still open$/m,
    /it is closed$/m,
  ],
};

describe("every example teaches its lesson and ends by itself", { concurrency: 2 }, () => {
  for (const [file, expected] of Object.entries(lessons)) {
    test(file, async () => {
      const { code, stdout, stderr } = await run(`examples/${file}`);
      assert.equal(stderr, "");
      for (const line of expected) assert.match(stdout, line);
      assert.equal(code, 0);
    });
  }

  test("none is left out", () => {
    const files = globSync(["*.ts", "*/main.ts"], { cwd: join(root, "examples") }).filter(
      (file) => !["server.ts", "upstreams.ts", "demo/main.ts"].includes(file),
    );
    assert.deepEqual(files.toSorted(), Object.keys(lessons).toSorted());
  });
});

describe("the demo", () => {
  for (const protocol of ["http", "grpc"]) {
    test(`shows every scene bare and under the policy, sees the breaker open and close, and ends by itself, over ${protocol}`, async () => {
      const { code, stdout, stderr } = await run("examples/demo/main.ts", [protocol, "--seconds", protocol === "http" ? "14" : "10"]);
      assert.equal(stderr, "");
      assert.equal(code, 0);
      for (const kind of ["errors", "resets", "tails", "overload", "outage"]) {
        assert.match(stdout, new RegExp(`^\\d/5 ${kind}: `, "m"));
        assert.match(stdout, new RegExp(`^ {2}${kind} +(?:\\d+\\.\\d % +){2}(?:[\\d.]+ m?s +){4}\\d\\.\\d\\d +\\d\\.\\d\\d$`, "m"));
      }
      assert.equal(
        stdout.match(/^ {2}(?:bare|premesh) +[█▏▎▍▌▋▊▉░]+ +\d+\.\d % +\d\.\d\d +\d\.\d\d +[\d.]+ m?s +[\d.]+ m?s$/gm)?.length,
        10,
      );
      assert.match(stdout.slice(stdout.indexOf("5/5 outage")), /breaker +[\d.]+ m?s opened[^]*half-opened[^]*closed/);
      assert.match(stdout, /what the policy made worse/);
      for (const control of ["\r", "\u001B"]) assert.ok(!stdout.includes(control), "a terminal's control characters stay away from a pipe");
      for (const line of stdout.split("\n")) assert.ok(line.length <= 80, line);
    });
  }

  test("route: the policy keeps calls away from the servers that are ill, where bare round robin does not", async () => {
    const { code, stdout, stderr } = await run("examples/demo/main.ts", ["route", "--seconds", "6"]);
    assert.equal(stderr, "");
    assert.equal(code, 0);
    const success = (lane: string): number => Number(new RegExp(`^ {2}${lane} +[█▏▎▍▌▋▊▉░]+ +([\\d.]+) % `, "m").exec(stdout)?.[1]);
    assert.ok(success("bare") < 85, stdout);
    assert.ok(success("premesh") > success("bare") + 10, stdout);
    const [, numbers = ""] = /^ {2}premesh +((?:\d+ *){10})$/m.exec(stdout) ?? [];
    const [slow = 0, dead = 0, resets = 0, , ...well] = numbers.trim().split(/ +/).map(Number);
    assert.equal(dead, 0);
    assert.equal(well.length, 6);
    for (const count of well) assert.ok(count > slow && count > resets, stdout);
    assert.match(stdout, /^ {2}decisions +[^]*ejected \d+x/m);
    for (const line of stdout.split("\n")) assert.ok(line.length <= 80, line);
  });

  test("move: nothing changes for the caller, wherever the seam is, and when the shim is killed", async () => {
    const { code, stdout, stderr } = await run("examples/demo/main.ts", ["move", "--seconds", "6"]);
    assert.equal(stderr, "");
    assert.equal(code, 0);
    const rows = [...stdout.matchAll(/^ {2}(.*timeout 1s) +([\d.]+) % +(\d+) % +([\d.]+) +([\d.]+) %$/gm)].map((found) => found.slice(1));
    const seam = (text = ""): number => (text.startsWith("|") ? 0 : (text.split(" | ")[0]?.split(" > ").length ?? 0));
    assert.deepEqual(
      rows.map(([layers]) => (layers?.includes("|") ? seam(layers) : undefined)),
      [undefined, 3, 2, 1, 0, 2],
    );
    for (const [, success, same] of rows) assert.deepEqual([success, same], ["100.0", "100"], stdout);
    assert.equal(new Set(rows.slice(0, 5).map(([, , , sent]) => sent)).size, 1, stdout);
    assert.deepEqual(
      rows.slice(0, 5).map(([, , , , byShim]) => byShim),
      ["0.0", "100.0", "100.0", "100.0", "100.0"],
    );
    const killed = Number(rows[5]?.[4]);
    assert.ok(killed > 0 && killed < 100, stdout);
    for (const line of stdout.split("\n")) assert.ok(line.length <= 80, line);
  });

  test("shared: three processes keep to one limit, with Redis and without", { skip: noRedis }, async () => {
    const { code, stdout, stderr } = await run("examples/demo/main.ts", ["shared", "--seconds", "5"]);
    assert.equal(stderr, "");
    assert.equal(code, 0);
    for (const [span, burst] of [
      ["before", 30],
      ["without", 0],
      ["after", 30],
    ] as const) {
      const [, numbers = ""] = new RegExp(`^ {2}${span} +((?:\\d+ *){4})$`, "m").exec(stdout) ?? [];
      const [, , , together = 0] = numbers.trim().split(/ +/).map(Number);
      assert.ok(together > 0 && together <= 150 * 1.1 + burst, `${span}: ${together} a second\n${stdout}`); // a span is 1.7 s, in which the burst comes on top
    }
    assert.match(stdout, /^ {2}Redis +·+x+·+$/m);
    assert.match(stdout, /store lost at/);
    for (const line of stdout.split("\n")) assert.ok(line.length <= 80, line);
  });

  test("ends with its servers and calls when it is interrupted", async () => {
    let interrupted = false;
    const { code, stdout, stderr } = await run("examples/demo/main.ts", [], (output, kill) => {
      if (interrupted || !output.includes("1/5 errors")) return;
      interrupted = true;
      kill("SIGINT");
    });
    assert.equal(stderr, "");
    assert.match(stdout, /^stopped/m);
    assert.doesNotMatch(stdout, /2\/5/);
    assert.equal(code, 130);
  });

  test("tells how it is used, and what is wrong with how it was", async () => {
    const help = await run("examples/demo/main.ts", ["--help"]);
    assert.match(help.stdout, /--seconds/);
    assert.equal(help.code, 0);
    const wrong = await run("examples/demo/main.ts", ["--seconds", "soon"]);
    assert.match(wrong.stderr, /--seconds must be a number/);
    assert.equal(wrong.code, 1);
    const lost = await run("examples/demo/main.ts", ["roote"]);
    assert.match(lost.stderr, /there are "grpc", "route", "move" and "shared"/);
    assert.equal(lost.code, 1);
  });
});

// The README's ts snippets are type-checked and run by test/docs/snippets.test.ts, with those of docs/.
describe("the README", () => {
  const readme = read("README.md");

  test("begins with the lines of the quickstart example", () => {
    const [, snippet = ""] = /```ts\n([^]*?)```/.exec(readme) ?? [];
    const lines = snippet.trim().split("\n");
    assert.equal(lines.length, 12);
    const example = read("examples/quickstart.ts").replace("../src/index.ts", "premesh").replace("server.url", "url").split("\n");
    for (const line of lines) assert.ok(example.includes(line), line);
  });

  test("shows what the quickstart prints", async () => {
    const [, shown = ""] = /```text\n(GET [^]*?)```/.exec(readme) ?? [];
    const { stdout } = await run("examples/quickstart.ts");
    const settled = (text: string): string => text.trim().replaceAll(/127\.0\.0\.1:\d+|[\d.]+ ms$/gm, "...");
    assert.equal(settled(stdout), settled(shown));
  });

  test("names every layer with its example and its reference", () => {
    for (const layer of ["trace", "rateLimit", "bulkhead", "timeout", "retry", "breaker", "fallback", "fault", "idempotency"]) {
      assert.ok(readme.includes(`| [\`${layer}\`](docs/reference/layers/${layer}.md) |`), layer);
      assert.ok(readme.includes(`[\`${layer}.ts\`](examples/${layer}.ts) |`), layer);
    }
  });
});
