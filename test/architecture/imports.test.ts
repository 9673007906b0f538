// Holds the design's table of who may import whom, and what every source file has in common.
import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { dirname, posix } from "node:path";
import { suite, test } from "node:test";
import { fileURLToPath } from "node:url";

interface Import {
  readonly from: string;
  /** A file of ours (`policy/duration.ts`), or the name of a package (`zod`, `node:fs`). */
  readonly to: string;
  /** Nothing of it is loaded at run time. */
  readonly type: boolean;
}

const root = fileURLToPath(new URL("../../src", import.meta.url));
const sources = new Map(
  globSync("**/*.ts", { cwd: root })
    .toSorted()
    .map((file) => [file.replaceAll("\\", "/"), readFileSync(`${root}/${file}`, "utf8")] as const),
);

/** The code without comments; text in quotes stays, since imports are written in it. */
const code = (text: string): string => text.replaceAll(/\/\*[\s\S]*?\*\//g, "").replaceAll(/(^|\s)\/\/.*$/gm, "$1");

function importsOf(from: string, text: string): Import[] {
  const found: Import[] = [];
  const add = (name: string, type: boolean): void => {
    found.push({ from, to: name.startsWith(".") ? posix.join(dirname(from), name) : name, type });
  };
  const bare = code(text);
  for (const [, type, name = ""] of bare.matchAll(/^(?:import|export)\s+(type\s)?(?:[^;"']*?\sfrom\s+)?["']([^"']+)["']/gm))
    add(name, type !== undefined);
  for (const [, name = ""] of bare.matchAll(/\btypeof import\(\s*["']([^"']+)["']\s*\)/g)) add(name, true);
  for (const [, name = ""] of bare.matchAll(
    /(?:(?<!typeof )\bimport|\brequire|createRequire\(import\.meta\.url\))\(\s*["']([^"']+)["']\s*\)/g,
  ))
    add(name, false);
  return found;
}

const imports = [...sources].flatMap(([file, text]) => importsOf(file, text));
const ours = imports.filter(({ to }) => sources.has(to));
const theirs = imports.filter(({ to }) => !sources.has(to) && !to.startsWith("node:"));
const show = ({ from, to, type }: Import): string => `${from} -> ${to}${type ? " (types)" : ""}`;

/** Whether a file of policy/ knows no layer, by whatever it imports: what definitions and everything above may build on. */
const isPrimitive = (file: string): boolean => file.startsWith("policy/") && ours.every(({ from, to }) => from !== file || isPrimitive(to));

/** Which part of the source a file is. The first pattern that fits counts. */
const parts: readonly (readonly [part: string, pattern: RegExp])[] = [
  ["index", /^index\.ts$/],
  ["entry", /^(?:grpc|connect|redis|inbound)\.ts$/],
  ["client", /^(?:client|client-options|policies-in-force)\.ts$/],
  ["compile", /^(?:compile|targets)\.ts$/],
  ["definition", /^layers\/(?:.+\/)?definition\.ts$/],
  ["runtime", /^layers\//],
  ["policy", /^policy\//],
  ["files", /^policy-files\//],
  ["call", /^call\//],
  ["seam", /^seam\//],
  ["telemetry", /^telemetry\//],
  ["wire", /^wire\//],
  ["transport", /^transports\//],
  ["store", /^stores\//],
  ["sidecar", /^sidecar\//],
  ["testing", /^testing\//],
  ["registration", /^(?:register\.ts$|registration\/)/],
  ["cli", /^cli\//],
];

/** Who may load whom; `types`: whose types besides. A layer's own folder is always open to it. */
const table: Readonly<Record<string, { readonly loads: readonly string[]; readonly types: readonly string[] }>> = {
  primitive: { loads: ["primitive"], types: [] },
  definition: { loads: ["primitive"], types: [] },
  policy: { loads: ["primitive", "policy", "definition"], types: [] },
  files: { loads: ["primitive", "policy", "files"], types: [] },
  call: { loads: ["primitive", "call"], types: ["policy"] },
  seam: { loads: ["primitive", "call", "seam"], types: [] },
  runtime: { loads: ["primitive", "call", "seam"], types: [] },
  telemetry: { loads: ["primitive", "call", "telemetry"], types: ["policy"] },
  compile: { loads: ["primitive", "policy", "call", "runtime", "compile"], types: [] },
  wire: { loads: ["wire"], types: [] },
  transport: { loads: ["primitive", "call", "seam", "transport", "wire"], types: ["policy", "client"] },
  sidecar: {
    loads: ["primitive", "policy", "files", "call", "seam", "telemetry", "client", "transport", "wire", "store", "sidecar"],
    types: ["compile"],
  },
  client: { loads: ["primitive", "policy", "call", "seam", "telemetry", "compile", "transport", "client"], types: [] },
  index: { loads: ["primitive", "policy", "definition", "client"], types: ["call", "telemetry", "transport"] },
  store: { loads: ["primitive", "call", "store"], types: [] },
  entry: { loads: ["transport", "store"], types: ["transport", "store", "call"] },
  testing: { loads: ["primitive", "policy", "call", "compile", "testing"], types: ["client", "telemetry", "transport"] },
  registration: { loads: ["primitive", "policy", "client", "files", "registration"], types: [] },
  cli: {
    loads: ["primitive", "policy", "definition", "client", "transport", "files", "testing", "wire", "sidecar", "index", "cli"],
    types: [],
  },
};

/** The packages, and the only files that may load them, or name their types. */
const packages: Readonly<Record<string, { readonly loads: readonly RegExp[]; readonly types: readonly RegExp[] }>> = {
  cockatiel: { loads: [/^layers\/retry\/backoff\.ts$/], types: [/^layers\/retry\/backoff\.ts$/] },
  bottleneck: { loads: [/^stores\/redis\/bucket\.ts$/], types: [] },
  ioredis: { loads: [/^stores\/redis\/link\.ts$/], types: [/^stores\/redis\//] },
  opossum: { loads: [/^layers\/breaker\/window\.ts$/], types: [] },
  "@opentelemetry/api": {
    loads: [/^call\/otel\.ts$/, /^sidecar\/telemetry\/(?:telemetry|otlp|histograms)\.ts$/],
    types: [/^call\/otel\.ts$/, /^layers\/trace\//, /^telemetry\/(?:metrics|gauges|bound)\.ts$/, /^sidecar\/telemetry\//],
  },
  // OpenTelemetry's SDK is the shim's alone.
  "@opentelemetry/context-async-hooks": { loads: [/^sidecar\/telemetry\/otlp\.ts$/], types: [] },
  "@opentelemetry/core": { loads: [/^sidecar\/telemetry\/otlp\.ts$/], types: [] },
  "@opentelemetry/exporter-metrics-otlp-http": { loads: [/^sidecar\/telemetry\/otlp\.ts$/], types: [] },
  "@opentelemetry/exporter-metrics-otlp-proto": { loads: [/^sidecar\/telemetry\/otlp\.ts$/], types: [] },
  "@opentelemetry/exporter-prometheus": { loads: [/^sidecar\/telemetry\/reader\.ts$/], types: [] },
  "@opentelemetry/exporter-trace-otlp-http": { loads: [/^sidecar\/telemetry\/otlp\.ts$/], types: [] },
  "@opentelemetry/exporter-trace-otlp-proto": { loads: [/^sidecar\/telemetry\/otlp\.ts$/], types: [] },
  "@opentelemetry/resources": { loads: [/^sidecar\/telemetry\/(?:telemetry|histograms)\.ts$/], types: [/^sidecar\/telemetry\/otlp\.ts$/] },
  "@opentelemetry/sdk-metrics": {
    loads: [/^sidecar\/telemetry\/(?:telemetry|reader|otlp|histograms)\.ts$/],
    types: [/^sidecar\/telemetry\/units\.ts$/],
  },
  "@opentelemetry/sdk-trace": { loads: [/^sidecar\/telemetry\/otlp\.ts$/], types: [] },
  zod: {
    loads: [/^policy\/validate\.ts$/],
    types: [
      /^policy\/(?:validate|schema|schema-issues|policy-schema|kinds)\.ts$/,
      /^testing\/simulate\/schema\.ts$/,
      /^layers\/(?:.+\/)?definition\.ts$/,
    ],
  },
  "@bufbuild/protobuf": { loads: [/^transports\/connect\/connect-es\.ts$/], types: [] },
  "@connectrpc/connect": { loads: [/^transports\/connect\/connect-es\.ts$/], types: [] },
  "@grpc/grpc-js": { loads: [/^transports\/grpc\/grpc-js\.ts$/], types: [] },
  "@grpc/grpc-js/package.json": { loads: [/^transports\/grpc\/grpc-js\.ts$/], types: [] },
  yaml: { loads: [/^policy\/text\.ts$/], types: [/^policy\/text\.ts$/] },
};

/** The folder of a layer: `layers/route`. */
const layerOf = (file: string): string => file.split("/", 2).join("/");

const partOf = (file: string): string => (isPrimitive(file) ? "primitive" : (parts.find(([, pattern]) => pattern.test(file))?.[0] ?? ""));

suite("who imports whom", () => {
  test("what definitions build on knows no layer", () => {
    for (const name of ["conditions", "duration", "error", "freeze", "schema"])
      assert.equal(partOf(`policy/${name}.ts`), "primitive", name);
    assert.equal(partOf("policy/policy.ts"), "policy");
  });

  test("every source file is a part of the design", () => {
    assert.ok(sources.size > 50, `${sources.size} files`);
    assert.deepEqual(
      [...sources.keys()].filter((file) => partOf(file) === ""),
      [],
    );
  });

  test("every relative import is found, and every package is one of the table", () => {
    assert.ok(ours.length > 150, `${ours.length} imports`);
    const lost = imports.filter(({ to }) => /^(?:\.|src|[a-z]+\/.*\.ts$)/.test(to) && !sources.has(to));
    assert.deepEqual(lost.map(show), []);
    assert.deepEqual(theirs.filter(({ to }) => packages[to] === undefined).map(show), []);
  });

  test("each part imports only what the table allows", () => {
    const wrong = ours.filter(({ from, to, type }) => {
      const [part, other] = [partOf(from), partOf(to)];
      if ((part === "runtime" || (part === "definition" && other === part)) && layerOf(from) === layerOf(to)) return false;
      const rule = table[part];
      return rule === undefined || !(rule.loads.includes(other) || (type && rule.types.includes(other)));
    });
    assert.deepEqual(wrong.map(show), []);
  });

  for (const [name, { loads, types }] of Object.entries(packages)) {
    test(`${name} is loaded only where the table says`, () => {
      const fits = (patterns: readonly RegExp[], { from }: Import): boolean => patterns.some((pattern) => pattern.test(from));
      const uses = theirs.filter(({ to }) => to === name);
      const loading = uses.filter(({ type }) => !type);
      assert.ok(loading.length > 0, `nothing loads ${name}: take it out of the table`);
      assert.deepEqual(uses.filter((one) => !fits(one.type ? types : loads, one)).map(show), []);
    });
  }

  test("there are no circles", () => {
    const done = new Set<string>();
    const circles: string[] = [];
    const visit = (file: string, trail: readonly string[]): void => {
      if (trail.includes(file)) circles.push([...trail.slice(trail.indexOf(file)), file].join(" -> "));
      if (done.has(file) || trail.includes(file)) return;
      for (const { from, to } of ours) if (from === file) visit(to, [...trail, file]);
      done.add(file);
    };
    for (const file of sources.keys()) visit(file, []);
    assert.deepEqual(circles, []);
  });
});

suite("every source file", () => {
  const offenders = (wrong: (text: string, file: string) => boolean): string[] =>
    [...sources].filter(([file, text]) => wrong(text, file)).map(([file]) => file);

  test("opens with a sentence that says what it is", () => {
    assert.deepEqual(
      offenders((text) => !/^(?:#!.*\n)?\/\/ \S.*(?:\n\/\/.*)*[.:]\n/.test(text)),
      [],
    );
  });

  test("is at most 250 lines long", () => {
    assert.deepEqual(
      offenders((text) => text.split("\n").length - 1 > 250),
      [],
    );
  });

  test("names what it exports: no `export *`, no default", () => {
    assert.deepEqual(
      offenders((text) => /^export\s+(?:\*|default\b)|\bas default\b/m.test(code(text))),
      [],
    );
  });

  test("has no enums, namespaces or decorators", () => {
    assert.deepEqual(
      offenders((text) => /^\s*(?:export\s+)?(?:declare\s+)?(?:const\s+)?(?:enum|namespace|module)\s+\w+\s*\{|^\s*@\w+/m.test(code(text))),
      [],
    );
  });

  test("imports our files with their extension", () => {
    assert.deepEqual(
      imports.filter(({ from, to }) => from !== to && !to.includes(":") && packages[to] === undefined && !to.endsWith(".ts")).map(show),
      [],
    );
  });
});
