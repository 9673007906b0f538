// The light signal: it behaves as an AbortSignal does, as far as layers use one.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Abort, nativeSignal, type Signal } from "../../src/call/signal.ts";

/** Both kinds, each with the hand that aborts it. */
const kinds: readonly (readonly [name: string, make: () => { readonly signal: Signal; readonly abort: (reason: unknown) => void }])[] = [
  [
    "an AbortSignal",
    () => {
      const controller = new AbortController();
      return { signal: controller.signal, abort: (reason) => controller.abort(reason) };
    },
  ],
  [
    "a light one",
    () => {
      const signal = new Abort(undefined);
      return { signal, abort: (reason) => signal.abort(reason) };
    },
  ],
];

for (const [name, make] of kinds) {
  test(`${name} tells every listener once, and those that left not at all`, () => {
    const { signal, abort } = make();
    const told: string[] = [];
    const leaver = (): void => void told.push("leaver");
    signal.addEventListener("abort", leaver);
    signal.addEventListener("abort", () => void told.push("function"), { once: true });
    signal.addEventListener("abort", { handleEvent: () => void told.push(`object ${String(signal.reason)}`) });
    signal.removeEventListener("abort", leaver);
    abort("first");
    abort("second");
    assert.deepEqual(told, ["function", "object first"]);
    assert.deepEqual([signal.aborted, signal.reason], [true, "first"]);
  });

  test(`${name} does not tell a listener that another has removed while it told`, () => {
    const { signal, abort } = make();
    const told: string[] = [];
    const second = (): void => void told.push("second");
    signal.addEventListener("abort", () => signal.removeEventListener("abort", second));
    signal.addEventListener("abort", second);
    abort("why");
    assert.deepEqual(told, []);
  });

  test(`${name} that is aborted tells no listener that comes later`, () => {
    const { signal, abort } = make();
    abort("why");
    signal.addEventListener("abort", () => assert.fail("too late"));
  });

  test(`${name} is followed, until it is not`, () => {
    const { signal, abort } = make();
    const follower = new Abort(signal);
    const leaver = new Abort(signal);
    leaver.unfollow();
    abort("why");
    assert.deepEqual([follower.aborted, follower.reason, leaver.aborted], [true, "why", false]);
    assert.equal(new Abort(signal).reason, "why");
  });

  test(`${name} gives code that is not ours an AbortSignal, always the same`, () => {
    const { signal, abort } = make();
    const native = nativeSignal(signal);
    assert.ok(native instanceof AbortSignal);
    assert.equal(nativeSignal(signal), native);
    abort("why");
    assert.deepEqual([native.aborted, native.reason], [true, "why"]);
    assert.equal(nativeSignal(signal).reason, "why");
  });
}

test("a light signal that is aborted before anybody asked gives an AbortSignal that is aborted", () => {
  const signal = new Abort(undefined);
  signal.abort("why");
  assert.equal(nativeSignal(signal).reason, "why");
});
