// How often garbage is collected: seldom enough under load, and early at rest.
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { asked, MOST_NEW } from "../../src/sidecar/collections.ts";

const SMALL = MOST_NEW / 4;

suite("what a shim asks of the collector", () => {
  test("is little memory while little is collected", () => {
    assert.deepEqual(asked({ minors: 3, majorMs: 2 }, SMALL, 20), { grow: false, percent: 20 });
  });

  test("is more room for new objects when they are collected all the time, up to a bound", () => {
    assert.equal(asked({ minors: 100, majorMs: 0 }, SMALL, 20).grow, true);
    assert.equal(asked({ minors: 100, majorMs: 0 }, MOST_NEW, 20).grow, false);
  });

  test("is fewer collections of all while those take their share of the time, until they take next to nothing", () => {
    assert.equal(asked({ minors: 0, majorMs: 120 }, SMALL, 20).percent, 50);
    assert.equal(asked({ minors: 0, majorMs: 30 }, SMALL, 50).percent, 50);
    assert.equal(asked({ minors: 0, majorMs: 30 }, SMALL, 20).percent, 20);
    assert.equal(asked({ minors: 0, majorMs: 5 }, SMALL, 50).percent, 20);
  });
});
