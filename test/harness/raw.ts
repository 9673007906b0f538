// Raw: clients and servers on loopback that send bytes as they are told, and show what came.
import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Socket } from "node:net";
import type { TestContext } from "node:test";

/** One end of a connection. */
export interface RawEnd {
  readonly socket: Socket;
  /** All that has come, as Latin-1. */
  readonly text: () => string;
  send(text: string | Uint8Array): void;
  /** Ends our side. */
  end(): void;
  /** Once what has come fits the pattern. Rejects when the connection ends before. */
  until(pattern: RegExp): Promise<string>;
  /** Once the connection is gone, or the peer has ended its side: all that came. */
  readonly over: Promise<string>;
}

function endOf(socket: Socket): RawEnd {
  let came = "";
  let gone = false;
  const looking = new Set<() => void>();
  const look = (): void => {
    for (const one of looking) one();
  };
  socket.setNoDelay(true);
  socket.on("data", (chunk: Buffer) => {
    came += chunk.toString("latin1");
    look();
  });
  socket.on("error", () => undefined);
  const over = new Promise<string>((resolve) => {
    const finish = (): void => {
      gone = true;
      look();
      resolve(came);
    };
    socket.once("end", finish).once("close", finish);
  });
  return {
    socket,
    text: () => came,
    send: (text) => void socket.write(typeof text === "string" ? Buffer.from(text, "latin1") : text),
    end: () => void socket.end(),
    until: (pattern) =>
      new Promise((resolve, reject) => {
        const one = (): void => {
          if (pattern.test(came)) resolve(came);
          else if (gone) reject(new Error(`the connection ended before ${String(pattern)} came: ${JSON.stringify(came.slice(-2_000))}`));
          else return;
          looking.delete(one);
        };
        looking.add(one);
        one();
      }),
    over,
  };
}

/** Connects to `127.0.0.1:80`, `[::1]:80` or `unix:/path`. Our side stays open when the peer ends its own. */
export async function rawClient(t: TestContext, address: string): Promise<RawEnd> {
  const path = address.startsWith("unix:") ? address.slice(5) : undefined;
  const { hostname, port } = new URL(`http://${path === undefined ? address : "localhost"}`);
  const host = hostname.replaceAll(/[[\]]/g, "");
  const socket = connect(path === undefined ? { host, port: Number(port), allowHalfOpen: true } : { path, allowHalfOpen: true });
  t.after(() => socket.destroy());
  await once(socket, "connect");
  return endOf(socket);
}

export interface RawServer {
  readonly origin: URL;
  readonly connections: readonly RawEnd[];
  /** The n-th connection (from 1 on). */
  connection(n: number): Promise<RawEnd>;
}

/** A server whose connections do what they are told. */
export async function rawServer(t: TestContext, answer: (end: RawEnd) => void = () => undefined): Promise<RawServer> {
  const connections: RawEnd[] = [];
  const waiting: { readonly n: number; readonly resolve: (end: RawEnd) => void }[] = [];
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    const end = endOf(socket);
    connections.push(end);
    for (const { n, resolve } of waiting) if (n === connections.length) resolve(end);
    answer(end);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    server.close();
    for (const { socket } of connections) socket.destroy();
  });
  const { port } = server.address() as AddressInfo; // the cast: a TCP server has such an address
  return {
    origin: new URL(`http://127.0.0.1:${port}`),
    connections,
    connection: (n) => {
      const end = connections[n - 1];
      return end === undefined ? new Promise((resolve) => waiting.push({ n, resolve })) : Promise.resolve(end);
    },
  };
}

/** Answers every request head that comes over a connection with these bytes. */
export function answering(...answers: readonly string[]): (end: RawEnd) => void {
  return (end) => {
    let seen = 0;
    let at = 0;
    end.socket.on("data", () => {
      for (let head = end.text().indexOf("\r\n\r\n", at); head !== -1; head = end.text().indexOf("\r\n\r\n", at)) {
        at = head + 4;
        end.send(answers[Math.min(seen++, answers.length - 1)] ?? "");
      }
    });
  };
}
