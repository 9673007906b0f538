// Loaded before node-fetch's tests: they import a node-fetch whose default export is client.fetch over it.
import { writeFileSync } from "node:fs";
import { registerHooks } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

if (process.env["SUITE_SUBJECT"] === "premesh") {
  const folder = process.env["SUITE_FOLDER"] ?? "";
  const source = pathToFileURL(join(folder, "src/index.js")).href;
  const wrapper = join(folder, "wrapped.mjs");
  writeFileSync(
    wrapper,
    [
      `import bare from ${JSON.stringify(source)};`,
      `import { healthyClient } from ${JSON.stringify(new URL("../healthy.ts", import.meta.url).href)};`,
      `export * from ${JSON.stringify(source)};`,
      "export default healthyClient({ fetch: bare }).fetch;",
    ].join("\n"),
  );
  registerHooks({
    resolve: (specifier, context, next) => {
      const found = next(specifier, context);
      const fromTests = context.parentURL?.startsWith(pathToFileURL(join(folder, "test/")).href) === true;
      return fromTests && found.url === source ? { ...found, url: pathToFileURL(wrapper).href } : found;
    },
  });
}
