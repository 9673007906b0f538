// Listeners: where they listen, what they leave alone, and how they end.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { linkSync, lstatSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { networkInterfaces, tmpdir } from "node:os";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { suite, test, type TestContext } from "node:test";
import { parseAddress } from "../../src/wire/address.ts";
import { listen, type ListenOptions } from "../../src/wire/listen.ts";
import type { Exchange, Listener } from "../../src/wire/wire.ts";
import { answering, rawClient, rawServer } from "../harness/raw.ts";
import { eventually, listenFor, wireTo } from "../harness/wire.ts";

const GET = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const ok = (exchange: Exchange): void => exchange.respond({ status: 204, fields: [] }, true);

async function open(t: TestContext, address: string, options: Partial<ListenOptions> = {}): Promise<Listener> {
  const listener = await listen(address, { exchange: ok, ...options });
  t.after(() => listener.destroy());
  return listener;
}

async function asked(t: TestContext, address: string): Promise<void> {
  const client = await rawClient(t, address);
  client.send(GET);
  await client.until(/^HTTP\/1\.1 204 No Content\r\n\r\n$/);
}

function folder(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), "premesh-wire-"));
  t.after(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

/** Leaves a socket behind that nobody answers at, as a killed process does. */
async function leaveStale(path: string): Promise<void> {
  const server: Server = createServer().listen(join(path, "..", "first.sock"));
  await once(server, "listening");
  linkSync(join(path, "..", "first.sock"), path); // closing takes the first name away only
  server.close();
  await once(server, "close");
}

suite("a listener", () => {
  test("listens on IPv4, IPv6 and unix sockets, and says where", async (t) => {
    const four = await open(t, "127.0.0.1:0");
    assert.match(four.address, /^127\.0\.0\.1:\d+$/);
    await asked(t, four.address);
    if (Object.values(networkInterfaces()).some((all) => all?.some(({ address }) => address === "::1"))) {
      const six = await open(t, "[::1]:0");
      assert.match(six.address, /^\[::1\]:\d+$/);
      await asked(t, six.address);
    }
    const path = join(folder(t), "a.sock");
    const unix = await open(t, `unix:${path}`);
    assert.equal(unix.address, `unix:${path}`);
    await asked(t, unix.address);
  });

  test("knows what comes from this machine", async (t) => {
    const seen: Exchange[] = [];
    const path = join(folder(t), "a.sock");
    const exchange = (one: Exchange): void => {
      seen.push(one);
      ok(one);
    };
    const tcp = await open(t, "0.0.0.0:0", { exchange });
    await asked(t, tcp.address.replace("0.0.0.0", "127.0.0.1"));
    await open(t, `unix:${path}`, { exchange });
    await asked(t, `unix:${path}`);
    const [first, second] = seen.map(({ connection }) => connection);
    assert.equal(first?.remoteAddress, "127.0.0.1");
    assert.equal(first.local, true);
    assert.deepEqual({ ...second }, { remoteAddress: "", remotePort: 0, localAddress: "", localPort: 0, local: true, requests: 1 });
  });

  test("says what an address should be", () => {
    for (const wrong of ["", "15001", "localhost", "127.0.0.1:99999", "::1:80", "unix:relative.sock", "unix:", "http://a:1", "a@b:1"])
      assert.throws(() => parseAddress(wrong), TypeError, wrong);
    assert.deepEqual(parseAddress("localhost:80"), { host: "localhost", port: 80 });
  });

  test("rejects where somebody listens, and where it must not", async (t) => {
    const { address } = await open(t, "127.0.0.1:0");
    await assert.rejects(listen(address, { exchange: ok }), { code: "EADDRINUSE" });
    await assert.rejects(listen(`unix:${folder(t)}/none/a.sock`, { exchange: ok }), { code: "EACCES" });
  });

  test("gives its socket's file the mode that is asked for, from its first moment on", async (t) => {
    const path = folder(t);
    await open(t, `unix:${path}/a.sock`);
    await open(t, `unix:${path}/b.sock`, { mode: 0o660 });
    assert.equal(statSync(`${path}/a.sock`).mode & 0o777, 0o600);
    assert.equal(statSync(`${path}/b.sock`).mode & 0o777, 0o660);
  });

  test("takes the place of a socket that nobody answers at", async (t) => {
    const path = join(folder(t), "a.sock");
    await leaveStale(path);
    assert.ok(lstatSync(path).isSocket());
    await open(t, `unix:${path}`);
    await asked(t, `unix:${path}`);
  });

  test("leaves alone a socket that somebody answers at, a file, and a link", async (t) => {
    const path = folder(t);
    await open(t, `unix:${path}/live.sock`);
    writeFileSync(`${path}/file`, "precious");
    await leaveStale(`${path}/stale.sock`);
    symlinkSync(`${path}/stale.sock`, `${path}/link`);
    for (const name of ["live.sock", "file", "link"])
      await assert.rejects(listen(`unix:${path}/${name}`, { exchange: ok }), { code: "EADDRINUSE" });
    assert.ok(lstatSync(`${path}/stale.sock`).isSocket());
    assert.ok(lstatSync(`${path}/link`).isSymbolicLink());
    await asked(t, `unix:${path}/live.sock`);
  });

  test("listens on a socket that was handed over by another process", async (t) => {
    const first = createServer().listen(0, "127.0.0.1");
    t.after(() => void first.close());
    await once(first, "listening");
    // the cast: the descriptor of a server has no other way out
    const { fd } = (first as unknown as { readonly _handle: { readonly fd: number } })._handle;
    const script = `import { listen } from ${JSON.stringify(new URL("../../src/wire/listen.ts", import.meta.url).href)};
      const { address } = await listen("127.0.0.1:0", { fd: 3, exchange: (one) => one.respond({ status: 204, fields: [] }, true) });
      process.stdout.write(address);`;
    const child = spawn(process.execPath, ["--input-type=module", "-e", script], { stdio: ["ignore", "pipe", "inherit", fd] });
    t.after(() => child.kill("SIGKILL"));
    const [told] = (await once(child.stdout as Readable, "data")) as [Buffer]; // the casts: stdout is a pipe, and what a stream gives are buffers
    first.close();
    await once(first, "close");
    await asked(t, told.toString());
  });

  test("shares its port with another one, when both are asked to", async (t) => {
    const one = await open(t, "127.0.0.1:0", { reusePort: true });
    const two = await open(t, one.address, { reusePort: true });
    assert.equal(two.address, one.address);
    await asked(t, one.address);
    await one.drain();
    await asked(t, one.address);
  });

  test("closes connections beyond its bound at once", async (t) => {
    const { address, listener } = await listenFor(t, ok, { limits: { connections: 1 } });
    const first = await rawClient(t, address);
    first.send(GET);
    await first.until(/204/);
    const second = await rawClient(t, address);
    assert.equal(await second.over, "");
    assert.equal(listener.count().connections, 1);
    first.send(GET);
    await first.until(/204[^]*204/);
  });
});

suite("a listener that drains", () => {
  test("takes no more, closes idle connections, and ends those at work with their answer", async (t) => {
    let held: Exchange | undefined;
    const { address, listener } = await listenFor(t, (exchange) => {
      if (exchange.head.path === "/held") held = exchange;
      else ok(exchange);
    });
    const idle = await rawClient(t, address);
    idle.send(GET);
    await idle.until(/204/);
    const fresh = await rawClient(t, address);
    const half = await rawClient(t, address);
    half.send("GET / HTTP/1.1\r\n");
    const busy = await rawClient(t, address);
    busy.send("GET /held HTTP/1.1\r\nHost: a\r\n\r\n");
    await eventually(() => held !== undefined);
    const drained = listener.drain();
    await Promise.all([idle.over, fresh.over]);
    await assert.rejects(rawClient(t, address), { code: "ECONNREFUSED" });
    half.send("Host: a\r\n\r\n");
    assert.match(await half.over, /^HTTP\/1\.1 204 No Content\r\nConnection: close\r\n\r\n$/);
    held?.respond({ status: 200, fields: ["content-length", "2"] }, false);
    held?.write(Buffer.from("ok"));
    held?.end();
    assert.match(await busy.over, /Connection: close\r\n\r\nok$/);
    for (const client of [idle, half, busy]) client.end();
    await drained;
    assert.deepEqual(listener.count(), { connections: 0, exchanges: 0 });
  });

  test("breaks everything when it is destroyed", async (t) => {
    let broken = 0;
    const { address, listener } = await listenFor(t, (exchange) =>
      exchange.receive({ data: () => undefined, end: () => undefined, broken: () => broken++, drained: () => undefined }),
    );
    const client = await rawClient(t, address);
    client.send(GET);
    await eventually(() => listener.count().exchanges === 1);
    listener.destroy();
    await client.over;
    await eventually(() => broken === 1);
    assert.deepEqual(listener.count(), { connections: 0, exchanges: 0 });
  });
});

test("an upstream can be a unix socket", async (t) => {
  const path = join(folder(t), "app.sock");
  await open(t, `unix:${path}`);
  const { address } = await wireTo(t, new URL("http://app.internal"), { socketPath: path });
  await asked(t, address);
});

test("an upstream whose address is forbidden is never connected to, by number and by name", async (t) => {
  const upstream = await rawServer(t, answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"));
  const { port } = upstream.origin;
  const seen: string[] = [];
  const forbidden = (address: string, to: number): boolean => {
    seen.push(`${address} ${to}`);
    return true;
  };
  for (const origin of [upstream.origin, new URL(`http://localhost:${port}`)]) {
    const { address } = await wireTo(t, origin, { sending: { forbidden } });
    const client = await rawClient(t, address);
    client.send(GET);
    await client.until(/^HTTP\/1\.1 403/);
  }
  assert.equal(upstream.connections.length, 0);
  assert.ok(seen.includes(`127.0.0.1 ${port}`));
});
