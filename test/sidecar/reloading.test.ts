// Reload of a running shim: new policies are in force without a call lost, wrong ones are told and change nothing.
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite, test, type TestContext } from "node:test";
import { ask } from "../harness/http-get.ts";
import { type SidecarProcess, startSidecarProcess } from "../harness/sidecar-process.ts";

const policies = (name: string): string =>
  JSON.stringify([{ name, match: [{ host: `${name}.internal` }], layers: [{ kind: "timeout", after: "1s" }] }]);

function folderFor(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "premesh-reload-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

interface Config {
  readonly source: { readonly lastError: { readonly problems: readonly string[] } | null };
  readonly policies: readonly { readonly name: string }[];
}

const configOf = async ({ admin }: SidecarProcess): Promise<Config> => JSON.parse((await ask(admin, "/config")).body) as Config; // the cast: what it is

const namesOf = async (shim: SidecarProcess): Promise<readonly string[]> => (await configOf(shim)).policies.map(({ name }) => name);

suite("a running shim", { timeout: 60_000 }, () => {
  test("takes a changed file, keeps the last good policies while it is wrong or gone, and takes SIGHUP", async (t) => {
    const file = join(folderFor(t), "policies.json");
    writeFileSync(file, policies("a"));
    const shim = await startSidecarProcess(t, [file]);
    assert.deepEqual(await namesOf(shim), ["a"]);
    writeFileSync(file, policies("b"));
    await shim.said("reloaded");
    assert.deepEqual(await namesOf(shim), ["b"]);

    writeFileSync(file, '{ "policies": [ { "name": ');
    assert.match((await shim.said("reload-failed")).message, /PM01\d\d.*the policies from before stay in force/);
    assert.deepEqual(await namesOf(shim), ["b"]);
    assert.equal((await configOf(shim)).source.lastError?.problems.length, 1);
    const ready = await ask(shim.admin, "/readyz");
    assert.equal(ready.status, 200);
    assert.match(ready.body, /the file is wrong since .*, and the last good ones are in force/);
    assert.match((await ask(shim.admin, "/metrics")).body, /^premesh_sidecar_reload_failed 1$/m);

    unlinkSync(file);
    assert.match((await shim.said("reload-failed")).message, /there is no such file \[PM0101\]|there is no such file/);
    assert.deepEqual(await namesOf(shim), ["b"]);

    writeFileSync(file, policies("c"));
    await shim.said("reloaded");
    assert.deepEqual([await namesOf(shim), (await configOf(shim)).source.lastError], [["c"], null]);

    shim.child.kill("SIGHUP"); // nothing has changed: nothing is said, and nothing breaks
    writeFileSync(`${file}.new`, policies("d"));
    renameSync(`${file}.new`, file);
    await shim.said("reloaded");
    assert.deepEqual(await namesOf(shim), ["d"]);
  });

  test("takes a ConfigMap that Kubernetes has swapped, and a module with what it imports", async (t) => {
    const folder = folderFor(t);
    const version = (nth: number): void => {
      mkdirSync(join(folder, `..${nth}`));
      writeFileSync(join(folder, `..${nth}/names.mjs`), `export const name = "v${nth}";`);
      writeFileSync(
        join(folder, `..${nth}/policies.ts`),
        `import { name } from "./names.mjs";\nexport const policy: { name: string; layers: object[] } = { name, layers: [{ kind: "timeout", after: "1s" }] };\n`,
      );
      symlinkSync(`..${nth}`, join(folder, "..data_tmp"));
      renameSync(join(folder, "..data_tmp"), join(folder, "..data"));
    };
    version(1);
    for (const name of ["policies.ts", "names.mjs"]) symlinkSync(`..data/${name}`, join(folder, name));
    const shim = await startSidecarProcess(t, [join(folder, "policies.ts")]);
    assert.deepEqual(await namesOf(shim), ["v1"]);
    version(2);
    await shim.said("reloaded");
    assert.deepEqual(await namesOf(shim), ["v2"]);
  });
});
