// The admin listener's guard: pages in a browser on this machine are not heeded.
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { type Asked, refusal } from "../../src/sidecar/admin/guard.ts";

const asked: Asked = { method: "GET", host: "127.0.0.1:15000", origin: undefined, unix: false };

suite("the guard of the admin listener", () => {
  for (const host of ["127.0.0.1:15000", "127.0.0.1", "localhost:15000", "LOCALHOST", "[::1]:15000", "10.1.2.3:15000"])
    test(`takes requests to ${host}`, () => assert.equal(refusal({ ...asked, host }), undefined));

  for (const host of [
    undefined,
    "",
    "evil.example",
    "evil.example:15000",
    "127.0.0.1.evil.example",
    "localhost.evil.example",
    "127.0.0.1:15000@evil",
    "[evil]:1",
    "::1",
  ])
    test(`takes none to ${String(host)}: a name can be pointed here by whoever owns it`, () =>
      assert.notEqual(refusal({ ...asked, host }), undefined));

  test("lets nothing be changed by a page of another origin", () => {
    for (const origin of ["http://evil.example", "null", "https://127.0.0.1:15000", "http://127.0.0.1:3000", "http://localhost:15000"])
      assert.notEqual(refusal({ ...asked, method: "POST", origin }), undefined, origin);
  });

  test("lets curl and its own page change things", () => {
    assert.equal(refusal({ ...asked, method: "POST" }), undefined);
    assert.equal(refusal({ ...asked, method: "POST", origin: "http://127.0.0.1:15000" }), undefined);
  });

  test("has nothing against whoever may open its socket", () => {
    assert.equal(refusal({ method: "POST", host: "anything", origin: "http://elsewhere", unix: true }), undefined);
  });
});
