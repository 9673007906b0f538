// Which calls fit the match of an entry.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type Call, newCall, type Protocol } from "../../../src/call/call.ts";
import { newRecord } from "../../../src/call/record.ts";
import { definePolicy, PolicyError, type RouteMatch, route } from "../../../src/index.ts";
import { fitting } from "../../../src/layers/route/match/match.ts";
import { unsafeRegex } from "../../../src/policy/safe-regex.ts";

const policy = definePolicy({ name: "p", layers: [] });

interface Asked {
  readonly path?: string;
  readonly method?: string;
  readonly protocol?: Protocol;
  readonly fields?: Readonly<Record<string, string>>;
}

function callOf({ path, method = "GET", protocol = "http", fields = {} }: Asked): Call {
  const all: Readonly<Record<string, string | undefined>> = { ...fields, ":path": path };
  return newCall({
    record: newRecord({ policy, revision: "" }, protocol, "peer", method, 0),
    metadata: { get: (name) => all[name] },
    signal: undefined,
    idempotent: undefined,
    idempotencyKey: undefined,
    payload: { replayable: true },
    send: () => Promise.reject(new Error("is not sent")),
  });
}

const header = (value: string | undefined): Asked => (value === undefined ? {} : { fields: { "x-tier": value } });

const cases: readonly (readonly [name: string, match: RouteMatch, fits: readonly Asked[], not: readonly Asked[]])[] = [
  ["a path prefix", { path: "/v1" }, [{ path: "/v1" }, { path: "/v1/x?y=1" }, { path: "/v1?x" }], [{ path: "/v10" }, { path: "/" }, {}]],
  ["a path prefix with a slash at its end", { path: "/v1/" }, [{ path: "/v1/x" }, { path: "/v1" }], [{ path: "/v10" }]],
  ["an exact path", { path: { exact: "/v1" } }, [{ path: "/v1" }, { path: "/v1?x=1" }], [{ path: "/v1/" }, { path: "/v1/x" }]],
  [
    "an expression for the path",
    { path: { regex: "/v[0-9]+/.*" } },
    [{ path: "/v1/x" }, { path: "/v12/?y" }],
    [{ path: "/v1" }, { path: "/a/v1/x" }, { path: `/v1/${"x".repeat(2_000)}` }],
  ],
  ["methods", { methods: ["GET", "HEAD"] }, [{ method: "HEAD" }], [{ method: "POST" }]],
  ["an RPC is a POST", { methods: ["POST"] }, [{ protocol: "grpc", method: "a.B/C" }], [{ protocol: "run", method: "run" }]],
  ["a header exactly", { headers: [{ name: "X-Tier", exact: "gold" }] }, [header("gold")], [header("golden"), header(undefined)]],
  [
    "each part of a header",
    { headers: [{ name: "x-tier", exact: "gold" }] },
    [header("tin, gold"), header("gold,tin")],
    [header("tin,silver")],
  ],
  ["the whole of a header with commas", { headers: [{ name: "x-tier", exact: "a,b" }] }, [header("a,b")], [header("a, b")]],
  ["the beginning of a header", { headers: [{ name: "x-tier", prefix: "go" }] }, [header("gold")], [header("ago")]],
  ["an expression for a header", { headers: [{ name: "x-tier", regex: "g.ld" }] }, [header("gold")], [header("golden")]],
  ["a header that is there", { headers: [{ name: "x-tier", present: true }] }, [header("")], [header(undefined)]],
  ["a header that is not there", { headers: [{ name: "x-tier", present: false }] }, [header(undefined)], [header("gold")]],
  [
    "what is not so, of a header that is there",
    { headers: [{ name: "x-tier", exact: "gold", invert: true }] },
    [header("tin")],
    [header("gold"), header(undefined)],
  ],
  [
    "a query",
    { query: [{ name: "v", exact: "2" }] },
    [{ path: "/?v=2" }, { path: "/?v=1&v=2" }, { path: "/?a&v=%32" }],
    [{ path: "/?v=1" }, { path: "/" }, { path: "/?w=2" }],
  ],
  ["a query that is there", { query: [{ name: "debug", present: true }] }, [{ path: "/?debug" }], [{ path: "/?x" }]],
  [
    "a gRPC service and its method",
    { service: "a.B", method: "C" },
    [
      { protocol: "grpc", method: "a.B/C" },
      { protocol: "connect", method: "/a.B/C" },
    ],
    [
      { protocol: "grpc", method: "a.B/D" },
      { protocol: "grpc", method: "x.B/C" },
      { protocol: "http", method: "POST", path: "/a.B/C" },
    ],
  ],
  ["the path of an RPC", { path: "/a.B" }, [{ protocol: "grpc", method: "a.B/C" }], [{ protocol: "grpc", method: "a.BC/C" }]],
  [
    "everything that is named",
    { path: "/v1", methods: ["GET"], headers: [{ name: "x-tier", exact: "gold" }] },
    [{ path: "/v1", fields: { "x-tier": "gold" } }],
    [{ path: "/v1" }, { path: "/v2", fields: { "x-tier": "gold" } }, { path: "/v1", method: "PUT", fields: { "x-tier": "gold" } }],
  ],
];

describe("a match fits by", () => {
  for (const [name, match, fits, not] of cases) {
    test(name, () => {
      definePolicy({ name: "p", layers: [route({ to: [{ match, endpoints: [] }] })] });
      const does = fitting(match);
      for (const call of fits) assert.equal(does?.(callOf(call)), true, JSON.stringify(call));
      for (const call of not) assert.equal(does?.(callOf(call)), false, JSON.stringify(call));
    });
  }
});

describe("an expression", () => {
  for (const source of [
    "",
    "a",
    "/v[0-9]+/.*",
    "(a|b)+c?",
    "(?:ab){2,16}",
    "a{1,99}b",
    "(?<year>\\d{4})",
    "[*+?]{2}",
    "\\.\\*",
    "a.*b.*c.*",
    "x(?:y?z)?",
    "a{0,3}(b{2}){3}",
  ])
    test(`is taken: ${source}`, () => assert.equal(unsafeRegex(source), undefined));

  for (const source of [
    "(a+)+",
    "(a*)*b",
    "((a+)b)*",
    "(a|b+)*",
    "(?:a{1,99})+",
    "(a)\\1",
    "(?<x>a)\\k<x>",
    "a(?=b)",
    "(?!a)",
    "(?<=a)b",
    "(?<!a)b",
    ".*.*.*.*",
    "(",
    "[",
    "a".repeat(600),
    "(?:(?:a+)?)*",
  ])
    test(`is refused: ${source.slice(0, 20)}`, () => {
      assert.notEqual(unsafeRegex(source), undefined);
      const define = (): unknown =>
        definePolicy({ name: "p", layers: [route({ to: [{ match: { path: { regex: source } }, endpoints: [] }] })] });
      assert.throws(define, (error) => error instanceof PolicyError && error.issues.some(({ code }) => code === "PM0310"));
    });
});
