// A server of Connect on loopback, over HTTP/1.1 or HTTP/2, whose attempts come out as a script says.
import { once } from "node:events";
import { createServer, type IncomingMessage } from "node:http";
import { constants, createServer as createServer2, type Http2ServerRequest, type ServerHttp2Session } from "node:http2";
import type { AddressInfo, Socket } from "node:net";
import type { TestContext } from "node:test";
import type { DescService } from "@bufbuild/protobuf";
import {
  type Code,
  ConnectError,
  createContextKey,
  createContextValues,
  type HandlerContext,
  type ServiceImpl,
  type Transport,
} from "@connectrpc/connect";
import { connectNodeAdapter, createConnectTransport, createGrpcTransport, createGrpcWebTransport } from "@connectrpc/connect-node";
import { Kinds, type Text } from "./service.ts";

/** How one attempt comes out. */
export interface Step {
  /** Reads so many messages of a stream before anything else happens. Default: all. */
  readonly reads?: number;
  /** Sends so many responses before it fails, breaks or hangs. Default 0. */
  readonly sends?: number;
  /** Fails with this code. */
  readonly fail?: Code;
  /** Of the failure, or of the answer's head. */
  readonly metadata?: Readonly<Record<string, string>>;
  /** Resets the connection, or over HTTP/2 the stream with this code. */
  readonly reset?: "connection" | number;
  /** Never ends by itself. */
  readonly hang?: boolean;
  /** Waits before it does anything. */
  readonly until?: Promise<unknown>;
  /** Waits once it has sent what it sends before it fails, breaks or hangs. */
  readonly holds?: Promise<unknown>;
}

/** What the server has seen of one attempt. */
export interface Seen {
  readonly method: string;
  readonly header: Headers;
  /** The deadline that came over the wire, as what remained of it. */
  readonly timeoutMs: number | undefined;
  readonly messages: string[];
  /** Settles when the attempt is over, in whatever way; true: the client has ended it. */
  readonly over: Promise<boolean>;
}

export interface KindsServer {
  readonly baseUrl: string;
  readonly seen: readonly Seen[];
  /** Settles when so many attempts have come. */
  arrived(n: number): Promise<Seen>;
  /** Done by itself when the test is over. */
  close(): void;
}

export type HttpVersion = "1.1" | "2";

type Incoming = IncomingMessage | Http2ServerRequest;

const incoming = createContextKey<Incoming | undefined>(undefined);

/** The step of the n-th attempt, the last again and again; beyond a script of none: an echo. */
export async function openKinds(t: TestContext, httpVersion: HttpVersion, script: readonly Step[] = []): Promise<KindsServer> {
  const seen: Seen[] = [];
  const waiting: { readonly n: number; readonly resolve: (seen: Seen) => void }[] = [];

  async function* run(input: AsyncIterable<Text>, context: HandlerContext, answer: (texts: string[]) => string[]): AsyncGenerator<Text> {
    const step = script[Math.min(seen.length, script.length - 1)] ?? {};
    const over = Promise.withResolvers<boolean>();
    const messages: string[] = [];
    const timeoutMs = context.timeoutMs();
    const attempt: Seen = { method: context.method.name, header: context.requestHeader, timeoutMs, messages, over: over.promise };
    seen.push(attempt);
    for (const { n, resolve } of waiting) if (n === seen.length) resolve(attempt);
    let left = true;
    context.signal.addEventListener("abort", () => over.resolve(left), { once: true });
    try {
      await step.until;
      for (const [name, value] of step.fail === undefined ? Object.entries(step.metadata ?? {}) : [])
        context.responseHeader.set(name, value);
      const broken = step.fail !== undefined || step.reset !== undefined || step.hang === true;
      const duplex = context.method.methodKind === "bidi_streaming" && step.reads === undefined && !broken;
      if (step.reads !== 0) {
        for await (const { value } of input) {
          messages.push(value);
          if (duplex) yield { value: `${value}!` };
          if (messages.length === step.reads) break;
        }
      }
      const answers = duplex ? [] : answer(messages);
      for (const value of broken ? answers.slice(0, step.sends ?? 0) : answers) yield { value };
      await step.holds;
      left = step.hang === true || context.signal.aborted;
      if (step.fail !== undefined) throw new ConnectError("as scripted", step.fail, step.metadata);
      if (step.reset !== undefined) reset(context.values.get(incoming), step.reset);
      if (step.hang === true || step.reset !== undefined)
        await new Promise<void>((resolve) => context.signal.addEventListener("abort", () => resolve(), { once: true }));
    } finally {
      setImmediate(() => over.resolve(left)); // where the end of the call is not told by its signal
    }
  }

  const single = async (input: AsyncIterable<Text>, context: HandlerContext): Promise<Text> => {
    let last: Text = { value: "" };
    for await (const text of run(input, context, (messages) => [`${messages.join(",")}!`])) last = text;
    return last;
  };
  const unary = (input: Text, context: HandlerContext): Promise<Text> => single(one(input), context);
  const adapter = connectNodeAdapter({
    contextValues: (request) => createContextValues().set(incoming, request),
    routes: (router) =>
      // the cast: a descriptor without generated types does not say what its methods take
      router.service(Kinds, {
        say: unary,
        read: unary,
        put: unary,
        collect: single,
        count: (input: Text, context: HandlerContext) =>
          run(one(input), context, ([text = ""]) => [1, 2, 3, 4, 5].map((n) => `${text}${n}`)),
        talk: (input: AsyncIterable<Text>, context: HandlerContext) => run(input, context, (messages) => messages),
      } as unknown as ServiceImpl<DescService>),
  });

  const sockets = new Set<Socket>();
  const sessions = new Set<ServerHttp2Session>();
  const server = httpVersion === "2" ? createServer2(adapter) : createServer(adapter);
  server.on("connection", (socket: Socket) => void sockets.add(socket.once("close", () => sockets.delete(socket))));
  server.on("session", (session: ServerHttp2Session) => void sessions.add(session.once("close", () => sessions.delete(session))));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const close = (): void => {
    for (const session of sessions) session.destroy();
    for (const socket of sockets) socket.destroy();
    server.close();
  };
  t.after(close);
  return {
    baseUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, // the cast: a TCP server has such an address
    seen,
    arrived: (n) => {
      const known = seen[n - 1];
      return known === undefined ? new Promise((resolve) => waiting.push({ n, resolve })) : Promise.resolve(known);
    },
    close,
  };
}

async function* one(input: Text): AsyncGenerator<Text> {
  yield input;
}

function reset(request: Incoming | undefined, how: "connection" | number): void {
  if (request === undefined) return;
  if (how === "connection") request.socket.resetAndDestroy();
  else if ("stream" in request) request.stream.close(how);
}

export const RST = {
  refused: constants.NGHTTP2_REFUSED_STREAM,
  internal: constants.NGHTTP2_INTERNAL_ERROR,
  cancel: constants.NGHTTP2_CANCEL,
};

/** The ways to speak to it. */
export const wires: Readonly<Record<string, { readonly httpVersion: HttpVersion; readonly open: (baseUrl: string) => Transport }>> = {
  "Connect over HTTP/1.1": { httpVersion: "1.1", open: (baseUrl) => createConnectTransport({ baseUrl, httpVersion: "1.1" }) },
  "Connect over HTTP/2": { httpVersion: "2", open: (baseUrl) => createConnectTransport({ baseUrl, httpVersion: "2" }) },
  gRPC: { httpVersion: "2", open: (baseUrl) => createGrpcTransport({ baseUrl }) },
  "gRPC-web over HTTP/1.1": { httpVersion: "1.1", open: (baseUrl) => createGrpcWebTransport({ baseUrl, httpVersion: "1.1" }) },
  "gRPC-web over HTTP/2": { httpVersion: "2", open: (baseUrl) => createGrpcWebTransport({ baseUrl, httpVersion: "2" }) },
};
