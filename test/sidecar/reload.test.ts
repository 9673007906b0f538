// Reload: what is right is put in force, what is wrong is told and changes nothing, and readings that are asked for at once become one.
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { definePolicy, type Policy, PolicyError, timeout } from "../../src/index.ts";
import type { PolicyFile } from "../../src/policy-files/file.ts";
import { newReload, type Reload } from "../../src/sidecar/reload/reload.ts";
import { gate, turns, watch } from "../harness/time.ts";

const policy = (name: string, after: "1s" | "2s" = "1s"): Policy => definePolicy({ name, layers: [timeout(after)] });

const file = (...policies: readonly Policy[]): PolicyFile => ({ kind: "policies", policies, paths: [], placed: (issues) => issues });

const WRONG: PolicyFile = {
  kind: "problems",
  issues: [{ code: "PM0204", path: "layers[0].after", message: "is wrong", line: 3, column: 7 }],
};

interface Case {
  readonly reload: Reload;
  readonly applied: readonly (readonly string[])[];
  readonly told: readonly string[];
}

function begin(
  policies: readonly Policy[],
  read: () => Promise<PolicyFile>,
  apply: (next: readonly Policy[]) => void = () => undefined,
): Case {
  const applied: (readonly string[])[] = [];
  const told: string[] = [];
  let now = 1_000;
  const reload = newReload({
    file: "policies.yaml",
    policies,
    read,
    apply: (next) => {
      apply(next);
      applied.push(next.map(({ name }) => name));
    },
    log: (level, event, message) => void told.push(`${level} ${event} ${message}`),
    wall: () => now++,
  });
  return { reload, applied, told };
}

suite("reload", () => {
  test("puts in force what is right, and says what has changed", async () => {
    const { reload, applied, told } = begin([policy("a"), policy("b")], () => Promise.resolve(file(policy("a", "2s"), policy("c"))));
    await reload.reload();
    assert.deepEqual(applied, [["a", "c"]]);
    assert.equal(told.length, 1);
    assert.match(told[0] ?? "", /^info reloaded policies\.yaml: read anew; a went from \w{16} to \w{16}, c is new, b is gone$/);
    const { succeeded, failed, lastError } = reload.status();
    assert.deepEqual([succeeded, failed, lastError], [1, 0, undefined]);
  });

  test("tells what is wrong with its place and code, keeps what is in force, and forgets it when the file is right again", async () => {
    let next: PolicyFile = WRONG;
    const { reload, applied, told } = begin([policy("a")], () => Promise.resolve(next));
    await reload.reload();
    assert.deepEqual(applied, []);
    assert.deepEqual(told, [
      "error reload-failed policies.yaml: line 3, column 7: layers[0].after: is wrong [PM0204]: the policies from before stay in force",
    ]);
    assert.deepEqual(reload.status().lastError?.problems, ["line 3, column 7: layers[0].after: is wrong [PM0204]"]);
    next = file(policy("a"));
    await reload.reload();
    assert.equal(told.at(-1), "info reloaded policies.yaml: is right again, and says what is in force");
    assert.equal(reload.status().lastError, undefined);
    assert.deepEqual([reload.status().succeeded, reload.status().failed], [1, 1]);
  });

  test("takes what cannot be put in force for wrong, too", async () => {
    const apply = (): void => {
      throw new PolicyError("ERR_PREMESH_INVALID_OPTIONS", "these do not go together");
    };
    const { reload, told } = begin([], () => Promise.resolve(file(policy("a"))), apply);
    await reload.reload();
    assert.match(told[0] ?? "", /these do not go together: the policies from before stay/);
  });

  test("outlives a reader that throws", async () => {
    const { reload } = begin([], () => Promise.reject(new Error("no thread to be had")));
    await reload.reload();
    assert.deepEqual(reload.status().lastError?.problems, ["no thread to be had"]);
  });

  test("makes one more reading of all that is asked for during one", async () => {
    const gates = [gate<PolicyFile>(), gate<PolicyFile>()];
    let readings = 0;
    const { reload, applied } = begin([], () => gates[readings++]?.promise ?? Promise.reject(new Error("one too many")));
    const all = watch(Promise.all([reload.reload(), reload.reload(), reload.reload()]));
    assert.equal(readings, 1);
    gates[0]?.open(file(policy("a")));
    await turns();
    assert.deepEqual([readings, all.settled], [2, false]);
    gates[1]?.open(file(policy("b")));
    await turns();
    assert.deepEqual([readings, all.settled, applied], [2, true, [["a"], ["b"]]]);
  });

  test("puts nothing in force once it is closed", async () => {
    const { promise, open } = gate<PolicyFile>();
    const { reload, applied, told } = begin([], () => promise);
    const reading = reload.reload();
    reload.close();
    open(file(policy("a")));
    await reading;
    assert.deepEqual([applied, told], [[], []]);
  });
});
