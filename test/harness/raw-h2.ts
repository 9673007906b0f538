// Raw HTTP/2: frames written by hand, for what no client or server that keeps to the rules would send.
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import type { TestContext } from "node:test";

export const PREFACE = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");

/** Types of frames (RFC 9113, 6). */
export const DATA = 0;
export const HEADERS = 1;
export const PRIORITY = 2;
export const RST_STREAM = 3;
export const SETTINGS = 4;
export const PING = 6;
export const GOAWAY = 7;
export const WINDOW_UPDATE = 8;
export const CONTINUATION = 9;

export const END_STREAM = 1;
export const ACK = 1;
export const END_HEADERS = 4;

export interface Frame {
  readonly type: number;
  readonly flags: number;
  readonly id: number;
  readonly payload: Buffer;
}

export function frame(type: number, flags: number, id: number, payload: Uint8Array = Buffer.alloc(0)): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(id, 5);
  return Buffer.concat([head, payload]);
}

export function number(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

export const setting = (id: number, value: number): Buffer => Buffer.concat([Buffer.from([0, id]), number(value)]);

function text(value: string): Buffer {
  const bytes = Buffer.from(value, "latin1");
  if (bytes.length < 127) return Buffer.concat([Buffer.from([bytes.length]), bytes]);
  const length = [127];
  let rest = bytes.length - 127;
  for (; rest >= 128; rest >>= 7) length.push((rest & 127) | 128);
  return Buffer.concat([Buffer.from([...length, rest]), bytes]);
}

/** A header list, each field a literal that is not indexed, as it is written. */
export const block = (list: readonly (readonly [name: string, value: string])[]): Buffer =>
  Buffer.concat(list.flatMap(([name, value]) => [Buffer.from([0]), text(name), text(value)]));

/** The header list of a plain request. */
export const asking = (method = "GET", ...more: readonly (readonly [string, string])[]): Buffer =>
  block([[":method", method], [":scheme", "http"], [":authority", "a.internal"], [":path", "/"], ...more]);

/** One end of a connection. */
export interface Raw {
  readonly socket: Socket;
  /** All that came, in order. */
  readonly frames: readonly Frame[];
  send(...frames: readonly Uint8Array[]): void;
  /** The first frame that fits, come or to come; `undefined`: the connection is closed and there is none. */
  first(fits: (frame: Frame) => boolean): Promise<Frame | undefined>;
  /** Does something with every frame of a type that comes from now on. */
  each(type: number, act: (frame: Frame) => void): void;
  /** The connection is closed. */
  readonly closed: Promise<void>;
  /** Reads no more until the hand that it gives is used. */
  stall(): () => void;
}

/** Reads frames off a socket; answers SETTINGS and PING only where told. */
export function raw(socket: Socket, preface = 0): Raw {
  const frames: Frame[] = [];
  const waiting = new Set<{ fits(frame: Frame): boolean; resolve(frame: Frame | undefined): void }>();
  const acts: { readonly type: number; readonly act: (frame: Frame) => void }[] = [];
  let rest = Buffer.alloc(0);
  let skip = preface;
  socket.on("data", (chunk: Buffer) => {
    rest = Buffer.concat([rest, chunk]);
    if (rest.length < skip) return;
    rest = rest.subarray(skip);
    skip = 0;
    while (rest.length >= 9) {
      const length = rest.readUIntBE(0, 3);
      if (rest.length < 9 + length) return;
      const one: Frame = { type: rest[3] ?? 0, flags: rest[4] ?? 0, id: rest.readUInt32BE(5), payload: rest.subarray(9, 9 + length) };
      rest = rest.subarray(9 + length);
      frames.push(one);
      for (const { type, act } of acts) if (type === one.type) act(one);
      for (const wait of waiting) if (wait.fits(one)) wait.resolve(one);
    }
  });
  socket.on("error", () => undefined);
  const closed = new Promise<void>((resolve) => {
    socket.on("close", () => {
      for (const wait of waiting) wait.resolve(undefined);
      resolve();
    });
  });
  return {
    socket,
    frames,
    send: (...some) => {
      if (!socket.destroyed) socket.write(Buffer.concat(some));
    },
    first: async (fits) => {
      const there = frames.find(fits);
      if (there !== undefined || socket.closed) return there;
      const { promise, resolve } = Promise.withResolvers<Frame | undefined>();
      const wait = { fits, resolve };
      waiting.add(wait);
      return promise.finally(() => waiting.delete(wait));
    },
    each: (type, act) => acts.push({ type, act }),
    closed,
    stall: () => {
      socket.pause();
      return () => socket.resume();
    },
  };
}

/** A client whose preface and SETTINGS are out. It is closed after the test. */
export async function rawClient(t: TestContext, port: number, settings: Uint8Array = Buffer.alloc(0)): Promise<Raw> {
  const socket = connect(port, "127.0.0.1");
  const client = raw(socket);
  await once(socket, "connect");
  t.after(() => socket.destroy());
  client.send(PREFACE, frame(SETTINGS, 0, 0, settings));
  return client;
}

/** A server; its SETTINGS are the caller's affair, as is all else. It is closed after the test. */
export async function rawServer(
  t: TestContext,
  accept: (peer: Raw, n: number) => void,
): Promise<{ readonly port: number; readonly origin: URL; readonly count: () => number }> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    accept(raw(socket, PREFACE.length), sockets.size);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const { port } = server.address() as AddressInfo; // the cast: a TCP server has such an address
  return { port, origin: new URL(`http://127.0.0.1:${port}`), count: () => sockets.size };
}

/** HEADERS that are a whole message. */
export const ALL = END_HEADERS | END_STREAM;

/** The header list of a plain response. */
export const OK = block([[":status", "200"]]);

/** The port of a listener's address. */
export const portOf = (address: string): number => Number(address.split(":").at(-1));

export const isGoaway = ({ type }: Frame): boolean => type === GOAWAY;

/** The error code of a GOAWAY or RST_STREAM. */
export const codeIn = (one: Frame | undefined): number | undefined =>
  one === undefined ? undefined : one.payload.readUInt32BE(one.type === GOAWAY ? 4 : 0);

/** The last stream that a GOAWAY says was taken up. */
export const lastIn = (one: Frame | undefined): number | undefined => one?.payload.readUInt32BE(0);
