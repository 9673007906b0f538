// The address of a Redis: what its URL says, and that no password is shown.
import assert from "node:assert/strict";
import test from "node:test";
import { PolicyError } from "../../../src/index.ts";
import { redisStore } from "../../../src/redis.ts";
import { redisAddress } from "../../../src/stores/redis/address.ts";

test("reads user, password, port, database and TLS from the URL", () => {
  assert.deepEqual(redisAddress("rediss://shop:p%40ss@cache.internal:6380/3"), {
    host: "cache.internal",
    port: 6380,
    username: "shop",
    password: "p@ss",
    db: 3,
    tls: true,
    shown: "rediss://cache.internal:6380/3",
  });
  const { host, port, db, username, password, tls, shown } = redisAddress("redis://[::1]");
  assert.deepEqual([host, port, db, username, password, tls, shown], ["::1", 6379, 0, undefined, undefined, false, "redis://[::1]:6379"]);
});

test("what is wrong with a URL is said without the URL", () => {
  for (const url of [
    "http://u:secret@h",
    "redis://:secret@h/x",
    "redis://:secret@h/1?tls=1",
    "redis://:secret%ZZ@h",
    "secret",
    "",
    7,
    undefined,
  ]) {
    assert.throws(
      () => redisAddress(url),
      (error: unknown) =>
        error instanceof PolicyError &&
        error.code === "ERR_PREMESH_INVALID_OPTIONS" &&
        !error.message.includes("secret%") &&
        !/u:secret|:secret@/.test(error.message),
      String(url),
    );
  }
});

test("wrong options throw at once", () => {
  const wrong = [{ prefix: "" }, { prefix: "a b" }, { timeout: "0ms" }, { timeout: 5 }, { timeout: "2m" }, { tls: 1 }] as unknown[];
  for (const options of wrong) {
    // the cast: callers without types may pass anything
    assert.throws(() => redisStore("redis://127.0.0.1:1", options as Parameters<typeof redisStore>[1]), {
      code: "ERR_PREMESH_INVALID_OPTIONS",
    });
  }
});
