// premesh explain: the policy of a call, the rules that lose, the layers and the worst case, as text and as JSON.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, suite, test } from "node:test";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { explained } from "../../src/cli/explain/explained.ts";
import { explainedText } from "../../src/cli/explain/page.ts";
import { questionOf } from "../../src/cli/explain/question.ts";
import {
  definePolicy,
  fallback,
  hedge,
  type LayerDefinition,
  type Match,
  type Policy,
  retry,
  route,
  timeout,
  trace,
} from "../../src/index.ts";
import { newMatching } from "../../src/policy/matching.ts";
import { matches, policies as anyPolicy } from "../harness/arbitraries.ts";

const MAIN = fileURLToPath(new URL("../../src/cli/main.ts", import.meta.url));

const folder = mkdtempSync(join(tmpdir(), "premesh-explain-"));
after(() => rmSync(folder, { recursive: true, force: true }));

const yaml = `- name: everything
  match: [{ host: "*" }]
  layers: []
- name: payments
  match:
    - { host: "*.internal" }
    - { host: payments.internal, path: /v1, methods: [GET, POST] }
    - { service: payments.v1.Payments }
  layers:
    - { kind: timeout, after: 2s, name: whole-call }
    - { kind: retry, attempts: 3, backoff: { base: 0ms } }
    - { kind: timeout, after: 300ms }
- name: database
  layers:
    - { kind: retry, budget: false }
`;
writeFileSync(join(folder, "shop.yaml"), yaml);
writeFileSync(join(folder, "broken.yaml"), "- name: a\n");

interface Ended {
  readonly code: unknown;
  readonly out: string;
  readonly err: string;
}

const explain = (...words: readonly string[]): Promise<Ended> =>
  new Promise((resolve) => {
    execFile(process.execPath, [MAIN, "explain", ...words], { cwd: folder, timeout: 30_000 }, (error, out, err) =>
      resolve({ code: error === null ? 0 : error.code, out, err }),
    );
  });

/** The lines under a heading, without their indent. */
function under(heading: string, out: string): readonly string[] {
  const lines = out.split("\n");
  const from = lines.indexOf(heading) + 1;
  assert.notEqual(from, 0, `${heading} in\n${out}`);
  const to = lines.indexOf("", from);
  return lines.slice(from, to === -1 ? undefined : to).map((line) => line.trim());
}

suite("premesh explain", () => {
  test("says which policy matches by which entry, and which others lose and why", async () => {
    const { code, out, err } = await explain("shop.yaml", "GET", "https://payments.internal/v1/charges?x=1");
    assert.deepEqual([code, err], [0, ""]);
    assert.match(out, /^GET https:\/\/payments\.internal\/v1\/charges\?x=1\n/);
    assert.deepEqual(
      under("Policy", out)
        .map((line) => line.split(/\s{2,}/))
        .filter(([label]) => label !== "revision"),
      [
        ["name", "payments"],
        ["file", "shop.yaml:4"],
        ["match[1]", "host payments.internal; path /v1; methods GET, POST"],
      ],
    );
    assert.deepEqual(under("Fits too, and loses", out), ["everything match[0]  host *", "since an exact host goes before a wildcard"]);
    assert.deepEqual(
      under("Layers, outermost first", out).filter((line) => /^\d/.test(line)),
      [
        '0  process  timeout "whole-call"  2s for the call, to the end of its response',
        "1  process  retry                 at most 3 attempts, after connect-failure, refused-stream,",
        "2  process  timeout               300ms for each attempt, to its head",
      ],
    );
    assert.deepEqual(under("Worst case", out), [
      "time           900 ms to the head of the response: 3 attempts of 300 ms",
      "2 s if the peer asks for the longest waits by Retry-After",
      "2 s to its end, body included",
      "attempts       at most 3",
      "amplification  3x while every attempt fails and at most 3 calls are under way",
      "about 1.25x with 15 calls or more: the budget is 20 %",
    ]);
  });

  test("takes GET where no method is given, and any spelling of one that is", async () => {
    assert.match((await explain("shop.yaml", "http://payments.internal/v1")).out, /^GET /);
    const { out } = await explain("shop.yaml", "post", "http://payments.internal/v1");
    assert.match(out, /^POST /);
    assert.match(out, /POST is repeated if the call says idempotent: true, else only where the peer never/);
  });

  test("takes gRPC methods, with and without a host", async () => {
    for (const target of ["payments.v1.Payments/Charge", "grpc://10.0.0.1:50051/payments.v1.Payments/Charge"]) {
      const { out } = await explain("shop.yaml", target);
      assert.deepEqual(under("Policy", out).at(-1), "match[2]  service payments.v1.Payments", target);
      assert.match(out, /an RPC is repeated if it is idempotent/);
    }
  });

  test("takes a policy by its name, and warns of what check would", async () => {
    const { code, out } = await explain("shop.yaml", "--policy", "database");
    assert.equal(code, 0);
    assert.match(out, /^work under policy database\n/);
    assert.deepEqual(under("Worst case", out)[0], "time           unbounded: the peer may never answer; a timeout would bound it");
    assert.ok(under("Warnings", out).some((line) => line.startsWith("PM0502  [2].layers[0].budget: nothing bounds the retries")));
  });

  test("prints JSON for programs, where null is unbounded", async () => {
    const { out } = await explain("--json", "shop.yaml", "http://payments.internal/v1");
    const document = JSON.parse(out) as Record<string, unknown>; // the cast: what it says it prints
    assert.equal(document["policy"], "payments");
    assert.deepEqual(document["rule"], { entry: 1, match: { host: "payments.internal", path: "/v1", methods: ["GET", "POST"] } });
    assert.deepEqual(document["lost"], [
      { policy: "everything", entry: 0, match: { host: "*" }, because: "an exact host goes before a wildcard" },
    ]);
    assert.deepEqual(document["worstCase"], { headMs: 900, headWithRetryAfterMs: 2_000, endMs: 2_000, sends: 3, sendsUnderLoad: 1.25 });
    const unbounded = JSON.parse((await explain("--json", "--policy", "database", "shop.yaml")).out) as Record<string, unknown>; // the cast: as above
    assert.deepEqual(unbounded["rule"], null);
    assert.deepEqual(unbounded["worstCase"], { headMs: null, headWithRetryAfterMs: null, endMs: null, sends: 3, sendsUnderLoad: 3 });
  });

  test("ends with 1 where no policy matches or has the name, or the file is wrong", async () => {
    writeFileSync(join(folder, "narrow.yaml"), "- name: a\n  match: [{ host: a.internal }]\n  layers: []\n");
    assert.deepEqual(await explain("narrow.yaml", "http://b.internal"), {
      code: 1,
      out: "",
      err: "GET http://b.internal/: no policy matches, so it goes through as if premesh were not there; narrow.yaml has a\n",
    });
    assert.match((await explain("narrow.yaml", "--policy", "b")).err, /there is no policy "b"; narrow\.yaml has a$/m);
    const broken = await explain("broken.yaml", "http://b.internal");
    assert.deepEqual([broken.code, broken.out], [1, ""]);
    assert.match(broken.err, /^broken\.yaml:1:3: error PM0202 \[a\] \[0\]\.layers: is missing/);
    assert.equal((await explain("missing.yaml", "http://b.internal")).code, 2);
  });
});

describe("premesh explain says what is wrong with", () => {
  const misuses: Readonly<Record<string, readonly string[]>> = {
    "explain needs a file": [],
    "explain needs a URL, or --policy": ["shop.yaml"],
    "explain needs one URL": ["shop.yaml", "GET", "http://a", "http://b"],
    '"GE T" is not an HTTP method': ["shop.yaml", "GE T", "http://a/"],
    '"nonsense" is neither a URL nor a gRPC method such as payments.v1.Payments/Charge': ["shop.yaml", "nonsense"],
    '"ftp://a/b" is neither a URL nor a gRPC method such as payments.v1.Payments/Charge': ["shop.yaml", "ftp://a/b"],
    '"grpc://a/b" is neither a URL nor a gRPC method such as payments.v1.Payments/Charge': ["shop.yaml", "grpc://a/b"],
    "a gRPC call has no HTTP method": ["shop.yaml", "GET", "payments.v1.Payments/Charge"],
    "--policy takes the place of a URL": ["shop.yaml", "--policy", "database", "http://a"],
    "--policy needs a value: --policy <name>": ["shop.yaml", "--policy"],
  };
  for (const [says, words] of Object.entries(misuses)) {
    test(`"explain ${words.join(" ")}"`, async () => {
      const { code, out, err } = await explain(...words);
      assert.deepEqual([code, out], [2, ""]);
      assert.ok(err.startsWith(`premesh: ${says}`), err);
    });
  }
});

const ask = (policies: readonly Policy[], ...words: readonly string[]): ReturnType<typeof explained> => {
  const question = questionOf({ rest: ["file", ...words], has: () => false, valueOf: () => undefined });
  assert.ok(typeof question === "object", JSON.stringify(question));
  return explained(
    question,
    policies,
    policies.map(() => ""),
  );
};

suite("what explain finds", () => {
  test("is the policy that a client would take, for any policies and any call", () => {
    const lists = fc.array(fc.array(matches, { minLength: 1, maxLength: 4 }), { minLength: 1, maxLength: 5 });
    const hosts = fc.constantFrom("api.internal:8080", "api.internal:80", "x.a.b:80", "127.0.0.1:443", "a_b:80");
    const paths = fc.constantFrom("/", "/v1", "/v1/x", "/v10", "/a%20b");
    fc.assert(
      fc.property(lists, hosts, paths, fc.constantFrom("GET", "POST", "X-MINE"), fc.boolean(), (entries, host, path, method, isRpc) => {
        const policies = entries.map((match: readonly Match[], index) => definePolicy({ name: `p${index}`, match, layers: [] }));
        const matching = newMatching(policies.map((policy) => ({ policy })));
        const rpc = "payments.v1.Payments/Charge";
        const taken = isRpc ? matching.findRpc(host, rpc) : matching.find(host, path, method);
        const found = isRpc ? ask(policies, `grpc://${host}/${rpc}`) : ask(policies, method, `http://${host}${path}`);
        assert.equal(found?.policy.name, taken?.policy.name);
        for (const { behind } of found?.lost ?? []) assert.ok(behind !== undefined);
      }),
    );
  });

  test("fits into 100 columns and has no holes, for any policy", () => {
    fc.assert(
      fc.property(anyPolicy, (policy) => {
        const checked = definePolicy({ ...policy, match: [{ host: "*" }] });
        const found = ask([checked], "http://a.internal/");
        assert.ok(found !== undefined);
        const text = explainedText(found, "file.yaml", 1);
        assert.doesNotMatch(text, /undefined|NaN|Infinity|\[object/);
        for (const line of text.split("\n")) assert.ok(line.length <= 100 || /\S{40}/.test(line), line);
      }),
    );
  });

  const pageOf = (layers: readonly LayerDefinition[], method: string): string => {
    const found = ask([definePolicy({ name: "p", match: [{ host: "*" }], layers })], method, "http://a.internal/");
    assert.ok(found !== undefined);
    return explainedText(found, "f", undefined);
  };

  test("says of which calls a hedge sends no copy", () => {
    assert.doesNotMatch(pageOf([hedge({ after: "50ms" })], "GET"), /idempotent: true/);
    assert.match(pageOf([hedge({ after: "50ms" })], "POST"), /POST is repeated if the call says idempotent: true, else it is sent once/);
    assert.doesNotMatch(pageOf([hedge({ after: "50ms", methods: ["*"] })], "POST"), /idempotent: true/);
  });

  test("names all that a route does beside picking", () => {
    const to = [{ endpoints: ["http://10.0.0.1:80"] }];
    const page = pageOf([route({ to, sticky: { cookie: "user" }, outliers: {}, health: { http: { path: "/ok" } } })], "GET");
    for (const says of ["of the same cookie user go", "that fail are ejected", "asked for their health at /ok"])
      assert.ok(page.includes(says), page);
    assert.match(
      pageOf([route({ to, sticky: { path: true }, health: { grpc: {} } })], "GET"),
      /of the same path go[^]*by grpc\.health\.v1/,
    );
  });

  const origins: Readonly<Record<string, readonly LayerDefinition[]>> = {
    "unbounded: the peer may never answer; a timeout would bound it": [trace()],
    "2 s to the head of the response: layer 1 ends it": [trace(), timeout("2s")],
    "2 s to the head of the response: two targets, for each layer 1 ends it": [
      fallback({ response: { target: "http://b.internal" } }),
      timeout("1s"),
    ],
    "3 s to the head of the response: 3 attempts of 1 s": [retry({ backoff: { base: "0ms" }, retryAfter: false }), timeout("1s")],
  };
  for (const [says, layers] of Object.entries(origins)) {
    test(`tells where the time comes from: ${says}`, () => {
      const found = ask([definePolicy({ name: "p", match: [{ host: "*" }], layers })], "http://a.internal/");
      assert.ok(found !== undefined);
      assert.equal(under("Worst case", explainedText(found, "f", undefined))[0], `time           ${says}`);
    });
  }
});
