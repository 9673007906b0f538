// RPCs that come in to a grpc-js server behind the interceptor, over real sockets.
import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import {
  type CallOptions,
  type ClientDuplexStream,
  type ClientReadableStream,
  type ClientUnaryCall,
  credentials,
  makeGenericClientConstructor,
  Metadata,
  type sendUnaryData,
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  type ServerUnaryCall,
  type ServerWritableStream,
  type ServiceDefinition,
  type ServiceError,
  status as Status,
} from "@grpc/grpc-js";
import {
  bulkhead,
  createClient,
  definePolicy,
  type Client,
  type LayerDefinition,
  idempotency,
  rateLimit,
  retry,
  timeout,
} from "../../../src/index.ts";
import { serverInterceptor, type ServerSettings } from "../../../src/grpc.ts";
import { inboundCall } from "../../../src/inbound.ts";
import { virtualClock } from "../../../src/testing/index.ts";
import { gate } from "../../harness/time.ts";

interface Message {
  readonly amount?: number;
  readonly text?: string;
}

const json = {
  requestSerialize: (value: unknown) => Buffer.from(JSON.stringify(value)),
  requestDeserialize: (bytes: Buffer) => JSON.parse(bytes.toString()) as unknown,
  responseSerialize: (value: unknown) => Buffer.from(JSON.stringify(value)),
  responseDeserialize: (bytes: Buffer) => JSON.parse(bytes.toString()) as unknown,
};
const path = (method: string): string => `/payments.v1.Payments/${method}`;
const service = {
  Charge: { path: path("Charge"), requestStream: false, responseStream: false, ...json },
  List: { path: path("List"), requestStream: false, responseStream: true, ...json },
  Chat: { path: path("Chat"), requestStream: true, responseStream: true, ...json },
} satisfies ServiceDefinition;

interface Payments {
  Charge(
    message: Message,
    metadata: Metadata,
    options: CallOptions,
    done: (error: ServiceError | null, reply?: Message) => void,
  ): ClientUnaryCall;
  List(message: Message, metadata?: Metadata): ClientReadableStream<Message>;
  Chat(metadata?: Metadata): ClientDuplexStream<Message, Message>;
  close(): void;
}

type Unary = (call: ServerUnaryCall<Message, Message>, done: sendUnaryData<Message>) => void;

interface Opened {
  readonly client: Client;
  readonly payments: Payments;
  readonly charge: (message: Message, key?: string, options?: CallOptions) => Promise<Came>;
}

interface Came {
  readonly reply: Message | undefined;
  readonly error: ServiceError | undefined;
  readonly head: Metadata;
  readonly trailers: Metadata;
}

async function open(
  t: TestContext,
  layers: readonly LayerDefinition[],
  Charge: Unary,
  { settings, ...options }: { readonly settings?: ServerSettings; readonly clock?: ReturnType<typeof virtualClock> } = {},
): Promise<Opened> {
  const policy = definePolicy({ name: "guard", match: [{ service: "payments.v1.Payments", inbound: true }], layers });
  const client = createClient({ policies: [policy], ...options });
  const server = new Server({ interceptors: [serverInterceptor(client, settings)] });
  server.addService(service, {
    Charge,
    List: (call: ServerWritableStream<Message, Message>) => {
      for (const text of ["a", "b", "c"]) call.write({ text });
      call.end();
    },
    Chat: (call: ServerDuplexStream<Message, Message>) => {
      call.on("data", (message: Message) => call.write(message)).on("end", () => call.end());
    },
  });
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    );
  });
  const Payments = makeGenericClientConstructor(service, "payments.v1.Payments") as unknown as new (...args: unknown[]) => Payments; // the cast: it has the methods of its definition
  const payments = new Payments(`127.0.0.1:${port}`, credentials.createInsecure());
  t.after(async () => {
    payments.close();
    server.forceShutdown();
    await client.close();
  });
  return {
    client,
    payments,
    charge: (message, key, callOptions = {}) =>
      new Promise((resolve) => {
        const metadata = new Metadata();
        if (key !== undefined) metadata.set("idempotency-key", key);
        let head = new Metadata();
        let came: Pick<Came, "reply" | "error"> | undefined;
        const call = payments.Charge(message, metadata, callOptions, (error, reply) => (came = { reply, error: error ?? undefined }));
        call.on("metadata", (fields: Metadata) => (head = fields));
        call.on("status", ({ metadata: trailers }: { metadata: Metadata }) => {
          setImmediate(() => resolve({ reply: came?.reply, error: came?.error, head, trailers }));
        });
      }),
  };
}

async function all(stream: ClientReadableStream<Message> | ClientDuplexStream<Message, Message>): Promise<Message[]> {
  const messages: Message[] = [];
  for await (const message of stream) messages.push(message as Message); // the cast: what the service sends
  return messages;
}

const echo: Unary = ({ request }, done) => done(null, { text: `charged ${request.amount}` });

test("an RPC passes as if nobody were there, of each kind", async (t) => {
  const { charge, payments } = await open(t, [bulkhead({ limit: 1 }), timeout("5s")], echo);
  assert.deepEqual((await charge({ amount: 1 })).reply, { text: "charged 1" });
  assert.deepEqual(await all(payments.List({})), [{ text: "a" }, { text: "b" }, { text: "c" }]);
  const chat = payments.Chat();
  chat.write({ text: "hello" });
  chat.end({ text: "bye" });
  assert.deepEqual(await all(chat), [{ text: "hello" }, { text: "bye" }]);
});

test("what a layer refuses gets its status, and is told when to come again; the handler never begins", async (t) => {
  let worked = 0;
  const { charge, client } = await open(t, [rateLimit({ rate: 6, per: "1m", burst: 1 })], (call, done) => {
    worked++;
    echo(call, done);
  });
  await charge({ amount: 1 });
  const { error, trailers } = await charge({ amount: 2 });
  assert.equal(error?.code, Status.RESOURCE_EXHAUSTED);
  assert.match(String(trailers.get("grpc-retry-pushback-ms")[0]), /^\d{4,5}$/);
  assert.equal(trailers.get("premesh-by")[0], "rateLimit");
  assert.equal(worked, 1);
  assert.equal(client.decisions().at(-1)?.what, "refused");
});

test("a place is held until the handler has answered, and freed at once when the caller leaves", async (t) => {
  const began = gate();
  const left = gate();
  const { charge, client, payments } = await open(t, [bulkhead({ limit: 1 })], ({ request, metadata }, done) => {
    if (request.amount !== 1) return done(null, {});
    inboundCall(metadata)?.signal.addEventListener("abort", () => left.open());
    return began.open();
  });
  const hanging = payments.Charge({ amount: 1 }, new Metadata(), {}, () => undefined);
  await began.promise;
  assert.equal((await charge({ amount: 2 })).error?.code, Status.UNAVAILABLE);
  hanging.cancel();
  await left.promise;
  assert.equal((await charge({ amount: 3 })).error, undefined);
  assert.deepEqual(client.status().policies["guard"]?.targets["inbound"]?.[0]?.state["active"], 0);
});

test("a timeout answers for the handler, which may go on and harms nobody", async (t) => {
  const clock = virtualClock();
  const began = gate();
  const finish = gate();
  const finished = gate();
  const { charge } = await open(
    t,
    [timeout("1s")],
    (_call, done) => {
      began.open();
      void finish.promise.then(() => {
        done(null, { text: "late" });
        finished.open();
      });
    },
    { clock },
  );
  const asked = charge({ amount: 1 });
  await began.promise;
  await clock.advance(1_000);
  const { error } = await asked;
  assert.equal(error?.code, Status.DEADLINE_EXCEEDED);
  finish.open();
  await finished.promise;
});

test("the caller's deadline is the call's, and passes on its own", async (t) => {
  const remaining = gate<number>();
  const left = gate();
  const { charge, client } = await open(t, [], ({ metadata }) => {
    const known = inboundCall(metadata);
    remaining.open(known?.remainingMs() ?? -1);
    known?.signal.addEventListener("abort", () => left.open());
  });
  const { error } = await charge({ amount: 1 }, undefined, { deadline: Date.now() + 2_000 });
  assert.equal(error?.code, Status.DEADLINE_EXCEEDED);
  const ms = await remaining.promise;
  assert.ok(ms > 0 && ms <= 2_000, String(ms));
  await left.promise;
  await client.close();
});

for (const [name, settings] of [
  ["as V8 clones it", {}],
  ["as its definition has it", { services: [service] }],
] as const) {
  test(`a key: done once, and the same answer to all, ${name}`, async (t) => {
    let worked = 0;
    const { charge } = await open(
      t,
      [idempotency()],
      (call, done) => {
        const head = new Metadata();
        head.set("x-order", String(++worked));
        head.set("x-raw-bin", Buffer.from([0, 255]));
        call.sendMetadata(head);
        const trailers = new Metadata();
        trailers.set("x-cost", "3");
        if (call.request.amount === 0) return done({ code: Status.FAILED_PRECONDITION, details: "nothing to pay", metadata: trailers });
        return done(null, { text: `charged ${call.request.amount}` }, trailers);
      },
      { settings },
    );
    const [first, second] = [await charge({ amount: 10 }, "k"), await charge({ amount: 10 }, '"k"')];
    assert.equal(worked, 1);
    for (const { reply, error, head, trailers } of [first, second]) {
      assert.equal(error, undefined);
      assert.deepEqual(reply, { text: "charged 10" });
      assert.equal(head.get("x-order")[0], "1");
      assert.deepEqual(head.get("x-raw-bin")[0], Buffer.from([0, 255]));
      assert.equal(trailers.get("x-cost")[0], "3");
    }
    assert.deepEqual([first.head.get("idempotency-replayed"), second.head.get("idempotency-replayed")], [[], ["true"]]);
    assert.equal((await charge({ amount: 11 }, "k")).error?.code, Status.INVALID_ARGUMENT);
    for (let nth = 0; nth < 2; nth++) {
      const { error, trailers } = await charge({ amount: 0 }, "other");
      assert.equal(error?.code, Status.FAILED_PRECONDITION);
      assert.equal(error.details, "nothing to pay");
      assert.equal(trailers.get("x-cost")[0], "3");
    }
    assert.equal(worked, 2);
    await charge({ amount: 1 });
    await charge({ amount: 1 });
    assert.equal(worked, 4, "without a key nothing is kept");
  });
}

test("a caller that leaves finds its answer when it comes again; meanwhile its key is taken", async (t) => {
  const [began, finish, finished, cancelled] = [gate(), gate(), gate(), gate()];
  let worked = 0;
  const { charge, payments, client } = await open(t, [bulkhead({ limit: 1 }), idempotency()], (call, done) => {
    worked++;
    began.open();
    void finish.promise.then(() => {
      echo(call, done);
      setImmediate(finished.open);
    });
  });
  const metadata = new Metadata();
  metadata.set("idempotency-key", "k");
  const first = payments.Charge({ amount: 5 }, metadata, {}, () => cancelled.open());
  await began.promise;
  first.cancel();
  await cancelled.promise;
  let second = await charge({ amount: 5 }, "k");
  while (second.error?.code === Status.UNAVAILABLE) second = await charge({ amount: 5 }, "k"); // until the server has heard of it, the place is taken
  assert.equal(second.error?.code, Status.ABORTED);
  finish.open();
  await finished.promise;
  assert.deepEqual((await charge({ amount: 5 }, "k")).reply, { text: "charged 5" });
  assert.equal(worked, 1);
  assert.equal(client.decisions().at(-1)?.what, "replayed");
});

test("a streamed RPC with a key is refused, and without one passes", async (t) => {
  const { payments } = await open(t, [idempotency()], echo);
  const metadata = new Metadata();
  metadata.set("idempotency-key", "k");
  await assert.rejects(all(payments.List({}, metadata)), { code: Status.INVALID_ARGUMENT });
  assert.equal((await all(payments.List({}))).length, 3);
});

test("an interceptor for a policy that would do the work twice is refused at once", () => {
  const policy = definePolicy({ name: "twice", match: [{ service: "*", inbound: true }], layers: [retry()] });
  assert.throws(() => serverInterceptor(createClient({ policies: [policy] })), { code: "ERR_PREMESH_INVALID_OPTIONS", policy: "twice" });
});
