// The server of the gRPC bench: in a process of its own, so that its CPU time is not counted.
import { type sendUnaryData, Server, ServerCredentials, type ServerUnaryCall, type ServerWritableStream } from "@grpc/grpc-js";
import { definition, MESSAGE, MESSAGES } from "./grpc-service.ts";

const server = new Server();
server.addService(definition, {
  Unary: (call: ServerUnaryCall<Buffer, Buffer>, done: sendUnaryData<Buffer>) => done(null, call.request),
  Stream: (call: ServerWritableStream<Buffer, Buffer>) => {
    for (let message = 0; message < MESSAGES; message++) call.write(MESSAGE);
    call.end();
  },
});
server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, port) => {
  if (error !== null) throw error;
  process.send?.({ port });
});
process.once("disconnect", () => process.exit());
