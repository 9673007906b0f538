// One side of the gRPC bench: a client of grpc-js over the bare channel, or over one with policies.
import {
  type ClientOptions,
  type ClientReadableStream,
  credentials,
  makeGenericClientConstructor,
  type requestCallback,
} from "@grpc/grpc-js";
import { channelOptions } from "../../src/grpc.ts";
import { createClient } from "../../src/index.ts";
import { definition, MESSAGES } from "./grpc-service.ts";
import { serveRounds } from "./load.ts";
import { sevenLayers } from "./policy.ts";

interface Stub {
  Unary(message: Buffer, callback: requestCallback<Buffer>): unknown;
  Stream(message: Buffer): ClientReadableStream<Buffer>;
}

const BenchClient = makeGenericClientConstructor(definition, "bench.Bench") as unknown as new (
  address: string,
  security: ReturnType<typeof credentials.createInsecure>,
  options: ClientOptions,
) => Stub; // the cast: it has the methods of its definition

const options: Readonly<Record<string, () => ClientOptions>> = {
  bare: () => ({}),
  again: () => ({}),
  unmatched: () => channelOptions(createClient({ policies: [] })),
  ours: () => channelOptions(createClient({ policies: [sevenLayers] })),
};

const [side = "", port = ""] = process.argv.slice(2);
const stub = new BenchClient(`127.0.0.1:${port}`, credentials.createInsecure(), options[side]?.() ?? {});
const request = Buffer.from("hello");

serveRounds({
  unary: () =>
    new Promise<void>((resolve, reject) => {
      stub.Unary(request, (error) => (error === null ? resolve() : reject(error)));
    }),
  stream: () =>
    new Promise<void>((resolve, reject) => {
      let messages = 0;
      const call = stub.Stream(request);
      call.on("data", () => messages++);
      call.on("error", reject);
      call.on("end", () => (messages === MESSAGES ? resolve() : reject(new Error(`${messages} messages`))));
    }),
});
