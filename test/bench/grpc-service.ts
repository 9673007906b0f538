// The service of the gRPC bench: a unary call of a few bytes, and a stream of 1 MB in 64 messages.
import type { ServiceDefinition } from "@grpc/grpc-js";

const same = (bytes: Buffer): Buffer => bytes;
const bytes = { requestSerialize: same, requestDeserialize: same, responseSerialize: same, responseDeserialize: same };

export const MESSAGES = 64;
export const MESSAGE = Buffer.alloc(16_384, 1);

export const definition: ServiceDefinition = {
  Unary: { path: "/bench.Bench/Unary", requestStream: false, responseStream: false, ...bytes },
  Stream: { path: "/bench.Bench/Stream", requestStream: false, responseStream: true, ...bytes },
};
