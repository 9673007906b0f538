// Upstreams over HTTP/1.1: what whoever sends by them may rely on.
import assert from "node:assert/strict";
import { suite, test, type TestContext } from "node:test";
import { createUpstreams, type UpstreamsOptions } from "../../../src/wire/upstreams.ts";
import type { RequestHead, Stream, Upstreams } from "../../../src/wire/wire.ts";
import { answering, rawServer, type RawServer } from "../../harness/raw.ts";
import { recorder, type Recorder } from "../../harness/recorder.ts";
import { eventually } from "../../harness/wire.ts";
import { closedPort } from "../../harness/upstream.ts";

const OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const head = (some: Partial<RequestHead> = {}): RequestHead => ({
  method: "GET",
  scheme: "http",
  authority: "shop.internal",
  path: "/",
  fields: [],
  upgrade: undefined,
  ...some,
});

interface Sending {
  readonly upstreams: Upstreams;
  readonly server: RawServer;
  readonly open: (receiver: Recorder, some?: Partial<RequestHead>, ended?: boolean) => Stream;
}

async function sending(t: TestContext, answer: Parameters<typeof rawServer>[1], options: UpstreamsOptions = {}): Promise<Sending> {
  const server = await rawServer(t, answer);
  const upstreams = createUpstreams(options);
  return {
    upstreams,
    server,
    open: (receiver, some, ended = true) => upstreams.open({ origin: server.origin, version: "1.1" }, head(some), ended, receiver),
  };
}

suite("a request to an upstream", () => {
  test("is told of its connection before its head, and of nothing at once", async (t) => {
    const { open } = await sending(t, answering(OK));
    for (let time = 0; time < 2; time++) {
      const receiver = recorder();
      open(receiver);
      assert.deepEqual(receiver.told, []);
      await receiver.over;
      assert.deepEqual(receiver.told, ["connected", "head 200", "data ok", "end"]);
    }
  });

  test("that finds nobody is broken before it is connected", async () => {
    const receiver = recorder();
    createUpstreams().open({ origin: new URL(await closedPort()), version: "1.1" }, head(), true, receiver);
    const broken = await receiver.over;
    assert.equal(broken?.why, "connect");
    assert.equal((broken.cause as NodeJS.ErrnoException).code, "ECONNREFUSED"); // the cast: an error of a socket
    assert.deepEqual(receiver.told, ["broken connect"]);
  });

  test("that is given up before it is connected is never sent, and nobody is told", async (t) => {
    const { open, server } = await sending(t, answering(OK));
    const first = recorder();
    open(first).reset("cancelled");
    const second = recorder();
    open(second, { path: "/second" });
    await second.over;
    const third = recorder();
    open(third, { path: "/third" }).reset("cancelled"); // a kept connection is there for it
    const fourth = recorder();
    open(fourth, { path: "/fourth" });
    await fourth.over;
    assert.deepEqual([...first.told, ...third.told], []);
    const sent = server.connections.map((end) => end.text()).join("");
    assert.deepEqual(sent.match(/GET \S+/g), ["GET /second", "GET /fourth"]);
  });

  test("that is given up under way closes its connection, and nobody is told", async (t) => {
    const { open, server } = await sending(t, () => undefined);
    const receiver = recorder();
    const stream = open(receiver);
    const end = await server.connection(1);
    await end.until(/\r\n\r\n$/);
    stream.reset("cancelled");
    await end.over;
    assert.deepEqual(receiver.told, ["connected"]);
  });

  test("whose kept connection ends under it is reset, and may have been sent", async (t) => {
    const { open } = await sending(t, (end) => {
      end.socket.once("data", () => {
        end.send(OK);
        end.socket.once("data", () => end.end());
      });
    });
    const first = recorder();
    open(first);
    await first.over;
    const second = recorder();
    open(second);
    await second.over;
    assert.deepEqual(second.told, ["connected", "broken reset"]);
  });

  for (const [what, some] of Object.entries({
    "CR LF in a value": { fields: ["x", "a\r\nX: b"] },
    "a space in its path": { path: "/a b" },
    "CR LF in its path": { path: "/a\r\nX: b" },
    "CR LF in its authority": { authority: "a\r\nX: b" },
    "a space in its method": { method: "GET /" },
    "two lengths": { fields: ["content-length", "1", "content-length", "2"] },
  } satisfies Record<string, Partial<RequestHead>>)) {
    test(`with ${what} is not sent`, async (t) => {
      const { open, server } = await sending(t, answering(OK));
      const receiver = recorder();
      open(receiver, some);
      assert.equal((await receiver.over)?.why, "protocol");
      assert.equal(receiver.told.includes("connected"), false);
      const next = recorder();
      open(next);
      await next.over;
      assert.match(server.connections[0]?.text() ?? "", /^GET \/ HTTP\/1\.1\r\nHost: shop\.internal\r\n\r\n$/);
    });
  }

  test("waits for a connection where there are as many as may be, and goes in its turn", async (t) => {
    const { open, server } = await sending(t, answering(OK), { limits: { upstreamConnections: 1 } });
    const all = ["/1", "/2", "/3", "/4"].map((path) => {
      const receiver = recorder();
      const stream = open(receiver, { path });
      if (path === "/3") stream.reset("cancelled");
      return receiver;
    });
    await Promise.all(all.filter((_, nth) => nth !== 2).map(({ over }) => over));
    assert.equal(server.connections.length, 1);
    assert.deepEqual(server.connections[0]?.text().match(/GET \S+/g), ["GET /1", "GET /2", "GET /4"]);
    assert.deepEqual(all[2]?.told, []);
  });

  test("that an upstream answers before its body is in is over, and its connection not used again", async (t) => {
    const { open, server } = await sending(t, answering(OK));
    const receiver = recorder();
    const stream = open(receiver, { method: "POST" }, false);
    stream.write(Buffer.from("part"));
    await receiver.over;
    assert.equal(stream.write(Buffer.from("more")), true);
    stream.end();
    await (
      await server.connection(1)
    ).over;
    const next = recorder();
    open(next);
    await next.over;
    assert.equal(server.connections.length, 2);
    assert.doesNotMatch(server.connections[0]?.text() ?? "", /more/);
  });

  test("gives nothing of its body while it is paused, and then all of it", async (t) => {
    const { open } = await sending(t, answering(OK));
    let stream: Stream | undefined;
    const receiver = recorder({ head: () => stream?.pause() });
    stream = open(receiver);
    await eventually(() => receiver.told.includes("head 200"));
    for (let wait = 0; wait < 20; wait++) await new Promise<void>((resolve) => setImmediate(resolve));
    assert.deepEqual(receiver.told, ["connected", "head 200"]);
    stream.resume();
    await receiver.over;
    assert.deepEqual(receiver.told.slice(2), ["data ok", "end"]);
  });

  test("whose upstream takes nothing is told so, and goes on when it does", async (t) => {
    let end: Parameters<NonNullable<Parameters<typeof rawServer>[1]>>[0] | undefined;
    const { open } = await sending(t, (one) => {
      end = one;
      one.socket.pause();
    });
    const receiver = recorder();
    const stream = open(receiver, { method: "PUT" }, false);
    await eventually(() => receiver.told.includes("connected"));
    const drains = (): number => receiver.told.filter((one) => one === "drained").length;
    let sent = 0;
    for (let stuck = false; !stuck;) {
      const before = drains();
      sent++;
      if (stream.write(Buffer.alloc(1_048_576))) continue;
      for (let wait = 0; wait < 50 && drains() === before; wait++) await new Promise<void>((resolve) => setImmediate(resolve));
      stuck = drains() === before;
    }
    const before = drains();
    end?.socket.resume();
    await eventually(() => drains() > before);
    stream.end();
    await end?.until(/\r\n0\r\n\r\n$/);
    assert.ok((end?.text().length ?? 0) > sent * 1_048_576);
  });

  test("has its trailers told", async (t) => {
    const { open } = await sending(
      t,
      answering("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nGrpc-Status: 0\r\n\r\n"),
    );
    const receiver = recorder();
    open(receiver);
    await receiver.over;
    assert.deepEqual(receiver.trailers, [["Grpc-Status", "0"]]);
  });
});

test("upstreams that close let what is under way end, close what is idle, and send no more", async (t) => {
  const { open, upstreams, server } = await sending(t, (end) => {
    end.socket.on("data", () => {
      if (!end.text().includes("/held")) end.send(OK);
    });
  });
  const held = recorder();
  open(held, { path: "/held" });
  const end = await server.connection(1);
  await end.until(/held/);
  const idle = recorder();
  open(idle);
  await idle.over;
  const closed = upstreams.close();
  await (
    await server.connection(2)
  ).over;
  const late = recorder();
  open(late);
  assert.equal((await late.over)?.why, "connect");
  end.send(OK);
  await held.over;
  assert.deepEqual(held.told, ["connected", "head 200", "data ok", "end"]);
  await closed;
  await end.over;
});

test("upstreams that close wait for a connection that has gone over to another protocol", async (t) => {
  const { open, upstreams, server } = await sending(
    t,
    answering("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: chat\r\n\r\n"),
  );
  const receiver = recorder();
  const stream = open(receiver, { upgrade: "chat" });
  const end = await server.connection(1);
  await eventually(() => receiver.told.includes("head 101"));
  let closed = false;
  const closing = upstreams.close().then(() => (closed = true));
  end.send("still here");
  await eventually(() => receiver.told.includes("data still here"));
  assert.equal(closed, false);
  end.end();
  await receiver.over;
  stream.end();
  await end.over;
  await closing;
});
