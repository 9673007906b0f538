// Fetches public test suites of fetch from Debian's source packages and runs each bare and over client.fetch. See README.md.
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const HERE = fileURLToPath(new URL(".", import.meta.url));
const ROOT = process.argv[2] ?? mkdtempSync(join(tmpdir(), "premesh-suites-"));

/** What the suites import; the versions are those of their time. */
const PACKAGES = [
  "abort-controller@3",
  "abortcontroller-polyfill@1",
  "busboy@1",
  "chai@4",
  "chai-as-promised@7",
  "chai-iterator@3",
  "chai-string@1",
  "data-uri-to-buffer@4",
  "fetch-blob@3",
  "form-data@4",
  "formdata-node@4",
  "formdata-polyfill@4",
  "mocha@10",
  "p-timeout@5",
  "stream-consumers@1",
];

interface Suite {
  readonly name: string;
  /** Source package of Debian. */
  readonly source: string;
  readonly setup: string;
  readonly mocha: readonly string[];
}

const suites: readonly Suite[] = [
  {
    name: "whatwg-fetch",
    source: "node-whatwg-fetch",
    setup: "whatwg-fetch.ts",
    mocha: ["--ui", "tdd", "--grep", "^native", "test/test.js"],
  },
  { name: "node-fetch", source: "node-fetch", setup: "node-fetch.ts", mocha: ["test/*.js"] },
];

function run(command: string, args: readonly string[], cwd: string, env: NodeJS.ProcessEnv = process.env): void {
  execFileSync(command, args, { cwd, env, stdio: ["ignore", "ignore", "inherit"] });
}

/** Where the machine says what its apt reads; the same places have the source packages. */
const SOURCES = "/etc/apt/sources.list.d";

/** An apt of our own: its sources, lists and cache lie in the folder, and the machine's stay as they are. */
function fetchSources(): void {
  const apt = join(ROOT, "apt");
  for (const folder of ["lists/partial", "cache/archives/partial", "sources"]) mkdirSync(join(apt, folder), { recursive: true });
  for (const file of readdirSync(SOURCES).filter((name) => name.endsWith(".sources"))) {
    const binaries = readFileSync(join(SOURCES, file), "utf8");
    writeFileSync(join(apt, "sources", file), binaries.replaceAll(/^Types: deb$/gm, "Types: deb-src"));
  }
  writeFileSync(
    join(apt, "apt.conf"),
    [
      'Dir::Etc::sourcelist "/dev/null";',
      `Dir::Etc::sourceparts "${apt}/sources";`,
      `Dir::State::lists "${apt}/lists";`,
      `Dir::Cache "${apt}/cache";`,
    ].join("\n"),
  );
  const env = { ...process.env, APT_CONFIG: join(apt, "apt.conf") };
  run("apt-get", ["update", "-qq"], apt, env);
  for (const { source } of suites) run("apt-get", ["source", "-qq", "--download-only", "--tar-only", source], apt, env);
  for (const { name, source } of suites) {
    const archive = readdirSync(apt).find((file) => file.startsWith(`${source}_`) && file.endsWith(".orig.tar.gz"));
    if (archive === undefined) throw new Error(`apt-get gave no source of ${source}`);
    mkdirSync(join(ROOT, name), { recursive: true });
    run("tar", ["xzf", join(apt, archive), "-C", join(ROOT, name), "--strip-components=1"], ROOT);
  }
}

interface Report {
  readonly passes: readonly { readonly fullTitle: string }[];
  readonly failures: readonly { readonly fullTitle: string; readonly err: { readonly message?: string } }[];
}

function results({ name, setup, mocha }: Suite, subject: "bare" | "premesh"): Report {
  const cwd = join(ROOT, name);
  const report = join(ROOT, `${name}-${subject}.json`);
  const { status, stderr } = spawnSync(
    process.execPath,
    [
      "--import",
      join(HERE, setup),
      join(ROOT, "node_modules/mocha/bin/_mocha"),
      "--exit",
      "--timeout=20000",
      "--reporter=json",
      `--reporter-option=output=${report}`,
      ...mocha,
    ],
    { cwd, env: { ...process.env, SUITE_SUBJECT: subject, SUITE_FOLDER: cwd }, encoding: "utf8" },
  );
  if (!existsSync(report)) throw new Error(`${name} (${subject}) ended with ${status} and no report:\n${stderr}`);
  return JSON.parse(readFileSync(report, "utf8")) as Report; // the cast: mocha's JSON reporter
}

mkdirSync(ROOT, { recursive: true });
if (!existsSync(join(ROOT, "node_modules"))) {
  writeFileSync(join(ROOT, "package.json"), JSON.stringify({ private: true }));
  run("npm", ["install", "--silent", "--no-audit", "--no-fund", ...PACKAGES], ROOT);
}
if (!suites.every(({ name }) => existsSync(join(ROOT, name)))) fetchSources();

let anyLost = false;
console.log(`Node.js ${process.version}, undici ${process.versions["undici"]}; suites in ${ROOT}`);
console.log("| suite | tests | pass bare | pass over premesh | lost |\n|---|---|---|---|---|");
for (const suite of suites) {
  const bare = results(suite, "bare");
  const premesh = results(suite, "premesh");
  const passed = new Set(premesh.passes.map(({ fullTitle }) => fullTitle));
  const lost = bare.passes.filter(({ fullTitle }) => !passed.has(fullTitle));
  anyLost ||= lost.length > 0;
  const all = bare.passes.length + bare.failures.length;
  console.log(`| ${suite.name} | ${all} | ${bare.passes.length} | ${premesh.passes.length} | ${lost.length} |`);
  for (const { fullTitle } of lost) {
    const why = premesh.failures.find((failed) => failed.fullTitle === fullTitle)?.err.message ?? "did not run";
    console.log(`lost: ${fullTitle}: ${why}`);
  }
}
process.exitCode = anyLost ? 1 : 0;
