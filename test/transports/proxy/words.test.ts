// Small words: names of fields, whom a request names, and which addresses are our own.
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import fc from "fast-check";
import { Kind, nameOf, nominatedBy, valueOf, without } from "../../../src/transports/proxy/field-names.ts";
import { timeoutField, timeoutMs } from "../../../src/transports/proxy/grpc.ts";
import { newOwnAddresses } from "../../../src/transports/proxy/own.ts";
import { matchedPath, siteOf } from "../../../src/transports/proxy/site.ts";
import { isLooping } from "../../../src/transports/proxy/via.ts";

suite("names of fields", () => {
  test("are known in every spelling", () => {
    const known: readonly (readonly [string, Kind])[] = [
      ["Connection", Kind.CONNECTION],
      ["KEEP-ALIVE", Kind.HOP],
      ["te", Kind.HOP],
      ["Transfer-Encoding", Kind.HOP],
      ["HTTP2-Settings", Kind.HOP],
      ["X-Envoy-Anything-At-All-However-Long-It-Is", Kind.ENVOY],
      ["premesh-Policy", Kind.PREMESH],
      ["TraceParent", Kind.TRACE],
      ["Grpc-Previous-Rpc-Attempts", Kind.NOTED],
      ["x-request-ID", Kind.NOTED],
      ["Content-Type", Kind.SEEN],
      ["Content-Length", Kind.PLAIN],
      ["Accept", Kind.PLAIN],
      ["x-envoy", Kind.PLAIN],
      ["_private", Kind.PLAIN],
      ["", Kind.PLAIN],
    ];
    for (const [name, kind] of known) assert.equal(nameOf(name).kind, kind, name);
  });

  test("any name is what it is in lower case", () => {
    const names = fc.oneof(
      fc.constantFrom(
        "connection",
        "via",
        "expect",
        "upgrade",
        "date",
        "x-forwarded-for",
        "baggage",
        "premesh-call",
        "x-envoy-max-retries",
      ),
      fc.string({ minLength: 1, maxLength: 40, unit: fc.constantFrom(..."abcdegkmprtuvx-2".split("")) }),
    );
    fc.assert(
      fc.property(names, fc.infiniteStream(fc.boolean()), (name, upper) => {
        const spelled = Array.from(name, (letter) => (upper.next().value === true ? letter.toUpperCase() : letter)).join("");
        assert.equal(nameOf(spelled).kind, nameOf(name).kind);
      }),
    );
  });

  test("a Connection field takes away what it names, and never what ends the message", () => {
    const names = nominatedBy(["close, X-Mine", "Content-Length,host, keep-alive,, via"]);
    assert.deepEqual([...(names ?? [])], ["x-mine", "via"]);
    assert.equal(nominatedBy(["keep-alive", "close"]), undefined);
    assert.deepEqual(without(["X-MINE", "1", "a", "2"], new Set(["x-mine"])), ["a", "2"]);
  });

  test("values of one name are one list", () => {
    const fields = ["A", "1", "Cookie", "x=1", "a", "2", "cookie", "y=2"];
    assert.deepEqual([valueOf(fields, "a"), valueOf(fields, "cookie"), valueOf(fields, "b")], ["1, 2", "x=1; y=2", undefined]);
  });
});

suite("whom a request names", () => {
  test("is what fetch would call it", () => {
    const named = (scheme: "http" | "https", authority: string) => {
      const site = siteOf(scheme, authority);
      return site === undefined ? undefined : [site.target, site.host, site.to["1.1"].origin.href];
    };
    assert.deepEqual(named("http", "Api.Internal"), ["api.internal", "api.internal:80", "http://api.internal/"]);
    assert.deepEqual(named("http", "api.internal:80"), ["api.internal", "api.internal:80", "http://api.internal/"]);
    assert.deepEqual(named("https", "api.internal:8443"), ["api.internal:8443", "api.internal:8443", "https://api.internal:8443/"]);
    assert.deepEqual(named("http", "[::1]:81"), ["[::1]:81", "[::1]:81", "http://[::1]:81/"]);
    for (const authority of ["", "a b", "user@host", "host/path", "host?x", "host#x", "a\\b", "host:port", "host:99999"])
      assert.equal(named("http", authority), undefined, authority);
  });

  test("its path is looked at as it will be read", () => {
    const cases = {
      "/a/b?c=/../d": "/a/b",
      "/a/../b": "/b",
      "/a/%2e%2e/b": "/b",
      "/./a": "/a",
      "/a.b/..c": "/a.b/..c",
      "\\a": "/a",
      "*": "*",
    };
    for (const [path, matched] of Object.entries(cases)) assert.equal(matchedPath(path), matched, path);
  });
});

test("our own addresses, in whatever spelling they are connected to", () => {
  const own = newOwnAddresses(() => ["127.0.0.1:15001", "[::]:15006", "0.0.0.0:15007", "[::1]:15008", "unix:/run/a.sock"]);
  const yes: readonly (readonly [string, number])[] = [
    ["127.0.0.1", 15001],
    ["::ffff:127.0.0.1", 15001],
    ["::ffff:7f00:1", 15001],
    ["0.0.0.0", 15001],
    ["::", 15001],
    ["localhost", 15001],
    ["127.9.9.9", 15006],
    ["::1", 15006],
    ["127.0.0.1", 15007],
    ["0:0:0:0:0:0:0:1", 15008],
    ["/run/a.sock", 0],
  ];
  const no: readonly (readonly [string, number])[] = [
    ["127.0.0.1", 15002],
    ["127.0.0.2", 15001],
    ["10.255.255.1", 15006],
    ["::2", 15008],
    ["/run/b.sock", 0],
    ["127.0.0.1", 0],
  ];
  for (const [address, port] of yes) assert.equal(own(address, port), true, `${address} ${port}`);
  for (const [address, port] of no) assert.equal(own(address, port), false, `${address} ${port}`);
});

test("gRPC's timeouts, as they are read and written", () => {
  const read = { "1H": 3_600_000, "2M": 120_000, "3S": 3_000, "99999999m": 99_999_999, "5u": 0.005, "6n": 6e-6 };
  for (const [text, ms] of Object.entries(read)) assert.equal(timeoutMs(text), ms, text);
  for (const text of ["", "1", "m", "-1m", "1.5S", "123456789m", "1 m", undefined]) assert.equal(timeoutMs(text), undefined, text);
  assert.deepEqual([0.2, 1, 1.5, 99_999_999, 1e8, 1e15].map(timeoutField), ["1m", "1m", "2m", "99999999m", "100000S", "99999999S"]);
});

test("a loop is told by the whole name", () => {
  assert.deepEqual(
    [undefined, "1.1 me", "1.0 a, 2.0\tme (premesh)", "1.1 me2", "1.1 not-me", "me"].map((via) => isLooping(via, "me")),
    [false, true, true, false, false, false],
  );
});
