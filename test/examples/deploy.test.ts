// The files of examples/deploy are right: by Kubernetes' schema, by systemd, and by what the shim's command takes.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { suite, test } from "node:test";
import { fileURLToPath } from "node:url";
import { Deployment } from "kubernetes-models/apps/v1";
import { ConfigMap, Service } from "kubernetes-models/v1";
import { parseAllDocuments } from "yaml";
import { wordsOf } from "../../src/cli/command.ts";
import { sidecarCommand } from "../../src/cli/sidecar.ts";
import { parsePolicies } from "../../src/index.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const read = (name: string): string => readFileSync(join(root, "examples/deploy", name), "utf8");

function ran(command: string, args: readonly string[]): Promise<{ readonly code: unknown; readonly output: string }> {
  return new Promise((resolve) => {
    execFile(command, args, { cwd: root, timeout: 60_000 }, (error, out, err) =>
      resolve({ code: error === null ? 0 : error.code, output: out + err }),
    );
  });
}

/** The words are a right use of `premesh sidecar`. */
function takes(words: readonly string[]): void {
  const taken = wordsOf(sidecarCommand, words);
  assert.ok(typeof taken === "object", JSON.stringify(taken));
  assert.equal(sidecarCommand.misuse(taken), undefined);
}

interface Container {
  readonly name: string;
  readonly restartPolicy?: string;
  readonly args?: readonly string[];
}

suite("kubernetes.yaml", () => {
  const documents = parseAllDocuments(read("kubernetes.yaml")).map((document) => document.toJS() as Record<string, never>); // the cast: each is an object
  const [policies, deployment, service] = documents;

  test("holds to the schema", () => {
    assert.equal(documents.length, 3);
    new ConfigMap(policies).validate();
    new Deployment(deployment).validate();
    new Service(service).validate();
  });

  test("has no field that Kubernetes does not know", { timeout: 120_000 }, async (t) => {
    const cache = join(root, ".cache");
    mkdirSync(cache, { recursive: true });
    const folder = mkdtempSync(join(cache, "deploy-"));
    t.after(() => rmSync(folder, { recursive: true, force: true }));
    const typed = [
      'import type { IDeployment } from "kubernetes-models/apps/v1";',
      'import type { IConfigMap, IService } from "kubernetes-models/v1";',
      `export const all: readonly [IConfigMap, IDeployment, IService] = ${JSON.stringify(documents)};`,
    ];
    writeFileSync(join(folder, "manifest.ts"), typed.join("\n"));
    writeFileSync(
      join(folder, "tsconfig.json"),
      JSON.stringify({ extends: join(root, "test/tsconfig.json"), compilerOptions: { rootDir: root }, include: ["manifest.ts"] }),
    );
    assert.deepEqual(await ran(join(root, "node_modules/.bin/tsc"), ["-p", folder]), { code: 0, output: "" });
  });

  test("has policies that are right, and a native sidecar whose words the command takes", () => {
    const { data } = policies as unknown as { readonly data: Readonly<Record<string, string>> }; // the casts: the schema was checked
    assert.equal(parsePolicies(data["policies.yaml"] ?? "").length, 2);
    const { spec } = deployment as unknown as {
      readonly spec: { readonly template: { readonly spec: { readonly initContainers: readonly Container[] } } };
    };
    const [shim] = spec.template.spec.initContainers;
    assert.equal(shim?.restartPolicy, "Always");
    takes(shim.args ?? []);
  });
});

suite("premesh-sidecar.service", () => {
  const has = existsSync("/usr/bin/systemd-analyze");

  test("is right by systemd", { skip: has ? false : "systemd-analyze is not installed" }, async (t) => {
    // the binaries that it starts need not be on this machine
    mkdirSync(join(root, ".cache"), { recursive: true });
    const folder = mkdtempSync(join(root, ".cache/unit-"));
    t.after(() => rmSync(folder, { recursive: true, force: true }));
    const unit = join(folder, "premesh-sidecar.service");
    writeFileSync(unit, read("premesh-sidecar.service").replaceAll("/usr/bin/node", process.execPath));
    const { code, output } = await ran("systemd-analyze", ["verify", "--man=no", unit]);
    const ours = output.split("\n").filter((line) => line.includes("premesh-sidecar"));
    assert.deepEqual([code, ours], [0, []]);
  });

  test("starts the shim with words that the command takes", () => {
    const [, start = ""] = /^ExecStart=(.*)$/m.exec(read("premesh-sidecar.service")) ?? [];
    const [node, flag, file, ...words] = start.split(" ");
    assert.deepEqual([node, flag?.startsWith("--"), file], ["/usr/bin/node", true, "/usr/lib/premesh/premesh-sidecar.js"]);
    takes(words);
  });
});

suite("Containerfile", () => {
  const lines = read("Containerfile")
    .replaceAll(/^#.*\n/gm, "")
    .replaceAll(/\\\n/g, " ")
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => /^([A-Z]+) (.*)$/.exec(line)?.slice(1) ?? [line]);
  const all = (word: string): readonly string[] => lines.filter(([first]) => first === word).map(([, rest = ""]) => rest);

  test("has instructions only that there are", () => {
    const known = new Set(["FROM", "WORKDIR", "COPY", "RUN", "ENV", "USER", "EXPOSE", "STOPSIGNAL", "ENTRYPOINT", "CMD"]);
    assert.deepEqual(
      lines.filter(([word = ""]) => !known.has(word)),
      [],
    );
    assert.deepEqual(all("EXPOSE"), ["15001 15006 15021"]);
  });

  test("copies what the build makes, and starts it with flags that Node takes, as nobody in particular", async () => {
    assert.ok(all("COPY").includes("--from=build /premesh/dist/premesh-sidecar.js /premesh-sidecar.js"));
    const { scripts } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { scripts: { build: string } }; // the cast: our own file
    assert.ok(scripts.build.includes("test/tools/bundle.ts"));
    const [node, ...words] = JSON.parse(all("ENTRYPOINT")[0] ?? "[]") as string[]; // the cast: JSON of words
    assert.deepEqual([node, words.at(-1)], ["node", "/premesh-sidecar.js"]);
    const { code } = await ran(process.execPath, [
      ...words.slice(0, -1),
      "src/cli/main.ts",
      "sidecar",
      ...(JSON.parse(all("CMD")[0] ?? "[]") as string[]),
    ]); // the cast: as above
    assert.equal(code, 0);
    assert.match(all("USER")[0] ?? "", /^[1-9]\d*:[1-9]\d*$/);
    const order = lines.map(([word = "", rest = ""]) => (rest.includes("/premesh-sidecar.js /tmp/") ? "fill the cache" : word));
    assert.ok(order.indexOf("USER") < order.indexOf("fill the cache"), "Node keeps compiled code for each user apart");
  });
});
