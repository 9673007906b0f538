// Which policy a call belongs to: hosts, ports, paths and methods; the most specific match wins.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { createClient, definePolicy, type Match } from "../../src/index.ts";

/** A client whose fetch answers at once; gives the policy that a call went through. */
function chooser(
  matches: Readonly<Record<string, Match | readonly Match[]>>,
): (url: string | URL | Request, init?: RequestInit) => Promise<string> {
  const client = createClient({
    policies: Object.entries(matches).map(([name, match]) =>
      definePolicy({ name, match: Array.isArray(match) ? match : [match], layers: [] }),
    ),
    fetch: () => Promise.resolve(new Response("ok")),
  });
  return async (url, init) => client.explain(await client.fetch(url, init))?.policy ?? "none";
}

describe("a host", () => {
  const rows: readonly (readonly [host: string, url: string, fits: boolean])[] = [
    ["api.internal", "http://api.internal/", true],
    ["api.internal", "https://api.internal/", true],
    ["api.internal", "http://api.internal:8080/", true],
    ["api.internal", "http://API.Internal/", true],
    ["API.Internal", "http://api.internal/", true],
    ["api.internal", "http://xapi.internal/", false],
    ["api.internal", "http://api.internal.evil/", false],
    ["api.internal", "http://v1.api.internal/", false],
    ["api.internal", "http://user:pw@api.internal/", true],
    ["api.internal:8080", "http://api.internal:8080/", true],
    ["api.internal:8080", "http://api.internal:8081/", false],
    ["api.internal:8080", "http://api.internal/", false],
    ["api.internal:80", "http://api.internal/", true],
    ["api.internal:80", "http://api.internal:80/", true],
    ["api.internal:80", "https://api.internal/", false],
    ["api.internal:443", "https://api.internal/", true],
    ["api.internal:443", "https://api.internal:443/", true],
    ["api.internal:443", "http://api.internal:443/", true],
    ["*.internal", "http://a.internal/", true],
    ["*.internal", "http://a.b.internal/", true],
    ["*.internal", "http://internal/", false],
    ["*.internal", "http://a.internal:8080/", true],
    ["*.internal", "http://ainternal/", false],
    ["*.internal:8080", "http://a.internal:8080/", true],
    ["*.internal:8080", "http://a.internal/", false],
    ["*.INTERNAL", "http://A.internal/", true],
    ["*", "http://anything.at.all/", true],
    ["*", "https://[::1]:8443/", true],
    ["*:8443", "https://[::1]:8443/", true],
    ["*:8443", "https://a.b/", false],
    ["127.0.0.1", "http://127.0.0.1:3000/", true],
    ["127.0.0.1:3000", "http://127.1:3000/", true],
    ["[::1]", "http://[::1]/", true],
    ["[::1]", "http://[::1]:8080/", true],
    ["[::1]", "http://[0:0:0:0:0:0:0:1]/", true],
    ["[::1]:8080", "http://[::1]:8080/", true],
    ["[::1]:8080", "http://[::1]/", false],
    ["[::2]", "http://[::1]/", false],
    ["api.internal", "http://api.internal./", false],
  ];
  for (const [host, url, fits] of rows) {
    test(`"${host}" ${fits ? "fits" : "does not fit"} ${url}`, async () => {
      const choose = chooser({ p: { host } });
      assert.equal(await choose(url), fits ? "p" : "none");
      assert.equal(await choose(new URL(url)), fits ? "p" : "none");
      if (!url.includes("@")) assert.equal(await choose(new Request(url)), fits ? "p" : "none");
    });
  }
});

describe("a path", () => {
  const rows: readonly (readonly [path: string, url: string, fits: boolean])[] = [
    ["/v1", "http://a/v1", true],
    ["/v1", "http://a/v1/", true],
    ["/v1", "http://a/v1/x/y", true],
    ["/v1", "http://a/v1?q", true],
    ["/v1", "http://a/v10", false],
    ["/v1", "http://a/V1", false],
    ["/v1", "http://a/x/v1", false],
    ["/v1/", "http://a/v1", true],
    ["/v1/", "http://a/v1/x", true],
    ["/", "http://a/", true],
    ["/", "http://a/x", true],
    ["/v1", "http://a/x/../v1", true],
    ["/v1", "http://a/v1/../x", false],
    ["/a%20b", "http://a/a b/c", true],
  ];
  for (const [path, url, fits] of rows) {
    test(`"${path}" ${fits ? "fits" : "does not fit"} ${url}`, async () => {
      assert.equal(await chooser({ p: { host: "*", path } })(url), fits ? "p" : "none");
    });
  }
});

describe("methods", () => {
  test("fit as fetch normalises them", async () => {
    const choose = chooser({ read: { host: "*", methods: ["GET", "HEAD"] }, write: { host: "*", methods: ["POST", "PATCH"] } });
    assert.equal(await choose("http://a/"), "read");
    assert.equal(await choose("http://a/", { method: "head" }), "read");
    assert.equal(await choose("http://a/", { method: "post" }), "write");
    assert.equal(await choose("http://a/", { method: "patch" }), "write", "which fetch sends as it is");
    assert.equal(await choose("http://a/", { method: "DELETE" }), "none");
    assert.equal(await choose(new Request("http://a/", { method: "POST" })), "write");
    assert.equal(await choose(new Request("http://a/", { method: "POST" }), { method: "GET" }), "read");
  });
});

describe("of several policies that fit", () => {
  /** Each beats the ones after it, for `GET http://a.b.internal:8080/v1/x`. */
  const order: readonly Match[] = [
    { host: "a.b.internal:8080", path: "/v1/x", methods: ["GET"] },
    { host: "a.b.internal:8080", path: "/v1/x" },
    { host: "a.b.internal:8080", path: "/v1", methods: ["GET"] },
    { host: "a.b.internal:8080" },
    { host: "a.b.internal", path: "/v1/x" },
    { host: "a.b.internal", methods: ["GET"] },
    { host: "a.b.internal" },
    { host: "*.b.internal:8080" },
    { host: "*.b.internal", path: "/v1" },
    { host: "*.b.internal" },
    { host: "*.internal", path: "/v1" },
    { host: "*.internal" },
    { host: "*", path: "/v1" },
    { host: "*" },
  ];
  test("the most specific wins, in whatever order they are given", async () => {
    await fc.assert(
      fc.asyncProperty(fc.shuffledSubarray([...order.keys()], { minLength: 1 }), async (indices) => {
        const choose = chooser(Object.fromEntries(indices.map((index) => [`p${index}`, order[index] ?? {}])));
        assert.equal(await choose("http://a.b.internal:8080/v1/x"), `p${Math.min(...indices)}`);
      }),
    );
  });

  test("among equals the first wins", async () => {
    assert.equal(await chooser({ first: { host: "a" }, second: { host: "a" } })("http://a/"), "first");
  });

  test("one that fits is enough of several in one policy", async () => {
    const choose = chooser({ p: [{ host: "a" }, { host: "b", path: "/x" }], q: { host: "*" } });
    assert.equal(await choose("http://a/"), "p");
    assert.equal(await choose("http://b/x"), "p");
    assert.equal(await choose("http://b/y"), "q");
  });

  test("matches for gRPC services and for inbound calls are none for fetch", async () => {
    const choose = chooser({ grpc: { service: "*" }, inbound: { host: "*", inbound: true } });
    assert.equal(await choose("http://a/"), "none");
  });
});

test("many hosts are matched without keeping them all", async () => {
  const choose = chooser({ p: { host: "*.internal" } });
  for (let host = 0; host < 5_000; host++) assert.equal(await choose(`http://h${host}.internal/`), "p");
  assert.equal(await choose("http://h0.internal/"), "p");
  assert.equal(await choose("http://h0.external/"), "none");
});
