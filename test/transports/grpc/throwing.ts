// A program whose listeners throw; edge.test.ts runs it and reads what it prints.
import { Metadata, status } from "@grpc/grpc-js";
import { breaker, bulkhead } from "../../../src/index.ts";
import { policedEcho } from "./calls.ts";
import { openPeer } from "./peer.ts";

const closing: (() => void)[] = [];
const t = { after: (close: () => void) => void closing.push(close) };
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

process.on("uncaughtException", (error) => console.log(`uncaught: ${error.message}`));
const fails = (where: string): never => {
  throw new Error(`in ${where}`);
};

const peer = await openPeer(t, (attempt) => {
  attempt.send("fine");
  attempt.status(status.OK);
});
const { client, echo } = policedEcho(t, peer.address, [bulkhead({ limit: 1 }), breaker()]);

const call = echo.Unary("a", new Metadata(), {}, () => fails("callback"));
call.on("metadata", () => fails("metadata"));
await peer.arrived(1);
while (client.status().policies["echo"]?.targets[peer.address]?.[0]?.state["active"] !== 0) await turn();
for (let wait = 0; wait < 20; wait++) await turn();
const fine = await new Promise<number>((resolve) => {
  echo.Unary("a", new Metadata(), {}, () => undefined).on("status", ({ code }) => resolve(code));
});
console.log(`status ${fine}`);

client.isolate("echo");
const refused = echo.ServerStream("a");
refused.on("error", () => fails("error"));
for (let wait = 0; wait < 20; wait++) await turn();
console.log(`active ${String(client.status().policies["echo"]?.targets[peer.address]?.[0]?.state["active"])}`);
for (const close of closing) close();
