// Any script of faults, any kind of RPC, any protocol: the server sees each attempt's messages in order, the caller one consistent result, and nothing leaks.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Code, ConnectError } from "@connectrpc/connect";
import fc from "fast-check";
import { premeshTransport } from "../../../src/connect.ts";
import { bulkhead, createClient, definePolicy, retry, timeout } from "../../../src/index.ts";
import { doorOf } from "../../../src/transports/door.ts";
import { poolOf } from "../../../src/transports/pool.ts";
import { turns } from "../../harness/time.ts";
import { openKinds, RST, type Step, wires } from "./server.ts";
import { all, type KindsClient, kindsClient, texts } from "./service.ts";

type Kind = "unary" | "client stream" | "server stream" | "duplex stream";

const calls: Readonly<Record<Kind, (client: KindsClient, messages: readonly string[]) => Promise<readonly string[]>>> = {
  unary: async (client, [value = ""]) => [(await client.say({ value })).value],
  "client stream": async (client, messages) => [(await client.collect(texts(...messages))).value],
  "server stream": (client, [value = ""]) => all(client.count({ value })),
  "duplex stream": (client, messages) => all(client.talk(texts(...messages))),
};

const answers: Readonly<Record<Kind, (messages: readonly string[]) => readonly string[]>> = {
  unary: ([value = ""]) => [`${value}!`],
  "client stream": (messages) => [`${messages.join(",")}!`],
  "server stream": ([value = ""]) => [1, 2, 3, 4, 5].map((n) => `${value}${n}`),
  "duplex stream": (messages) => messages.map((value) => `${value}!`),
};

const fault: fc.Arbitrary<Step> = fc.oneof(
  fc.record({
    fail: fc.constantFrom(Code.Unavailable, Code.Internal, Code.ResourceExhausted),
    reads: fc.integer({ min: 0, max: 4 }),
    sends: fc.integer({ min: 0, max: 3 }),
    metadata: fc.constantFrom({}, { "grpc-retry-pushback-ms": "1" }, { "grpc-retry-pushback-ms": "-1" }),
  }),
  fc.record({
    reset: fc.constantFrom("connection" as const, RST.refused, RST.internal),
    reads: fc.integer({ min: 0, max: 4 }),
    sends: fc.integer({ min: 0, max: 1 }), // connect-node's server goes round for ever when its stream is closed behind two messages
  }),
  fc.record({ hang: fc.constant(true), reads: fc.integer({ min: 0, max: 4 }) }),
);

const scripts = fc
  .tuple(fc.array(fault, { maxLength: 3 }), fc.constantFrom<readonly Step[]>([{}], []))
  .map(([faults, last]) => [...faults, ...last]);

test("each attempt sees the messages from the first on, and the caller gets one result", async (t) => {
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...Object.keys(wires)),
      fc.constantFrom<Kind>("unary", "client stream", "server stream", "duplex stream"),
      fc.array(fc.string({ minLength: 1, maxLength: 3, unit: fc.constantFrom("a", "b", "é") }), { minLength: 1, maxLength: 5 }),
      scripts,
      async (wire, kind, messages, script) => {
        const { httpVersion, open } = wires[wire] ?? assert.fail(wire);
        fc.pre(httpVersion === "2" || kind !== "duplex stream");
        // over HTTP/1.1 there are no streams to reset
        const steps = script.map((step) =>
          httpVersion === "1.1" && typeof step.reset === "number" ? { ...step, reset: "connection" as const } : step,
        );
        const server = await openKinds(t, httpVersion, steps);
        const layers = [
          timeout("2s"),
          bulkhead({ limit: 1 }),
          retry({ attempts: 3, methods: ["*"], backoff: { base: "0ms" }, budget: false }),
          timeout("60ms"),
        ];
        const client = createClient({ policies: [definePolicy({ name: "p", match: [{ service: "*" }], layers })] });
        const kinds = kindsClient(premeshTransport(client, open(server.baseUrl)));
        const sent = kind === "unary" || kind === "server stream" ? messages.slice(0, 1) : messages;
        try {
          const got = await calls[kind](kinds, messages);
          assert.deepEqual(got, answers[kind](messages));
          assert.deepEqual(server.seen.at(-1)?.messages, sent);
        } catch (error) {
          assert.ok(error instanceof ConnectError, String(error));
          const explained = client.explain(error);
          assert.ok(explained !== undefined && explained.attempts >= server.seen.length);
        }
        assert.ok(server.seen.length <= 3);
        for (const { messages: saw } of server.seen) assert.deepEqual(saw, sent.slice(0, saw.length));
        await turns();
        assert.equal(Object.values(client.status().policies["p"]?.targets ?? {})[0]?.[0]?.state["active"], 0);
        assert.equal(poolOf(doorOf(client, "test")).bytes, 0);
        server.close();
      },
    ),
    { numRuns: 120, timeout: 10_000 },
  );
});
