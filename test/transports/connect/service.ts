// The service that the tests of Connect call, described without a code generator, and its clients.
import assert from "node:assert/strict";
import { create, createFileRegistry, type DescService } from "@bufbuild/protobuf";
import {
  FileDescriptorProtoSchema,
  file_google_protobuf_wrappers as wrappers,
  MethodOptions_IdempotencyLevel as IdempotencyLevel,
} from "@bufbuild/protobuf/wkt";
import { type CallOptions, ConnectError, createClient, type Transport } from "@connectrpc/connect";

export const SERVICE = "kinds.v1.Kinds";

const MESSAGE = ".google.protobuf.StringValue";

const file = create(FileDescriptorProtoSchema, {
  name: "kinds.proto",
  package: "kinds.v1",
  syntax: "proto3",
  dependency: [wrappers.proto.name],
  service: [
    {
      name: "Kinds",
      method: [
        { name: "Say" },
        { name: "Read", options: { idempotencyLevel: IdempotencyLevel.NO_SIDE_EFFECTS } },
        { name: "Put", options: { idempotencyLevel: IdempotencyLevel.IDEMPOTENT } },
        { name: "Collect", clientStreaming: true },
        { name: "Count", serverStreaming: true },
        { name: "Talk", clientStreaming: true, serverStreaming: true },
      ].map((method) => ({ ...method, inputType: MESSAGE, outputType: MESSAGE })),
    },
  ],
});

const found = createFileRegistry(file, (name) => (name === wrappers.proto.name ? wrappers : undefined)).getService(SERVICE);
if (found === undefined) throw new Error(`${file.name} has no ${SERVICE}`);

export const Kinds: DescService = found;

export interface Text {
  readonly value: string;
}

type Unary = (input: Text, options?: CallOptions) => Promise<Text>;

/** The client that a generator would have typed. */
export interface KindsClient {
  readonly say: Unary;
  readonly read: Unary;
  readonly put: Unary;
  readonly collect: (input: AsyncIterable<Text>, options?: CallOptions) => Promise<Text>;
  readonly count: (input: Text, options?: CallOptions) => AsyncIterable<Text>;
  readonly talk: (input: AsyncIterable<Text>, options?: CallOptions) => AsyncIterable<Text>;
}

export const kindsClient = (transport: Transport): KindsClient => createClient(Kinds, transport) as unknown as KindsClient; // the cast: see above

export async function* texts(...values: readonly string[]): AsyncGenerator<Text> {
  for (const value of values) yield { value };
}

export async function all(stream: AsyncIterable<Text>): Promise<string[]> {
  const values: string[] = [];
  for await (const { value } of stream) values.push(value);
  return values;
}

/** The error of a call that must fail. */
export async function failure(promise: Promise<unknown>): Promise<ConnectError> {
  try {
    await promise;
  } catch (error) {
    assert.ok(error instanceof ConnectError, String(error));
    return error;
  }
  return assert.fail("it went well");
}
