// Addresses of listeners: which only this machine reaches, and what is said when one cannot be listened on.
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { addressProblem, isLocal, whyNot } from "../../src/sidecar/addresses.ts";
import { parseAddress } from "../../src/wire/address.ts";

suite("the address of a listener", () => {
  test("is local on loopback and on a socket", () => {
    const local = (text: string): boolean => isLocal(parseAddress(text));
    assert.deepEqual(["127.0.0.1:1", "127.9.9.9:1", "[::1]:1", "localhost:1", "unix:/a"].map(local), [true, true, true, true, true]);
    assert.deepEqual(["0.0.0.0:1", "[::]:1", "10.0.0.1:1", "example.com:1"].map(local), [false, false, false, false]);
  });

  test("is complained of before anything is started", () => {
    assert.equal(addressProblem("127.0.0.1:15001"), undefined);
    assert.match(String(addressProblem("15001")), /write "127\.0\.0\.1:15001"/);
  });

  test("is in use, or not allowed, in words that say what to do", () => {
    const failed = (code: string): string => whyNot(Object.assign(new Error("listen"), { code }), "127.0.0.1:15001", "outbound");
    assert.equal(failed("EADDRINUSE"), "127.0.0.1:15001 is in use: end what listens there, or take another address with --outbound");
    assert.match(failed("EACCES"), /this user may not listen there/);
    assert.match(failed("EADDRNOTAVAIL"), /is no address of this machine/);
    assert.equal(failed("EODD"), "127.0.0.1:15001 cannot be listened on: listen");
  });
});
