// Connect: the same policies around a Connect transport, for unary calls and streams, over the gRPC protocol here.
import { Code, ConnectError, createClient as createConnectClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { premeshTransport } from "../../src/connect.ts";
import { createClient, definePolicy, retry, timeout } from "../../src/index.ts";
import { PaymentsService, servePayments } from "./payments.ts";

const server = await servePayments();
const { baseUrl } = server;

const client = createClient({
  policies: [
    definePolicy({
      name: "payments",
      match: [{ service: "payments.v1.Payments" }],
      layers: [
        timeout("5s"),
        retry({ methods: ["payments.v1.Payments/List", "payments.v1.Payments/Import"], backoff: { base: "5ms" } }),
        timeout("1s"),
      ],
    }),
  ],
});
const payments = createConnectClient(PaymentsService, premeshTransport(client, createGrpcTransport({ baseUrl }), { baseUrl }));

// Get is free of side effects, as its definition says.
const payment = await payments.get({ id: "1" });
console.log(`Get: ${payment.amount} after ${client.explain(payment)?.attempts} attempts`);

// What was sent of a stream is sent again, from its first message on.
async function* three() {
  for (const amount of [1, 2, 3]) yield { amount };
}
const sum = await payments.import(three());
console.log(`Import: ${sum.amount} after ${client.explain(sum)?.attempts} attempts`);

const ids: string[] = [];
for await (const { id } of payments.list({})) ids.push(id);
console.log(`List: ${ids.join(", ")}`);

// Charge may have been done, although its answer failed, so it is left at that.
try {
  await payments.charge({ amount: 10 });
} catch (error) {
  console.log(`Charge: ${Code[ConnectError.from(error).code]} after ${client.explain(error)?.attempts} attempt`);
}

server.close();
