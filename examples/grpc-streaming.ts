// gRPC streams: before its head a stream is repeated with everything it was sent; after it, what comes is the caller's; cancelling acts at once.
import { makeGenericClientConstructor, Metadata, Server, ServerCredentials, credentials, status } from "@grpc/grpc-js";
import type {
  ClientDuplexStream,
  ClientReadableStream,
  ClientWritableStream,
  requestCallback,
  sendUnaryData,
  ServerDuplexStream,
  ServerReadableStream,
  ServerWritableStream,
  ServiceError,
} from "@grpc/grpc-js";
import { channelOptions } from "../src/grpc.ts";
import { createClient, definePolicy, retry, timeout } from "../src/index.ts";

// What a code generator makes of a .proto file; the messages are numbers here.
const numbers = {
  requestSerialize: (value: number) => Buffer.from(String(value)),
  requestDeserialize: Number,
  responseSerialize: (value: number) => Buffer.from(String(value)),
  responseDeserialize: Number,
};
const path = (method: string): string => `/numbers.v1.Numbers/${method}`;
const service = {
  Count: { path: path("Count"), requestStream: false, responseStream: true, ...numbers },
  Sum: { path: path("Sum"), requestStream: true, responseStream: false, ...numbers },
  TenTimes: { path: path("TenTimes"), requestStream: true, responseStream: true, ...numbers },
} as const;

interface NumbersClient {
  Count(to: number): ClientReadableStream<number>;
  Sum(metadata: Metadata, done: requestCallback<number>): ClientWritableStream<number>;
  TenTimes(): ClientDuplexStream<number, number>;
  close(): void;
}
const NumbersClient = makeGenericClientConstructor(service, "numbers.v1.Numbers") as unknown as new (
  ...args: ConstructorParameters<ReturnType<typeof makeGenericClientConstructor>>
) => NumbersClient; // the cast: it has the methods of its definition

// A server whose first attempts fail.
const failure = { code: status.UNAVAILABLE, details: "try again" };
const got: number[][] = [];
let counts = 0;
const server = new Server();
server.addService(service, {
  Count: (call: ServerWritableStream<number, number>) => {
    if (++counts < 3) return call.emit("error", failure);
    for (let value = 1; value <= Math.min(call.request, 3); value++) call.write(value);
    if (call.request <= 3) return call.end();
    return call.request === 4 ? call.emit("error", { code: status.INTERNAL, details: "lost count" }) : undefined; // above 4 it never ends
  },
  Sum: (call: ServerReadableStream<number, number>, done: sendUnaryData<number>) => {
    const values: number[] = [];
    const first = got.push(values) === 1;
    call.on("data", (value: number) => {
      if (first && values.length === 2) return;
      values.push(value);
      if (first && values.length === 2) done(failure);
    });
    call.on("end", () =>
      first
        ? undefined
        : done(
            null,
            values.reduce((sum, value) => sum + value, 0),
          ),
    );
  },
  TenTimes: (call: ServerDuplexStream<number, number>) => {
    call.on("data", (value: number) => call.write(10 * value));
    call.on("end", () => call.end());
  },
});
const port = await new Promise<number>((resolve, reject) => {
  server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, bound) => (error === null ? resolve(bound) : reject(error)));
});

const client = createClient({
  policies: [
    definePolicy({
      name: "numbers",
      match: [{ service: "numbers.v1.Numbers" }],
      layers: [
        timeout("10s"), // the whole stream
        retry({ methods: ["numbers.v1.Numbers/Count", "numbers.v1.Numbers/Sum"], backoff: { base: "10ms" } }),
        timeout("500ms"), // the head of each attempt
      ],
    }),
  ],
});
const api = new NumbersClient(`127.0.0.1:${port}`, credentials.createInsecure(), channelOptions(client));

interface Read {
  readonly values: number[];
  readonly error: ServiceError | undefined;
  readonly attempts: number | undefined;
}

/** Reads a stream; `stopAfter`: cancels it after so many messages. */
function read(
  stream: ClientReadableStream<number> | ClientDuplexStream<number, number>,
  stopAfter = Number.POSITIVE_INFINITY,
): Promise<Read> {
  return new Promise((resolve) => {
    const values: number[] = [];
    let error: ServiceError | undefined;
    let attempts: number | undefined;
    stream.on("data", (value: number) => {
      if (values.length < stopAfter) values.push(value);
      if (values.length === stopAfter) stream.cancel();
    });
    stream.on("error", (failed: ServiceError) => (error = failed));
    stream.on("status", (over) => (attempts = client.explain(over)?.attempts));
    stream.on("close", () => resolve({ values, error, attempts }));
  });
}

const counted = await read(api.Count(3));
console.log(`server stream: ${counted.values.join(", ")} after ${counted.attempts} attempts`);

const sum = await new Promise<string>((resolve) => {
  let answer: number | undefined;
  const stream = api.Sum(new Metadata(), (_error, value) => (answer = value));
  stream.on("status", (over) => resolve(`${answer} after ${client.explain(over)?.attempts} attempts`));
  for (const value of [1, 2, 3]) stream.write(value);
  stream.end();
});
console.log(`client stream: the sum is ${sum}; the server has got ${got.map((values) => values.join()).join(" and then ")}`);

const both = api.TenTimes();
for (const value of [1, 2, 3]) both.write(value);
both.end();
const tens = await read(both);
console.log(`bidirectional: ${tens.values.join(", ")} after ${tens.attempts} attempt`);

const broken = await read(api.Count(4));
console.log(
  `broke off after ${broken.values.slice(0, 2).join(", ")}: ${broken.error?.code} ${status[broken.error?.code ?? 0]}; after its head nothing is repeated`,
);

const cancelled = await read(api.Count(5), 1);
console.log(`${cancelled.error?.code === status.CANCELLED ? "cancelled" : "ended"} after ${cancelled.values.join(", ")}`);

api.close();
server.forceShutdown();
