// A client of grpc-js with one method of each kind, whose messages are plain text, and calls that give all that came of them.
import {
  type CallOptions,
  type ClientDuplexStream,
  type ClientOptions,
  type ClientReadableStream,
  type ClientUnaryCall,
  type ClientWritableStream,
  credentials,
  makeGenericClientConstructor,
  Metadata,
  type requestCallback,
  type ServiceDefinition,
  type ServiceError,
} from "@grpc/grpc-js";
import type { TestContext } from "node:test";
import { type Client, type ClientOptions as PremeshOptions, createClient, definePolicy, type LayerDefinition } from "../../../src/index.ts";
import { channelOptions, type ChannelSettings } from "../../../src/grpc.ts";

const bytes = (text: string): Buffer => Buffer.from(text);
const text = (buffer: Buffer): string => buffer.toString();
const words = { requestSerialize: bytes, requestDeserialize: text, responseSerialize: bytes, responseDeserialize: text };

export const KINDS = ["Unary", "ServerStream", "ClientStream", "Bidi"] as const;
export type RpcKind = (typeof KINDS)[number];

export const definition: ServiceDefinition = {
  Unary: { path: "/test.Echo/Unary", requestStream: false, responseStream: false, ...words },
  ServerStream: { path: "/test.Echo/ServerStream", requestStream: false, responseStream: true, ...words },
  ClientStream: { path: "/test.Echo/ClientStream", requestStream: true, responseStream: false, ...words },
  Bidi: { path: "/test.Echo/Bidi", requestStream: true, responseStream: true, ...words },
};

export interface EchoClient {
  Unary(message: string, metadata: Metadata, options: CallOptions, callback: requestCallback<string>): ClientUnaryCall;
  ServerStream(message: string, metadata?: Metadata, options?: CallOptions): ClientReadableStream<string>;
  ClientStream(metadata: Metadata, options: CallOptions, callback: requestCallback<string>): ClientWritableStream<string>;
  Bidi(metadata?: Metadata, options?: CallOptions): ClientDuplexStream<string, string>;
  close(): void;
  getChannel(): ReturnType<InstanceType<ReturnType<typeof makeGenericClientConstructor>>["getChannel"]>;
  waitForReady(deadline: number, callback: (error?: Error) => void): void;
}

export const EchoConstructor: ReturnType<typeof makeGenericClientConstructor> = makeGenericClientConstructor(definition, "test.Echo");

/** A client on its own connection; closed when the test is over. */
export function echoClient(t: Pick<TestContext, "after">, address: string, options: ClientOptions = {}): EchoClient {
  const client = new EchoConstructor(address, credentials.createInsecure(), {
    "grpc.use_local_subchannel_pool": 1, // a connection of its own, so that tests do not share one
    ...options,
  }) as unknown as EchoClient; // the cast: the constructor makes methods by the definition
  t.after(() => client.close());
  return client;
}

export interface Opened {
  readonly client: Client;
  readonly echo: EchoClient;
}

/** The same under a policy of these layers. */
export function policedEcho(
  t: Pick<TestContext, "after">,
  address: string,
  layers: readonly LayerDefinition[],
  { client: premesh, channel, settings }: { client?: Partial<PremeshOptions>; channel?: ClientOptions; settings?: ChannelSettings } = {},
): Opened {
  const client = createClient({ policies: [definePolicy({ name: "echo", match: [{ service: "test.Echo" }], layers })], ...premesh });
  return { client, echo: echoClient(t, address, { ...channelOptions(client, settings), ...channel }) };
}

/** All that came of a call. */
export interface Came {
  readonly code: number;
  readonly details: string;
  readonly messages: readonly string[];
  readonly head: Metadata | undefined;
  readonly trailers: Metadata | undefined;
  readonly error: ServiceError | undefined;
}

export type AnyCall = ClientUnaryCall | ClientReadableStream<string> | ClientWritableStream<string> | ClientDuplexStream<string, string>;

export interface Started {
  readonly call: AnyCall;
  readonly came: Promise<Came>;
}

export interface Sent {
  readonly messages?: readonly string[];
  readonly metadata?: Metadata;
  readonly options?: CallOptions;
  /** Whether the caller half-closes; by default it does. */
  readonly end?: boolean;
}

/** Starts a call of any kind; unary ones send the first message. */
export function start(
  echo: EchoClient,
  kind: RpcKind,
  { messages = ["a"], metadata = new Metadata(), options = {}, end = true }: Sent = {},
): Started {
  const { promise, resolve } = Promise.withResolvers<Came>();
  const received: string[] = [];
  let head: Metadata | undefined;
  let error: ServiceError | undefined;
  const answered: requestCallback<string> = (failure, message) => {
    error = failure ?? undefined;
    if (message !== undefined) received.push(message);
  };
  const call = started(echo, kind, messages[0] ?? "", metadata, options, answered);
  call.on("metadata", (fields: Metadata) => {
    head = fields;
  });
  if ("read" in call) {
    call.on("data", (message: string) => received.push(message));
    call.on("error", (failure: ServiceError) => {
      error = failure;
    });
  }
  call.on("status", ({ code, details, metadata: trailers }) => {
    // a reader gets its last messages after the status
    setImmediate(() => resolve({ code, details, messages: received, head, trailers, error }));
  });
  if ("write" in call) {
    for (const message of messages) call.write(message);
    if (end) call.end();
  }
  return { call, came: promise };
}

function started(
  echo: EchoClient,
  kind: RpcKind,
  first: string,
  metadata: Metadata,
  options: CallOptions,
  answered: requestCallback<string>,
): AnyCall {
  if (kind === "Unary") return echo.Unary(first, metadata, options, answered);
  if (kind === "ServerStream") return echo.ServerStream(first, metadata, options);
  if (kind === "ClientStream") return echo.ClientStream(metadata, options, answered);
  return echo.Bidi(metadata, options);
}

/** The messages that a call of this kind sends of a list. */
export const sentBy = (kind: RpcKind, messages: readonly string[]): readonly string[] =>
  kind === "Unary" || kind === "ServerStream" ? messages.slice(0, 1) : messages;
