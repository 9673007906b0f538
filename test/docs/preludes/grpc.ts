// The gRPC server that snippets marked `with: grpc` call, and a client class for it. It and its sockets let the process end.
import { once } from "node:events";
import { createServer, type ServerHttp2Stream } from "node:http2";
import type { AddressInfo } from "node:net";
import {
  type CallOptions,
  type ChannelCredentials,
  type ClientOptions,
  type ClientReadableStream,
  type ClientUnaryCall,
  makeGenericClientConstructor,
  type requestCallback,
  type ServiceDefinition,
  status,
} from "@grpc/grpc-js";

export interface Payment {
  readonly id: string;
  readonly amount: number;
}

const json = {
  requestSerialize: (value: unknown) => Buffer.from(JSON.stringify(value)),
  requestDeserialize: (bytes: Buffer) => JSON.parse(bytes.toString()) as unknown,
  responseSerialize: (value: unknown) => Buffer.from(JSON.stringify(value)),
  responseDeserialize: (bytes: Buffer) => JSON.parse(bytes.toString()) as unknown,
};
const path = (method: string): string => `/payments.v1.Payments/${method}`;

/** As `@grpc/proto-loader` gives it, but for the messages, which are JSON here. */
export const PaymentsService = {
  Get: { path: path("Get"), requestStream: false, responseStream: false, options: { idempotency_level: "NO_SIDE_EFFECTS" }, ...json },
  Charge: { path: path("Charge"), requestStream: false, responseStream: false, ...json },
  List: { path: path("List"), requestStream: false, responseStream: true, ...json },
} satisfies ServiceDefinition & Record<string, { options?: unknown }>;

export interface PaymentsClient {
  Get(request: { id: string }, callback: requestCallback<Payment>): ClientUnaryCall;
  Get(request: { id: string }, options: CallOptions, callback: requestCallback<Payment>): ClientUnaryCall;
  Charge(request: { amount: number }, callback: requestCallback<Payment>): ClientUnaryCall;
  List(request: object): ClientReadableStream<Payment>;
  close(): void;
}

/** A generated client. */
export const PaymentsClient = makeGenericClientConstructor(PaymentsService, "payments.v1.Payments") as unknown as new (
  address: string,
  credentials: ChannelCredentials,
  options?: ClientOptions,
) => PaymentsClient; // the cast: it has the methods of its definition

const tries = new Map<string, number>();

function answer(stream: ServerHttp2Stream, payments: readonly Payment[]): void {
  stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
  stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
  for (const payment of payments) {
    const message = Buffer.from(JSON.stringify(payment));
    const frame = Buffer.alloc(5);
    frame.writeUInt32BE(message.length, 1);
    stream.write(Buffer.concat([frame, message]));
  }
  stream.end();
}

/** `Get` and `List` fail twice, then answer, then begin again; `Charge` is always unavailable. */
const server = createServer();
server.on("session", (session) => session.socket.unref());
server.on("stream", (stream, headers) => {
  const method = String(headers[":path"]).split("/")[2] ?? "";
  const nth = (tries.get(method) ?? 0) + 1;
  tries.set(method, nth);
  if (method === "Charge" || nth % 3 !== 0) {
    const trailers = { "grpc-status": String(status.UNAVAILABLE), "grpc-message": "try again" };
    return stream.respond({ ":status": 200, "content-type": "application/grpc", ...trailers }, { endStream: true });
  }
  const payments = ["1", "2", "3"].map((id) => ({ id, amount: 10 * Number(id) }));
  return answer(stream, method === "List" ? payments : payments.slice(0, 1));
});
server.listen(0, "127.0.0.1");
await once(server, "listening");
server.unref();

/** Where the server is: `127.0.0.1:PORT`. */
export const address: string = `127.0.0.1:${(server.address() as AddressInfo).port}`; // the cast: it listens on a port
