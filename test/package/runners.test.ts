// premesh/testing as users have it: the packed package, under test runners that know nothing of it.
import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { before, suite, test } from "node:test";
import { stripVTControlCharacters } from "node:util";
import { folder, npm, pack, run, skip } from "./packing.ts";

const here = join(folder, "runners");
const bin = join(here, "node_modules/.bin");

/** A test of a user's, for any runner: it holds, or fails as its argument says. */
const usersTest = `import assert from "node:assert/strict";
import { breaker, createClient, definePolicy, retry } from "premesh";
import { assertAttempts, assertDecision, assertIdle, assertPolicyError, scriptedUpstream, virtualClock } from "premesh/testing";
export async function usersTest(attempts) {
  const clock = virtualClock();
  const upstream = scriptedUpstream([503, 503, "reset", 200], { clock });
  const layers = [retry({ attempts: 3 }), breaker({ trip: { consecutive: 3 }, openFor: "1m" })];
  const policy = definePolicy({ name: "payments", match: [{ host: "*" }], layers });
  const client = createClient({ policies: [policy], fetch: upstream, clock, seed: 1 });
  const pay = () => client.fetch("http://payments.internal/").catch((error) => error);
  const first = pay();
  await clock.advance(1_000);
  assertAttempts(client, await first, attempts);
  assertDecision(client, await first, { layer: "breaker", what: "opened" });
  assertPolicyError(await pay(), "ERR_PREMESH_BREAKER_OPEN");
  await clock.advance(60_000);
  assert.equal((await pay()).status, 200);
  upstream.assertDone();
  assertIdle(client);
}
export async function underFakeTimers(tick) {
  const policy = definePolicy({ name: "work", layers: [retry({ backoff: { base: "1m", max: "1m" } }), breaker()] });
  const client = createClient({ policies: [policy], seed: 1 });
  const work = ({ attempt }) => (attempt === 1 ? Promise.reject(new Error("not yet")) : "done");
  const call = client.run("work", work, { idempotent: true });
  for (let turn = 0; turn < 20; turn++) await undefined;
  await tick(60_000);
  assert.equal(await call, "done");
}
`;

const files: Readonly<Record<string, string>> = {
  "users.mjs": usersTest,
  "node-test/holds.mjs": `import test from "node:test";
import { underFakeTimers, usersTest } from "../users.mjs";
test("holds", () => usersTest(3));
test("fake timers", (t) => {
  t.mock.timers.enable({ apis: ["setTimeout", "Date"] });
  return underFakeTimers((ms) => t.mock.timers.tick(ms));
});
`,
  "node-test/fails.mjs": 'import test from "node:test";\nimport { usersTest } from "../users.mjs";\ntest("fails", () => usersTest(7));\n',
  "vitest/holds.test.mjs": `import { afterEach, test, vi } from "vitest";
import { underFakeTimers, usersTest } from "../users.mjs";
afterEach(() => void vi.useRealTimers());
test("holds", () => usersTest(3));
test("holds under fake timers too", () => {
  vi.useFakeTimers();
  return usersTest(3);
});
test("fake timers", () => {
  vi.useFakeTimers();
  return underFakeTimers((ms) => vi.advanceTimersByTimeAsync(ms));
});
`,
  "vitest/fails.test.mjs":
    'import { test } from "vitest";\nimport { usersTest } from "../users.mjs";\ntest("fails", () => usersTest(7));\n',
};

/** A program of the folder, which is run by the Node of these tests. */
const runHere = (command: string, ...args: readonly string[]): Promise<string> =>
  run(here, command === "node" ? process.execPath : join(bin, command), args, `${bin}${delimiter}${process.env["PATH"]}`);

suite("premesh/testing", { skip, timeout: 300_000 }, () => {
  before(async () => {
    const tarball = await pack();
    for (const name of ["node-test", "vitest"]) mkdirSync(join(here, name), { recursive: true });
    writeFileSync(join(here, "package.json"), JSON.stringify({ private: true }));
    await npm(here, "install", tarball, "vitest@4");
    for (const [name, text] of Object.entries(files)) writeFileSync(join(here, name), text);
  });

  for (const [runner, program, flag, holds, fails] of [
    ["node:test", "node", "--test", "node-test/holds.mjs", "node-test/fails.mjs"],
    ["vitest", "vitest", "run", "vitest/holds.test.mjs", "vitest/fails.test.mjs"],
  ] as const) {
    test(`serves tests under ${runner}, with its clock and with fake timers`, async () => {
      await runHere(program, flag, holds);
    });

    test(`an assertion that fails under ${runner} shows what was expected and what there was`, async () => {
      await assert.rejects(runHere(program, flag, fails), (error: Error) => {
        const text = stripVTControlCharacters(error.message);
        assert.match(text, /expected 7 attempts, got 3:\n.*GET payments\.internal under policy payments/);
        assert.match(text, /actual: 3|\+ 3$/m);
        assert.match(text, /expected: 7|- 7$/m);
        return true;
      });
    });
  }
});
