// h2spec (https://github.com/summerwind/h2spec) against a listener: all but what one port for two protocols excludes.
import assert from "node:assert/strict";
import { execFile, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite, test } from "node:test";
import { listenFor } from "../harness/wire.ts";

const installed = spawnSync("h2spec", ["--version"]).status === 0;
const skip = installed ? false : "h2spec is not installed (go install github.com/summerwind/h2spec/cmd/h2spec@latest)";

/** What is not as h2spec wants it, and why. Nothing of it lets anything through. */
const known = new Set([
  // such a connection is taken for HTTP/1.1, on the same port, and gets its 400
  "http2/3.5 Sends invalid connection preface",
]);

const unescape = (text: string): string =>
  text.replaceAll("&#34;", '"').replaceAll("&#39;", "'").replaceAll("&lt;", "<").replaceAll("&gt;", ">").replaceAll("&amp;", "&");

suite("h2spec", { skip }, () => {
  test("finds nothing that is not known", async (t) => {
    const { address } = await listenFor(t, (exchange) => {
      const answer = (): void => {
        exchange.respond({ status: 200, fields: ["content-type", "text/plain"] }, false);
        exchange.write(Buffer.from("hello"));
        exchange.end();
      };
      exchange.receive({ data: () => undefined, end: answer, broken: () => undefined, drained: () => undefined });
      if (exchange.bodyless) answer();
    });
    const folder = mkdtempSync(join(tmpdir(), "h2spec-"));
    t.after(() => rmSync(folder, { recursive: true }));
    const report = join(folder, "report.xml");
    const port = address.split(":").at(-1) ?? "";
    await new Promise((resolve) => execFile("h2spec", ["-p", port, "-o", "1", "-j", report], resolve));
    const cases = [
      ...readFileSync(report, "utf8").matchAll(/<testcase package="([^"]*)" classname="([^"]*)"[^>]*?(?:\/>|>([\s\S]*?)<\/testcase>)/g),
    ];
    assert.ok(cases.length > 140, `${cases.length} cases`);
    const failed = cases
      .filter(([, , , inside = ""]) => /<(?:failure|error)/.test(inside))
      .map(([, section = "", name = ""]) => `${section} ${unescape(name)}`);
    assert.deepEqual(
      failed.filter((name) => !known.has(name)),
      [],
    );
  });
});
