// premesh sidecar --demo: a shim with an upstream behind it that fails now and then, and what to curl to see what the shim does about it.
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { breaker } from "../../layers/breaker/definition.ts";
import { rateLimit } from "../../layers/rateLimit/definition.ts";
import { retry } from "../../layers/retry/definition.ts";
import { route } from "../../layers/route/definition.ts";
import { timeout } from "../../layers/timeout/definition.ts";
import { definePolicy } from "../../policy/define.ts";
import type { Policy } from "../../policy/policy.ts";
import { runSidecar } from "../../sidecar/process.ts";
import type { SidecarSettings } from "../../sidecar/settings.ts";

const HOST = "shop.internal";

export async function runDemo(settings: SidecarSettings): Promise<number> {
  const upstream = createServer(flaky());
  await new Promise<void>((resolve) => upstream.listen(0, "127.0.0.1", resolve));
  const { port } = upstream.address() as AddressInfo; // the cast: it listens on a port
  try {
    const { accessLog = "off" } = settings; // what it prints is to be read
    return await runSidecar({ ...settings, accessLog, policies: demoPolicies(`http://127.0.0.1:${port}`) }, ({ outbound, admin }) => {
      process.stdout.write(`${linesFor(outbound, admin).join("\n")}\n`);
    });
  } finally {
    upstream.close();
    upstream.closeAllConnections();
  }
}

function demoPolicies(endpoint: string): readonly Policy[] {
  return [
    definePolicy({
      name: "limited",
      match: [{ host: HOST, path: "/limited" }],
      layers: [rateLimit({ rate: 1, per: "10s" }), route({ to: [{ endpoints: [endpoint] }] })],
    }),
    definePolicy({
      name: "shop",
      match: [{ host: HOST }],
      layers: [
        timeout("5s"),
        retry({ attempts: 4 }),
        breaker({ trip: { consecutive: 10 }, openFor: "5s" }),
        timeout("1s"),
        route({ to: [{ endpoints: [endpoint] }] }),
      ],
    }),
  ];
}

/** Two of three requests for /flaky fail, /down always fails, and /slow takes 3 s. */
function flaky(): Parameters<typeof createServer>[1] {
  let requests = 0;
  return (request, response) => {
    const path = request.url?.split("?", 1)[0] ?? "";
    const fails = path === "/down" || (path === "/flaky" && ++requests % 3 !== 0);
    const answer = (): void => {
      response.writeHead(fails ? 503 : 200, { "content-type": "text/plain" });
      response.end(fails ? "out of order\n" : `hello from the upstream, ${request.method} ${request.url}\n`);
    };
    if (path === "/slow") setTimeout(answer, 3_000).unref();
    else answer();
  };
}

function linesFor(outbound: string | undefined, admin: string | undefined): readonly string[] {
  const curl = (address: string, path: string, host: string): string =>
    address.startsWith("unix:")
      ? `curl -i --unix-socket ${address.slice(5)} http://${host}${path}`
      : host === "localhost"
        ? `curl http://${address}${path}`
        : `curl -i -x http://${address} http://${host}${path}`;
  const lines: (readonly [what: string, line: string])[] = [];
  if (outbound !== undefined)
    lines.push(
      ["goes through", curl(outbound, "/", HOST)],
      ["fails twice, and is sent three times", curl(outbound, "/flaky", HOST)],
      ["takes 3 s, and each attempt may take 1 s", curl(outbound, "/slow", HOST)],
      ["always fails: after ten attempts the breaker opens", curl(outbound, "/down", HOST)],
      ["may be called once in 10 s", curl(outbound, "/limited", HOST)],
      ["is matched by no policy", curl(outbound, "/", "elsewhere.internal")],
    );
  if (admin !== undefined)
    lines.push(
      ["what is in force", curl(admin, "/config", "localhost")],
      ["what happened, for Prometheus", curl(admin, "/metrics", "localhost")],
    );
  const width = Math.max(...lines.map(([, line]) => line.length));
  return ["", "Try these; Ctrl-C ends it.", "", ...lines.map(([what, line]) => `  ${line.padEnd(width)}  # ${what}`), ""];
}
