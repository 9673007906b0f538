// hash32 is xxHash32, and what consistent balancers make of it is the same in every process and version: golden values.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { test } from "node:test";
import { hash32 } from "../../../src/layers/route/balance/hash.ts";
import { balancerOf, endpointsOf } from "./endpoints.ts";

const vectors: readonly (readonly [text: string, seed: number, hash: number])[] = [
  // of the reference implementation (https://github.com/Cyan4973/xxHash), as its ports check themselves by
  ["", 0, 0x02cc5d05],
  ["", 0x9e3779b1, 0x36b78ae7],
  ["a", 0, 0x550d7456],
  ["abc", 0, 0x32d153ff],
  ["message digest", 0, 0x7c948494],
  ["The quick brown fox jumps over the lazy dog", 0, 0xe85ea4de],
];

for (const [text, seed, hash] of vectors) {
  test(`"${text.slice(0, 20)}" with seed ${seed} is ${hash.toString(16)}`, () => assert.equal(hash32(text, seed), hash));
}

test("text beyond ASCII counts as its UTF-8 bytes, and long text like short", () => {
  assert.notEqual(hash32("\u00e9"), hash32("e"));
  assert.equal(hash32("\u00e9"), hash32(Buffer.from("\u00e9").toString("utf8")));
  const long = "x".repeat(257);
  assert.ok(Number.isInteger(hash32(long)));
  assert.notEqual(hash32(long), hash32(`${long}x`));
});

const users = ["alice", "bob", "carol", "dave", "erin", "frank", "grace", "heidi"];

const where = (balance: Parameters<typeof balancerOf>[0]): string => {
  const endpoints = endpointsOf(10, (nth) => ({ weight: 1 + (nth % 3) }));
  const balancer = balancerOf(balance, endpoints);
  return users.map((user) => endpoints.indexOf(balancer.pick({ now: 0, hash: hash32(user) }) ?? assert.fail())).join(" ");
};

test("keys lie where they always lay", () => {
  assert.equal(where({ ringHash: { header: "x-user" } }), "1 4 4 6 1 4 4 6");
  assert.equal(where({ maglev: { header: "x-user" } }), "8 6 9 4 1 6 6 1");
});

test("and where another process finds them", () => {
  const program = `
    import { hash32 } from "${new URL("../../../src/layers/route/balance/hash.ts", import.meta.url).href}";
    import { balancerOf, endpointsOf } from "${new URL("endpoints.ts", import.meta.url).href}";
    const endpoints = endpointsOf(200).toReversed();
    for (const balance of [{ ringHash: { path: true } }, { maglev: { path: true } }]) {
      const balancer = balancerOf(balance, endpoints, { seed: 77 });
      for (let key = 0; key < 100; key++) console.log(balancer.pick({ now: 0, hash: hash32(String(key)) }).key);
    }`;
  const output = execFileSync(process.execPath, ["--input-type=module", "-e", program], { encoding: "utf8" });
  const here = [{ ringHash: { path: true } } as const, { maglev: { path: true } } as const].flatMap((balance) => {
    const balancer = balancerOf(balance, endpointsOf(200));
    return Array.from({ length: 100 }, (_, key) => balancer.pick({ now: 0, hash: hash32(String(key)) })?.key);
  });
  assert.deepEqual(output.trim().split("\n"), here);
});
