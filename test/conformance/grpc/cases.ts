// The 14 interop cases that grpc-node runs, by the names of gRPC's interop test descriptions.
import assert from "node:assert/strict";
import type { Exchange, InteropClient, OpenOptions, Request } from "./exchange.ts";

const OK = 0;
const CANCELLED = 1;
const UNKNOWN = 2;
const DEADLINE_EXCEEDED = 4;
const UNIMPLEMENTED = 12;

const zeros = (size: number): Request["payload"] => ({ body: new Uint8Array(size) });

async function finished(exchange: Exchange, code: number, details?: string): Promise<void> {
  const status = await exchange.status;
  assert.equal(status.code, code, status.details);
  if (details !== undefined) assert.equal(status.details, details);
}

async function unary(client: InteropClient, request: Request, options?: OpenOptions): Promise<Exchange> {
  const exchange = client.open("unaryCall", options);
  exchange.send(request);
  const response = await exchange.read();
  await finished(exchange, OK);
  assert.equal(response?.payload?.body.length, request.responseSize);
  return exchange;
}

/** Nothing comes after what was read, and the call went well. */
async function over(exchange: Exchange): Promise<void> {
  assert.equal(await exchange.read(), undefined);
  await finished(exchange, OK);
}

const STATUS = { code: UNKNOWN, message: "test status message" };
const SPECIAL = { code: UNKNOWN, message: "\t\ntest with whitespace\r\nand Unicode BMP ☺ and non-BMP 😈\t\n" };
const ECHO_INITIAL = "x-grpc-test-echo-initial";
const ECHO_TRAILING = "x-grpc-test-echo-trailing-bin";
const FIELDS = { [ECHO_INITIAL]: "test_initial_metadata_value", [ECHO_TRAILING]: new Uint8Array([0xab, 0xab, 0xab]) };
const LARGE: Request = { responseSize: 314_159, payload: zeros(271_828) ?? { body: new Uint8Array() } };

function echoed(exchange: Exchange): void {
  assert.equal(exchange.header(ECHO_INITIAL), FIELDS[ECHO_INITIAL]);
  assert.deepEqual(new Uint8Array((exchange.trailer(ECHO_TRAILING) ?? []) as Uint8Array), FIELDS[ECHO_TRAILING]); // the cast: a -bin field has bytes
}

export const cases: Readonly<Record<string, (client: InteropClient) => Promise<void>>> = {
  empty_unary: async (client) => {
    const exchange = client.open("emptyCall");
    exchange.send({});
    assert.ok(await exchange.read());
    await finished(exchange, OK);
  },

  large_unary: async (client) => void (await unary(client, LARGE)),

  client_streaming: async (client) => {
    const exchange = client.open("streamingInputCall");
    for (const size of [27_182, 8, 1_828, 45_904]) exchange.send({ payload: { body: new Uint8Array(size) } });
    exchange.end();
    assert.equal((await exchange.read())?.aggregatedPayloadSize, 74_922);
    await finished(exchange, OK);
  },

  server_streaming: async (client) => {
    const sizes = [31_415, 9, 2_653, 58_979];
    const exchange = client.open("streamingOutputCall");
    exchange.send({ responseParameters: sizes.map((size) => ({ size })) });
    for (const size of sizes) assert.equal((await exchange.read())?.payload?.body.length, size);
    await over(exchange);
  },

  ping_pong: async (client) => {
    const exchange = client.open("fullDuplexCall");
    for (const [sent, size] of [
      [27_182, 31_415],
      [8, 9],
      [1_828, 2_653],
      [45_904, 58_979],
    ] as const) {
      exchange.send({ responseParameters: [{ size }], payload: { body: new Uint8Array(sent) } });
      assert.equal((await exchange.read())?.payload?.body.length, size);
    }
    exchange.end();
    await over(exchange);
  },

  empty_stream: async (client) => {
    const exchange = client.open("fullDuplexCall");
    exchange.end();
    await over(exchange);
  },

  cancel_after_begin: async (client) => {
    const exchange = client.open("streamingInputCall");
    exchange.cancel();
    await finished(exchange, CANCELLED);
  },

  cancel_after_first_response: async (client) => {
    const exchange = client.open("fullDuplexCall");
    exchange.send({ responseParameters: [{ size: 31_415 }], payload: { body: new Uint8Array(27_182) } });
    assert.equal((await exchange.read())?.payload?.body.length, 31_415);
    exchange.cancel();
    await finished(exchange, CANCELLED);
  },

  timeout_on_sleeping_server: async (client) => {
    const exchange = client.open("fullDuplexCall", { timeoutMs: 1 });
    exchange.send({ payload: { body: new Uint8Array(27_182) } });
    await finished(exchange, DEADLINE_EXCEEDED);
  },

  custom_metadata: async (client) => {
    echoed(await unary(client, LARGE, { fields: FIELDS }));
    const exchange = client.open("fullDuplexCall", { fields: FIELDS });
    exchange.send({ responseParameters: [{ size: 314_159 }], payload: { body: new Uint8Array(271_828) } });
    assert.equal((await exchange.read())?.payload?.body.length, 314_159);
    exchange.end();
    await over(exchange);
    echoed(exchange);
  },

  status_code_and_message: async (client) => {
    const call = client.open("unaryCall");
    call.send({ responseStatus: STATUS });
    await finished(call, STATUS.code, STATUS.message);
    const stream = client.open("fullDuplexCall");
    stream.send({ responseStatus: STATUS });
    stream.end();
    await finished(stream, STATUS.code, STATUS.message);
  },

  special_status_message: async (client) => {
    const exchange = client.open("unaryCall");
    exchange.send({ responseStatus: SPECIAL });
    await finished(exchange, SPECIAL.code, SPECIAL.message);
  },

  unimplemented_method: async (client) => {
    const exchange = client.open("unimplementedCall");
    exchange.send({});
    await finished(exchange, UNIMPLEMENTED);
  },

  unimplemented_service: async (client) => {
    const exchange = client.openUnimplementedService();
    exchange.send({});
    await finished(exchange, UNIMPLEMENTED);
  },
};
