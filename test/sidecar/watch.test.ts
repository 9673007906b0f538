// watchFile: a change is noticed however it is made.
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite, test, type TestContext } from "node:test";
import { watchFile } from "../../src/sidecar/reload/watch.ts";

interface Watched {
  readonly folder: string;
  readonly file: string;
  /** Resolves with the next call. */
  readonly changed: () => Promise<void>;
}

/** Watches `policies.yaml` in a folder of its own, once `prepare` has made it. */
function watched(t: TestContext, prepare: (folder: string) => void): Watched {
  const folder = mkdtempSync(join(tmpdir(), "premesh-watch-"));
  prepare(folder);
  let next = Promise.withResolvers<void>();
  const { close } = watchFile(join(folder, "policies.yaml"), () => next.resolve(), { settleMs: 10, lookMs: 50 });
  t.after(() => {
    close();
    rmSync(folder, { recursive: true, force: true });
  });
  return {
    folder,
    file: join(folder, "policies.yaml"),
    changed: async () => {
      await next.promise;
      next = Promise.withResolvers();
    },
  };
}

const plain = (folder: string): void => writeFileSync(join(folder, "policies.yaml"), "1");

/** As Kubernetes mounts a ConfigMap: the file is a link through `..data`, which is swapped. */
function mounted(folder: string): void {
  mkdirSync(join(folder, "..1"));
  writeFileSync(join(folder, "..1/policies.yaml"), "1");
  symlinkSync("..1", join(folder, "..data"));
  symlinkSync("..data/policies.yaml", join(folder, "policies.yaml"));
}

function swap(folder: string): void {
  mkdirSync(join(folder, "..2"));
  writeFileSync(join(folder, "..2/policies.yaml"), "22");
  symlinkSync("..2", join(folder, "..data_tmp"));
  renameSync(join(folder, "..data_tmp"), join(folder, "..data"));
  rmSync(join(folder, "..1"), { recursive: true });
}

suite("a watched file", { timeout: 20_000 }, () => {
  test("is written", async (t) => {
    const { file, changed } = watched(t, plain);
    writeFileSync(file, "two");
    await changed();
    writeFileSync(file, "three");
    await changed();
  });

  test("is replaced, as editors do", async (t) => {
    const { folder, file, changed } = watched(t, plain);
    for (const text of ["two", "three"]) {
      writeFileSync(join(folder, "new"), text);
      renameSync(join(folder, "new"), file);
      await changed();
    }
  });

  test("is removed, and comes back", async (t) => {
    const { file, changed } = watched(t, plain);
    unlinkSync(file);
    await changed();
    writeFileSync(file, "again");
    await changed();
  });

  test("is swapped, as Kubernetes does", async (t) => {
    const { folder, changed } = watched(t, mounted);
    swap(folder);
    await changed();
  });

  test("lies elsewhere, and is written there", async (t) => {
    const elsewhere = mkdtempSync(join(tmpdir(), "premesh-elsewhere-"));
    t.after(() => rmSync(elsewhere, { recursive: true, force: true }));
    writeFileSync(join(elsewhere, "real.yaml"), "1");
    const { changed } = watched(t, (folder) => symlinkSync(join(elsewhere, "real.yaml"), join(folder, "policies.yaml")));
    writeFileSync(join(elsewhere, "real.yaml"), "two");
    await changed();
  });

  test("is a module that imports its neighbour", async (t) => {
    const { folder, changed } = watched(t, plain);
    writeFileSync(join(folder, "limits.ts"), "export const limit = 2;");
    await changed();
  });

  test("comes back with its folder", async (t) => {
    const { folder, file, changed } = watched(t, plain);
    rmSync(folder, { recursive: true });
    await changed();
    mkdirSync(folder);
    writeFileSync(file, "again");
    await changed();
    writeFileSync(file, "and again");
    await changed();
  });
});
