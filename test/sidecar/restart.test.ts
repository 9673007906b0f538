// A rolling restart: one shim takes over from another on the same port, under load, and no call fails; real processes, clients that never retry.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { Agent, createServer, request } from "node:http";
import { type ClientHttp2Session, connect } from "node:http2";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite, test, type TestContext } from "node:test";
import { type SidecarProcess, startSidecarProcess } from "../harness/sidecar-process.ts";

/** Counts what comes of calls. */
interface Load {
  readonly failures: readonly string[];
  readonly done: () => number;
  /** Resolves when so many more calls have come out. */
  readonly more: (calls: number) => Promise<void>;
  readonly stop: () => Promise<void>;
}

/** Clients that each send one call after the other. */
function load(clients: readonly (() => Promise<number>)[]): Load {
  const failures: string[] = [];
  let done = 0;
  let stopped = false;
  const waiting = new Set<() => void>();
  const run = async (call: () => Promise<number>): Promise<void> => {
    while (!stopped) {
      await call().then(
        (status) => void (status === 200 || failures.push(String(status))),
        (error: unknown) => void failures.push(String(error)),
      );
      done++;
      for (const look of waiting) look();
    }
  };
  const all = Promise.all(clients.map(run));
  return {
    failures,
    done: () => done,
    more: (calls) => {
      const enough = done + calls;
      return new Promise((resolve) => {
        const look = (): void => {
          if (done < enough) return;
          waiting.delete(look);
          resolve();
        };
        waiting.add(look);
      });
    },
    stop: async () => {
      stopped = true;
      await all;
    },
  };
}

/** A client over HTTP/1.1 that keeps its connection as long as it may. */
function http1Client(t: TestContext, port: number): () => Promise<number> {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  t.after(() => agent.destroy());
  return () =>
    new Promise((resolve, reject) => {
      const sent = request(
        { host: "127.0.0.1", port, path: "/a", method: "POST", headers: { host: "shop.internal" }, agent },
        (response) => {
          response
            .resume()
            .on("end", () => resolve(response.statusCode ?? 0))
            .on("error", reject);
        },
      );
      sent.on("error", reject).end("body");
    });
}

/**
 * A client over HTTP/2 that takes another connection once it is told to go. What GOAWAY says was not begun (RFC 9113, 6.8) is sent over that
 * connection, as the libraries of gRPC and Go do by themselves.
 */
function http2Client(t: TestContext, port: number): () => Promise<number> {
  let session: ClientHttp2Session | undefined;
  t.after(() => session?.destroy());
  const call = (): Promise<number> =>
    new Promise((resolve, reject) => {
      if (session === undefined || session.closed || session.destroyed)
        session = connect(`http://127.0.0.1:${port}`).on("error", () => undefined);
      const stream = session.request({ ":method": "POST", ":path": "/a", ":authority": "shop.internal" });
      let status = 0;
      stream.on("response", (headers) => (status = headers[":status"] ?? 0));
      stream
        .resume()
        .on("error", reject)
        .on("close", () => resolve(status));
      stream.end("body");
    });
  return () =>
    call().catch((error: unknown) => (String(error).includes("NGHTTP2_REFUSED_STREAM") ? call() : Promise.reject(error as Error)));
}

suite("a rolling restart", { timeout: 120_000 }, () => {
  test("on one port, under load over HTTP/1.1 and HTTP/2, fails no call", async (t) => {
    const upstream = createServer((incoming, response) => void incoming.resume().on("end", () => response.end("ok")));
    await new Promise<void>((resolve) => upstream.listen(0, "127.0.0.1", resolve));
    t.after(() => upstream.close().closeAllConnections());
    const folder = mkdtempSync(join(tmpdir(), "premesh-restart-"));
    t.after(() => rmSync(folder, { recursive: true, force: true }));
    const file = join(folder, "policies.json");
    const endpoint = `http://127.0.0.1:${(upstream.address() as AddressInfo).port}`; // the cast: it listens on a port
    writeFileSync(
      file,
      JSON.stringify({ name: "shop", match: [{ host: "shop.internal" }], layers: [{ kind: "route", to: [{ endpoints: [endpoint] }] }] }),
    );

    const start = (address: string): Promise<SidecarProcess> =>
      startSidecarProcess(t, [file, "--outbound", address, "--reuse-port", "--access-log", "off"]);
    let shim = await start("127.0.0.1:0");
    const port = Number(shim.outbound.split(":")[1]);
    const clients = Array.from({ length: 8 }, (_, nth) => (nth % 2 === 0 ? http1Client(t, port) : http2Client(t, port)));
    const { failures, more, stop } = load(clients);
    for (let round = 0; round < 2; round++) {
      await more(200);
      const next = await start(shim.outbound);
      shim.child.kill("SIGTERM");
      assert.equal(await shim.ended, 0);
      shim = next;
    }
    await more(200);
    await stop();
    assert.deepEqual(failures, []);
  });
});
