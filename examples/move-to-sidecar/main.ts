// One app, and three commits of its policy file: the seam moves into a sidecar line by line, and no call of the app changes.
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { createClient, parsePolicies } from "../../src/index.ts";
import { serve } from "../server.ts";

const file = (name: string): string => fileURLToPath(new URL(name, import.meta.url));

/** Fails two of three times, and sees which way a request came. */
let requests = 0;
const server = await serve((request, response) => {
  const fails = ++requests % 3 !== 0;
  const way = request.headers.via === undefined ? "directly" : "by the sidecar";
  response.writeHead(fails ? 503 : 200).end(fails ? "" : `paid, ${way}`);
});

/** `premesh sidecar <policies> --outbound 127.0.0.1:0`, and the address that it tells. */
async function startSidecar(policies: string): Promise<{ child: ChildProcess; address: string }> {
  const flags = ["--outbound", "127.0.0.1:0", "--admin", "off", "--access-log", "off"];
  const child = spawn(process.execPath, [file("../../src/cli/main.ts"), "sidecar", policies, ...flags], {
    stdio: ["ignore", "inherit", "pipe"],
  });
  for await (const text of child.stderr.setEncoding("utf8") as AsyncIterable<string>) {
    const [, address] = /outbound listens on (\S+)/.exec(text) ?? [];
    if (address !== undefined) return { child, address: `http://${address}` };
  }
  throw new Error("the sidecar did not start");
}

for (const name of ["1-in-process.yaml", "2-attempts-in-the-sidecar.yaml", "3-all-in-the-sidecar.yaml"]) {
  const policies = parsePolicies(await readFile(file(name), "utf8"));
  const sidecar = await startSidecar(file(name));

  // the app: the same lines after each commit
  const client = createClient({ policies, sidecar: sidecar.address });
  const response = await client.fetch(`${server.url}/charges/1`);
  console.log(`${name}: ${response.status} ${await response.text()}, after ${client.explain(response)?.attempts} attempts`);
  await client.close();

  if (name.startsWith("3")) {
    const python = promisify(execFile)("python3", [file("client.py"), sidecar.address, server.url]);
    console.log(await python.then(({ stdout }) => stdout.trim(), String));
  }

  const gone = once(sidecar.child, "exit");
  sidecar.child.kill();
  await gone;

  // no sidecar any more: the process runs what stands behind the seam
  const alone = createClient({ policies, sidecar: sidecar.address });
  const after = await alone.fetch(`${server.url}/charges/2`);
  console.log(`  with the sidecar gone: ${after.status} ${await after.text()}`);
  await alone.close();
}
server.close();
