// Measures for docs/decisions/0005-fetch-is-tapped-not-rebuilt.md: CPU of one request, bare, tapped, and with a rebuilt Response.
import { fork } from "node:child_process";
import { once } from "node:events";
import http from "node:http";
import { newEnd } from "../../../src/call/end.ts";
import { watched } from "../../../src/transports/fetch/foreign.ts";
import { Tap } from "../../../src/transports/fetch/tap.ts";
import { median, show } from "./measure.ts";

if (process.argv[2] === "server") {
  const server = http
    .createServer((_request, response) => response.end("hello"))
    .listen(0, "127.0.0.1", () => {
      process.send?.((server.address() as { port: number }).port); // the cast: it listens on a port
    });
} else {
  const server = fork(import.meta.filename, ["server"]);
  const [port] = (await once(server, "message")) as [number]; // the cast: what the server sends
  const url = `http://127.0.0.1:${port}/`;

  const tapped = async (): Promise<Response> => {
    const tap = new Tap(undefined, [], undefined);
    const response = await fetch(url, { dispatcher: tap } as object); // the cast: undici's extension of RequestInit
    tap.returned();
    return response;
  };
  const piped = async (): Promise<Response> => {
    const response = await fetch(url);
    return new Response(response.body?.pipeThrough(new TransformStream()), response);
  };
  const ways = {
    "bare fetch": () => fetch(url),
    "tapped (premesh)": tapped,
    "Response rebuilt around a reader": () => fetch(url).then((response) => watched(response, newEnd())),
    "Response rebuilt around a TransformStream": piped,
  };

  const requests = 3_000;
  async function cpuOfOne(way: () => Promise<Response>): Promise<number> {
    let left = requests;
    const before = process.cpuUsage();
    const worker = async (): Promise<void> => {
      while (left-- > 0) await (await way()).text();
    };
    await Promise.all(Array.from({ length: 50 }, worker));
    const { user, system } = process.cpuUsage(before);
    return (user + system) / requests;
  }

  const figures = Object.fromEntries(Object.keys(ways).map((name) => [name, [] as number[]]));
  for (let round = -2; round < 11; round++) {
    for (const [name, way] of Object.entries(ways)) {
      const cpu = await cpuOfOne(way);
      if (round >= 0) figures[name]?.push(cpu);
    }
  }
  const bare = median(figures["bare fetch"] ?? []);
  for (const [name, all] of Object.entries(figures))
    show(name, `${median(all).toFixed(1)} us of CPU per request, ${(median(all) / bare).toFixed(2)}x`);

  const original = await fetch(url);
  const rebuilt = new Response(original.body, original);
  show("url of the native Response", original.url.replace(String(port), "PORT"));
  show("url of a rebuilt one", JSON.stringify(rebuilt.url));
  await rebuilt.text();
  server.kill();
  process.exit();
}
