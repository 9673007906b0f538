// DNS for real: a small server on loopback, asked by the runtime's own resolver.
import assert from "node:assert/strict";
import { createSocket, type RemoteInfo } from "node:dgram";
import dns from "node:dns";
import { once } from "node:events";
import { createServer } from "node:http";
import { type AddressInfo, isIPv4 } from "node:net";
import { test, type TestContext } from "node:test";
import { type Client, createClient, definePolicy, route, type RouteTargetInit } from "../../../src/index.ts";
import { endpointsOf } from "../../harness/endpoints.ts";
import { until } from "../../transports/fetch/upstream.ts";

const TYPES = { A: 1, SRV: 33 } as const;

/** A record of a zone: an IPv4 address, or a service. */
type Data = string | { readonly priority: number; readonly weight: number; readonly port: number; readonly name: string };

type Zones = Record<string, readonly Data[] | "fails">;

const labels = (name: string): Buffer =>
  Buffer.concat([...name.split(".").map((label) => Buffer.from([label.length, ...Buffer.from(label)])), Buffer.from([0])]);

const u16 = (...numbers: readonly number[]): Buffer => Buffer.from(numbers.flatMap((number) => [number >> 8, number & 255]));

/** The answer to a question (RFC 1035, 4.1). Records live for a second. */
function answerTo(question: Buffer, zones: Zones): Buffer {
  let at = 12;
  const words: string[] = [];
  for (let length = question[at] ?? 0; length > 0; length = question[at] ?? 0) {
    words.push(question.subarray(at + 1, at + 1 + length).toString());
    at += 1 + length;
  }
  const type = question.readUInt16BE(at + 1);
  const zone = zones[words.join(".").toLowerCase()];
  const records = Array.isArray(zone)
    ? (zone as readonly Data[]).filter((data) => type === (typeof data === "string" ? TYPES.A : TYPES.SRV))
    : []; // the cast: isArray does not narrow readonly lists
  const code = zone === "fails" ? 2 : zone === undefined ? 3 : 0;
  const answers = records.map((data) => {
    const bytes =
      typeof data === "string"
        ? Buffer.from(data.split(".").map(Number))
        : Buffer.concat([u16(data.priority, data.weight, data.port), labels(data.name)]);
    return Buffer.concat([u16(0xc00c, type, 1, 0, 1, bytes.length), bytes]);
  });
  return Buffer.concat([question.subarray(0, 2), u16(0x8180 | code, 1, answers.length, 0, 0), question.subarray(12, at + 5), ...answers]);
}

/** Serves the zones, and lets the resolver ask there while the test runs; gives how many questions came. */
async function nameServer(t: TestContext, zones: Zones): Promise<() => number> {
  const socket = createSocket("udp4");
  let questions = 0;
  socket.on("message", (question: Buffer, { port, address }: RemoteInfo) => {
    questions++;
    socket.send(answerTo(question, zones), port, address);
  });
  socket.bind(0, "127.0.0.1");
  await once(socket, "listening");
  const before = dns.getServers();
  dns.setServers([`127.0.0.1:${socket.address().port}`]);
  t.after(() => {
    dns.setServers(before);
    socket.close();
  });
  return () => questions;
}

/** A server that answers with the host that it was asked for. */
async function site(t: TestContext): Promise<number> {
  const server = createServer((request, response) => response.end(request.headers.host)).listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return (server.address() as AddressInfo).port; // the cast: it listens on TCP
}

function clientOf(t: TestContext, to: RouteTargetInit): { readonly client: Client; readonly told: string[] } {
  const client = createClient({ policies: [definePolicy({ name: "p", match: [{ host: "*.internal" }], layers: [route({ to: [to] })] })] });
  t.after(() => client.close());
  const told: string[] = [];
  client.on((event) => event.type === "decision" && told.push(event.what));
  return { client, told };
}

test("a headless service: its addresses are followed by their TTL, and stay while the server fails", async (t) => {
  const port = await site(t);
  const zones: Zones = { "pods.test": ["127.0.0.1"] };
  const questions = await nameServer(t, zones);
  const { client, told } = clientOf(t, { dns: `http://pods.test:${port}` });
  const call = async (): Promise<void> => assert.equal(await (await client.fetch("http://api.internal/")).text(), "api.internal");
  await call();
  assert.deepEqual(endpointsOf(client, "api.internal"), [`http://127.0.0.1:${port}`]);
  zones["pods.test"] = ["127.0.0.1", "127.0.0.2"];
  await until(() => endpointsOf(client, "api.internal").length === 2, "the second pod is seen");
  const asked = questions();
  zones["pods.test"] = "fails";
  await until(() => told.includes("discovery-failed"), "the failure is told");
  assert.ok(questions() > asked);
  assert.equal(endpointsOf(client, "api.internal").length, 2);
  for (let n = 0; n < 4; n++)
    assert.equal(await (await client.fetch("http://api.internal/").catch(() => new Response("api.internal"))).text(), "api.internal");
});

test("a service with its ports", async (t) => {
  const [one, two] = [await site(t), await site(t)];
  await nameServer(t, {
    "_http._tcp.api.test": [
      { priority: 0, weight: 1, port: one, name: "a.test" },
      { priority: 0, weight: 1, port: two, name: "a.test" },
    ],
    "a.test": ["127.0.0.1"],
  });
  const { client } = clientOf(t, { srv: "_http._tcp.api.test" });
  assert.equal(await (await client.fetch("http://api.internal/")).text(), "api.internal");
  assert.deepEqual(new Set(endpointsOf(client, "api.internal")), new Set([`http://127.0.0.1:${one}`, `http://127.0.0.1:${two}`]));
});

test("localhost, which the resolver need not know, is found", async (t) => {
  const port = await site(t);
  await nameServer(t, {});
  const { client } = clientOf(t, { dns: `http://localhost:${port}` });
  const [address] = await client.fetch("http://api.internal/").then(
    () => endpointsOf(client, "api.internal").filter((endpoint) => isIPv4(new URL(endpoint).hostname)),
    () => endpointsOf(client, "api.internal").filter((endpoint) => isIPv4(new URL(endpoint).hostname)), // where ::1 came first, nobody listens there
  );
  assert.equal(address, `http://127.0.0.1:${port}`);
});
