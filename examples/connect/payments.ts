// A service as a code generator would give it, and a flaky server of it. Yours come from `buf generate`.
import { once } from "node:events";
import { createServer } from "node:http2";
import type { AddressInfo } from "node:net";
import { create, createFileRegistry, type Message } from "@bufbuild/protobuf";
import type { GenMessage, GenService } from "@bufbuild/protobuf/codegenv2";
import {
  FieldDescriptorProto_Label as Label,
  FieldDescriptorProto_Type as Type,
  FileDescriptorProtoSchema,
  MethodOptions_IdempotencyLevel as IdempotencyLevel,
} from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, type ServiceImpl } from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";

export type Payment = Message<"payments.v1.Payment"> & { id: string; amount: number };

type PaymentSchema = GenMessage<Payment>;

type Kind<K extends string> = { methodKind: K; input: PaymentSchema; output: PaymentSchema };

const field = (name: string, number: number, type: Type): object => ({ name, jsonName: name, number, type, label: Label.OPTIONAL });
const rpc = (name: string, more: object = {}): object => ({
  name,
  inputType: ".payments.v1.Payment",
  outputType: ".payments.v1.Payment",
  ...more,
});

const file = create(FileDescriptorProtoSchema, {
  name: "payments.proto",
  package: "payments.v1",
  syntax: "proto3",
  messageType: [{ name: "Payment", field: [field("id", 1, Type.STRING), field("amount", 2, Type.INT32)] }],
  service: [
    {
      name: "Payments",
      method: [
        rpc("Get", { options: { idempotencyLevel: IdempotencyLevel.NO_SIDE_EFFECTS } }),
        rpc("Charge"),
        rpc("List", { serverStreaming: true }),
        rpc("Import", { clientStreaming: true }),
      ],
    },
  ],
});

/**
 * `Get` has no side effects, by its `idempotency_level`; `Charge` has; `List` answers with a stream, and `Import` takes one. The cast: the registry does
 * not know what it has read.
 */
export const PaymentsService = createFileRegistry(file, () => undefined).getService("payments.v1.Payments") as GenService<{
  get: Kind<"unary">;
  charge: Kind<"unary">;
  list: Kind<"server_streaming">;
  import: Kind<"client_streaming">;
}>;

export interface PaymentsServer {
  readonly baseUrl: string;
  close(): void;
}

/** Over HTTP/2, for the Connect, gRPC and gRPC-web protocols. Each method fails twice, then answers, then begins again; `Charge` fails always. */
export async function servePayments(): Promise<PaymentsServer> {
  const tries = new Map<string, number>();
  const flaky = (method: string): void => {
    const nth = (tries.get(method) ?? 0) + 1;
    tries.set(method, nth);
    if (method === "Charge" || nth % 3 !== 0) throw new ConnectError("try again", Code.Unavailable);
  };
  const payments: ServiceImpl<typeof PaymentsService> = {
    get: ({ id }) => {
      flaky("Get");
      return { id, amount: 10 };
    },
    charge: (payment) => {
      flaky("Charge");
      return payment;
    },
    list: async function* () {
      flaky("List");
      for (const id of ["1", "2", "3"]) yield { id, amount: 10 * Number(id) };
    },
    import: async (stream) => {
      let amount = 0;
      let read = 0;
      for await (const payment of stream) {
        amount += payment.amount;
        if (++read === 2) flaky("Import"); // in the midst of it
      }
      return { id: "all", amount };
    },
  };
  const server = createServer(connectNodeAdapter({ routes: (router) => router.service(PaymentsService, payments) }));
  server.on("session", (session) => session.socket.unref());
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  server.unref();
  const { port } = server.address() as AddressInfo; // the cast: a TCP server has such an address
  return { baseUrl: `http://127.0.0.1:${port}`, close: () => server.close() };
}
