// The libraries that stand above a channel work unchanged: proto-loader, hand-written and generated clients, ts-proto, nice-grpc and protobuf-ts.
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { describe, suite, test, type TestContext } from "node:test";
import {
  type ChannelCredentials,
  type Client as GrpcClient,
  type ClientOptions as GrpcOptions,
  type ClientUnaryCall,
  credentials,
  loadPackageDefinition,
  makeGenericClientConstructor,
  Metadata,
  type requestCallback,
  type sendUnaryData,
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  type ServerReadableStream,
  type ServerUnaryCall,
  type ServerWritableStream,
  type ServiceDefinition,
  type ServiceError,
  status,
} from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";
import { GrpcTransport } from "@protobuf-ts/grpc-transport";
import { MessageType, ScalarType } from "@protobuf-ts/runtime";
import { ServiceType, stackIntercept } from "@protobuf-ts/runtime-rpc";
import { ClientError, createClient as createNiceClient, createClientFactory } from "nice-grpc";
import { breaker, type Client, createClient, definePolicy, retry, timeout } from "../../../src/index.ts";
import { channelFactory, channelOptions } from "../../../src/grpc.ts";
import { methodFacts } from "../../../src/transports/grpc/services.ts";

interface Payment {
  readonly id: string;
  readonly amount: number;
}
interface GetRequest {
  readonly id: string;
}

const loaded = loadSync(fileURLToPath(new URL("payments.proto", import.meta.url)));
const service = loaded["payments.v1.Payments"] as unknown as ServiceDefinition; // the cast: proto-loader's type is one of several

interface Served {
  readonly address: string;
  /** Attempts by method. */
  readonly attempts: ReadonlyMap<string, number>;
}

/** A server of grpc-js that fails the first two attempts of each method. */
async function serve(t: TestContext): Promise<Served> {
  const attempts = new Map<string, number>();
  const failing = (method: string): boolean => {
    const nth = (attempts.get(method) ?? 0) + 1;
    attempts.set(method, nth);
    return nth % 3 !== 0;
  };
  const failure = { code: status.UNAVAILABLE, details: "try again" };
  const server = new Server();
  server.addService(service, {
    Get: (call: ServerUnaryCall<GetRequest, Payment>, done: sendUnaryData<Payment>) =>
      failing("Get") ? done(failure) : done(null, { id: call.request.id, amount: 7 }),
    Charge: (call: ServerUnaryCall<Payment, Payment>, done: sendUnaryData<Payment>) =>
      failing("Charge") ? done(failure) : done(null, call.request),
    List: (call: ServerWritableStream<GetRequest, Payment>) => {
      if (failing("List")) return call.emit("error", failure);
      for (const amount of [1, 2, 3]) call.write({ id: call.request.id, amount });
      return call.end();
    },
    Upload: (call: ServerReadableStream<Payment, Payment>, done: sendUnaryData<Payment>) => {
      const fails = failing("Upload");
      let amount = 0;
      call.on("data", (payment: Payment) => (amount += payment.amount));
      call.on("end", () => (fails ? done(failure) : done(null, { id: "sum", amount })));
    },
    Follow: (call: ServerDuplexStream<GetRequest, Payment>) => {
      if (failing("Follow")) return call.emit("error", failure);
      call.on("data", ({ id }: GetRequest) => call.write({ id, amount: id.length }));
      return call.on("end", () => call.end());
    },
  });
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    );
  });
  t.after(() => server.forceShutdown());
  return { address: `127.0.0.1:${port}`, attempts };
}

const policed = (): Client =>
  createClient({
    policies: [
      definePolicy({
        name: "payments",
        match: [{ service: "payments.v1.Payments" }],
        layers: [timeout("20s"), retry({ backoff: { base: "0ms" } }), breaker(), timeout("10s")],
      }),
    ],
  });

const insecure = (): ChannelCredentials => credentials.createInsecure();
const payments: readonly Payment[] = [1, 2, 3].map((amount) => ({ id: "a", amount }));

describe("what definitions say of their methods", () => {
  const ofLoader = Object.fromEntries(methodFacts([service]));
  test("of proto-loader", () => {
    assert.deepEqual(ofLoader, {
      "payments.v1.Payments/Get": { idempotent: true, responseStream: false },
      "payments.v1.Payments/Charge": { idempotent: false, responseStream: false },
      "payments.v1.Payments/List": { idempotent: true, responseStream: true },
      "payments.v1.Payments/Upload": { idempotent: true, responseStream: false },
      "payments.v1.Payments/Follow": { idempotent: true, responseStream: true },
    });
  });

  test("of a client made of that", () => {
    const Loaded = loadPackageDefinition(loaded) as unknown as { payments: { v1: { Payments: { service: ServiceDefinition } } } }; // the cast: by the .proto
    assert.deepEqual(Object.fromEntries(methodFacts([Loaded.payments.v1.Payments.service])), ofLoader);
  });

  test("of ts-proto, protobuf-ts and protobuf-es", () => {
    assert.deepEqual(Object.fromEntries(methodFacts([tsProtoDefinition, ServiceOfProtobufTs])), {
      ...ofLoader,
    });
    const ofProtobufEs = {
      typeName: "payments.v1.Payments",
      methods: [
        { name: "Get", methodKind: "unary", idempotency: 1 },
        { name: "Charge", methodKind: "unary", idempotency: 0 },
        { name: "List", methodKind: "server_streaming", idempotency: 2 },
        { name: "Upload", methodKind: "client_streaming", idempotency: 2 },
        { name: "Follow", methodKind: "bidi_streaming", idempotency: 2 },
      ],
    };
    assert.deepEqual(Object.fromEntries(methodFacts([ofProtobufEs])), ofLoader);
  });

  test("nothing of what is none", () => {
    assert.equal(methodFacts([{ a: 1, b: null, c: "x" }, [], () => undefined]).size, 0);
  });
});

/** Calls a method that answers once. */
const asked = <R>(ask: (done: requestCallback<R>) => unknown): Promise<R> =>
  new Promise((resolve, reject) => {
    ask((error, value) => (error === null && value !== undefined ? resolve(value) : reject(error ?? new Error("no answer"))));
  });

async function all<T>(stream: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const one of stream) found.push(one);
  return found;
}

interface LoaderClient extends GrpcClient {
  Get(request: GetRequest, done: requestCallback<Payment>): ClientUnaryCall;
  Charge(request: Payment, done: requestCallback<Payment>): ClientUnaryCall;
  List(request: GetRequest): AsyncIterable<Payment>;
  Upload(done: requestCallback<Payment>): { write(payment: Payment): void; end(): void };
  Follow(): AsyncIterable<Payment> & { write(request: GetRequest): void; end(): void };
}

suite("clients of a package definition, and of makeGenericClientConstructor", () => {
  const Loaded = loadPackageDefinition(loaded) as unknown as { payments: { v1: { Payments: new (...args: unknown[]) => LoaderClient } } }; // the cast: by the .proto
  const Generic = makeGenericClientConstructor(service, "Payments") as unknown as new (...args: unknown[]) => LoaderClient; // the cast: by the definition
  for (const [name, Stub] of [
    ["a package definition", Loaded.payments.v1.Payments],
    ["makeGenericClientConstructor", Generic],
  ] as const) {
    test(`${name}: all kinds are repeated as their definition says`, async (t) => {
      const { address, attempts } = await serve(t);
      const client = policed();
      const stub = new Stub(address, insecure(), channelOptions(client, { services: [service] }));
      t.after(() => stub.close());
      assert.deepEqual(await asked<Payment>((done) => stub.Get({ id: "a" }, done)), { id: "a", amount: 7 });
      assert.deepEqual(await all(stub.List({ id: "a" })), payments);
      const sum = asked<Payment>((done) => {
        const upload = stub.Upload(done);
        for (const payment of payments) upload.write(payment);
        upload.end();
      });
      assert.deepEqual(await sum, { id: "sum", amount: 6 });
      const follow = stub.Follow();
      for (const id of ["a", "bb"]) follow.write({ id });
      follow.end();
      assert.deepEqual(await all(follow), [
        { id: "a", amount: 1 },
        { id: "bb", amount: 2 },
      ]);
      const error = await asked<Payment>((done) => stub.Charge({ id: "x", amount: 1 }, done)).then(
        () => assert.fail("it was answered"),
        (failure: ServiceError) => failure,
      );
      assert.deepEqual([error.code, error.details, client.explain(error)?.attempts], [status.UNAVAILABLE, "try again", 1]);
      assert.deepEqual(Object.fromEntries(attempts), { Get: 3, List: 3, Upload: 3, Follow: 3, Charge: 1 });
    });
  }
});

// what ts-proto writes with outputServices=grpc-js: a definition, and a client class over makeGenericClientConstructor; and with generic-definitions

const ofService = (method: string): ServiceDefinition[string] => {
  const found = service[method];
  assert.ok(found);
  return found;
};

const TsProtoService = {
  get: { ...ofService("Get"), requestSerialize: (value: GetRequest) => ofService("Get").requestSerialize(value) },
  list: ofService("List"),
} as const;

const tsProtoMethod = (
  name: string,
  requestStream: boolean,
  responseStream: boolean,
  idempotencyLevel?: "IDEMPOTENT" | "NO_SIDE_EFFECTS",
): object => ({
  name,
  requestType: {},
  requestStream,
  responseType: {},
  responseStream,
  options: idempotencyLevel === undefined ? {} : { idempotencyLevel },
});

const tsProtoDefinition = {
  name: "Payments",
  fullName: "payments.v1.Payments",
  methods: {
    get: tsProtoMethod("Get", false, false, "NO_SIDE_EFFECTS"),
    charge: tsProtoMethod("Charge", false, false),
    list: tsProtoMethod("List", false, true, "IDEMPOTENT"),
    upload: tsProtoMethod("Upload", true, false, "IDEMPOTENT"),
    follow: tsProtoMethod("Follow", true, true, "IDEMPOTENT"),
  },
} as const;

interface TsProtoClient extends GrpcClient {
  get(request: GetRequest, metadata: Metadata, callback: (error: ServiceError | null, response: Payment) => void): ClientUnaryCall;
}

const TsProtoClient = makeGenericClientConstructor(TsProtoService, "payments.v1.Payments") as unknown as {
  new (address: string, credentials: ChannelCredentials, options?: Partial<GrpcOptions>): TsProtoClient;
  service: typeof TsProtoService;
}; // the cast: as ts-proto itself writes it

suite("ts-proto", () => {
  test("a generated client, with its own methods' names", async (t) => {
    const { address, attempts } = await serve(t);
    const stub = new TsProtoClient(address, insecure(), channelOptions(policed(), { services: [tsProtoDefinition] }));
    t.after(() => stub.close());
    const answer = await asked<Payment>((done) => stub.get({ id: "a" }, new Metadata(), done));
    assert.deepEqual([answer, attempts.get("Get")], [{ id: "a", amount: 7 }, 3]);
  });
});

suite("nice-grpc", () => {
  test("a client on a channel of the factory: unary and streams, and its own errors", async (t) => {
    const { address, attempts } = await serve(t);
    const client = policed();
    const channel = channelFactory(client, { services: [service] })(address, insecure());
    t.after(() => channel.close());
    const stub = createNiceClient(service, channel) as unknown as {
      Get(request: GetRequest): Promise<Payment>;
      Charge(request: Payment): Promise<Payment>;
      List(request: GetRequest): AsyncIterable<Payment>;
      Upload(requests: AsyncIterable<Payment>): Promise<Payment>;
      Follow(requests: AsyncIterable<GetRequest>): AsyncIterable<Payment>;
    }; // the cast: by the .proto
    const each = async function* <T>(...items: readonly T[]): AsyncGenerator<T> {
      yield* items;
    };
    assert.deepEqual(await stub.Get({ id: "a" }), { id: "a", amount: 7 });
    assert.deepEqual(await all(stub.List({ id: "a" })), payments);
    assert.deepEqual(await stub.Upload(each(...payments)), { id: "sum", amount: 6 });
    assert.deepEqual(await all(stub.Follow(each({ id: "a" }, { id: "bb" }))), [
      { id: "a", amount: 1 },
      { id: "bb", amount: 2 },
    ]);
    await assert.rejects(
      stub.Charge({ id: "x", amount: 1 }),
      (error) => error instanceof ClientError && /UNAVAILABLE: try again/.test(error.message),
    );
    assert.deepEqual(Object.fromEntries(attempts), { Get: 3, List: 3, Upload: 3, Follow: 3, Charge: 1 });
  });

  test("its abort reaches the attempt, and its middleware runs above", async (t) => {
    const { address } = await serve(t);
    const channel = channelFactory(policed(), { services: [service] })(address, insecure());
    t.after(() => channel.close());
    let calls = 0;
    const stub = createClientFactory()
      .use(async function* (call, options) {
        calls++;
        return yield* call.next(call.request, options);
      })
      .create(service, channel) as unknown as { Get(request: GetRequest, options: { signal: AbortSignal }): Promise<Payment> }; // the cast: by the .proto
    assert.deepEqual(await stub.Get({ id: "a" }, { signal: new AbortController().signal }), { id: "a", amount: 7 });
    assert.equal(calls, 1);
    await assert.rejects(stub.Get({ id: "a" }, { signal: AbortSignal.abort() }), { name: "AbortError" });
  });
});

const GetRequestOfProtobufTs = new MessageType<{ id: string }>("payments.v1.GetRequest", [
  { no: 1, name: "id", kind: "scalar", T: ScalarType.STRING },
]);
const PaymentOfProtobufTs = new MessageType<{ id: string; amount: number }>("payments.v1.Payment", [
  { no: 1, name: "id", kind: "scalar", T: ScalarType.STRING },
  { no: 2, name: "amount", kind: "scalar", T: ScalarType.INT32 },
]);
const [G, P] = [GetRequestOfProtobufTs, PaymentOfProtobufTs];
const ServiceOfProtobufTs = new ServiceType("payments.v1.Payments", [
  { name: "Get", options: {}, I: G, O: P, idempotency: "NO_SIDE_EFFECTS" },
  { name: "Charge", options: {}, I: P, O: P },
  { name: "List", serverStreaming: true, options: {}, I: G, O: P, idempotency: "IDEMPOTENT" },
  { name: "Upload", clientStreaming: true, options: {}, I: P, O: P, idempotency: "IDEMPOTENT" },
  { name: "Follow", clientStreaming: true, serverStreaming: true, options: {}, I: G, O: P, idempotency: "IDEMPOTENT" },
]);

suite("protobuf-ts", () => {
  test("its GrpcTransport takes the options, and its calls are repeated as the service says", async (t) => {
    const { address, attempts } = await serve(t);
    const clientOptions = channelOptions(policed(), { services: [ServiceOfProtobufTs] });
    const transport = new GrpcTransport({ host: address, channelCredentials: insecure(), clientOptions });
    t.after(() => transport.close());
    const method = (name: string): (typeof ServiceOfProtobufTs.methods)[number] =>
      ServiceOfProtobufTs.methods.find((one) => one.name === name) ?? assert.fail(name);
    const options = transport.mergeOptions();
    const { response } = await stackIntercept<GetRequest, Payment>("unary", transport, method("Get"), options, { id: "a" });
    assert.deepEqual(response, { id: "a", amount: 7 });
    const listed = stackIntercept<GetRequest, Payment>("serverStreaming", transport, method("List"), options, { id: "a" });
    assert.deepEqual(await all(listed.responses), payments);
    const upload = stackIntercept<Payment, Payment>("clientStreaming", transport, method("Upload"), options);
    for (const payment of payments) await upload.requests.send(payment);
    await upload.requests.complete();
    assert.deepEqual(await upload.response, { id: "sum", amount: 6 });
    const follow = stackIntercept<GetRequest, Payment>("duplex", transport, method("Follow"), options);
    for (const id of ["a", "bb"]) await follow.requests.send({ id });
    await follow.requests.complete();
    assert.deepEqual(await all(follow.responses), [
      { id: "a", amount: 1 },
      { id: "bb", amount: 2 },
    ]);
    assert.deepEqual(Object.fromEntries(attempts), { Get: 3, List: 3, Upload: 3, Follow: 3 });
  });
});
