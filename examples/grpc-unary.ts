// gRPC: a client of grpc-js, as it is, on a channel under a policy; what is idempotent is repeated, and a refusal is a ServiceError like any other.
import { makeGenericClientConstructor, Server, ServerCredentials, credentials, status } from "@grpc/grpc-js";
import type { ClientUnaryCall, requestCallback, sendUnaryData, ServerUnaryCall, ServiceError } from "@grpc/grpc-js";
import { channelOptions } from "../src/grpc.ts";
import { breaker, createClient, definePolicy, PolicyError, retry, timeout } from "../src/index.ts";

// What a code generator makes of a .proto file: the messages are JSON here, and `Get` has `option idempotency_level = NO_SIDE_EFFECTS`.
interface Payment {
  readonly id: string;
  readonly amount: number;
}
const json = {
  requestSerialize: (payment: Payment) => Buffer.from(JSON.stringify(payment)),
  requestDeserialize: (bytes: Buffer) => JSON.parse(bytes.toString()) as Payment, // the casts: both sides say the same
  responseSerialize: (payment: Payment) => Buffer.from(JSON.stringify(payment)),
  responseDeserialize: (bytes: Buffer) => JSON.parse(bytes.toString()) as Payment,
};
const unary = (method: string) =>
  ({ path: `/payments.v1.Payments/${method}`, requestStream: false, responseStream: false, ...json }) as const;
const service = { Get: { ...unary("Get"), options: { idempotency_level: "NO_SIDE_EFFECTS" } }, Charge: unary("Charge") };

interface PaymentsClient {
  Get(payment: Payment, done: requestCallback<Payment>): ClientUnaryCall;
  Charge(payment: Payment, done: requestCallback<Payment>): ClientUnaryCall;
  close(): void;
}
const PaymentsClient = makeGenericClientConstructor(service, "payments.v1.Payments") as unknown as new (
  ...args: ConstructorParameters<ReturnType<typeof makeGenericClientConstructor>>
) => PaymentsClient; // the cast: it has the methods of its definition

// A server that fails twice, then answers, then begins again; it takes no charges at all.
let gets = 0;
const server = new Server();
const failure = { code: status.UNAVAILABLE, details: "try again" };
server.addService(service, {
  Get: ({ request }: ServerUnaryCall<Payment, Payment>, done: sendUnaryData<Payment>) =>
    ++gets % 3 === 0 ? done(null, request) : done(failure),
  Charge: (_call: ServerUnaryCall<Payment, Payment>, done: sendUnaryData<Payment>) => done(failure),
});
const port = await new Promise<number>((resolve, reject) => {
  server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, bound) => (error === null ? resolve(bound) : reject(error)));
});

const client = createClient({
  policies: [
    definePolicy({
      name: "payments",
      match: [{ service: "payments.v1.Payments" }],
      layers: [timeout("2s"), retry({ backoff: { base: "10ms" } }), breaker({ trip: { consecutive: 3 }, openFor: "5s" }), timeout("500ms")],
    }),
  ],
});
const payments = new PaymentsClient(`127.0.0.1:${port}`, credentials.createInsecure(), channelOptions(client, { services: [service] }));

function call(
  method: "Get" | "Charge",
): Promise<{ answer: Payment | undefined; error: ServiceError | undefined; attempts: number | undefined }> {
  return new Promise((resolve) => {
    let answer: Payment | undefined;
    let error: ServiceError | undefined;
    const rpc = payments[method]({ id: "1", amount: 10 }, (failed, payment) => {
      error = failed ?? undefined;
      answer = payment;
    });
    rpc.on("status", (over) => resolve({ answer, error, attempts: client.explain(over)?.attempts }));
  });
}

const got = await call("Get");
console.log(`Get: ${got.answer?.amount} after ${got.attempts} attempts`);

const charged = await call("Charge"); // nothing says that it may be sent twice, and it was sent
console.log(`Charge: ${charged.error?.message}, after ${charged.attempts} attempt`);

while ((await call("Charge")).attempts === 1); // until the breaker has seen enough
const { error } = await call("Charge");
if (error?.cause instanceof PolicyError) {
  const { code, retryAfterMs } = error.cause;
  console.log(
    `Charge again: ${status[error.code]} by ${String(error.metadata.get("premesh-by")[0])}, ${code}, try again in ${retryAfterMs} ms`,
  );
}

payments.close();
server.forceShutdown();
