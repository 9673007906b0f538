// Four kinds of RPC over every protocol and version of HTTP: under a policy that has nothing to do, and with first attempts that fail.
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { Code } from "@connectrpc/connect";
import { type LayerDefinition, retry } from "../../../src/index.ts";
import { healthy } from "../../conformance/healthy.ts";
import { type Step, wires } from "./server.ts";
import { all, type KindsClient, texts } from "./service.ts";
import { openTrial } from "./trial.ts";

const again: readonly LayerDefinition[] = [retry({ attempts: 3, methods: ["*"], backoff: { base: "0ms" } })];

const kinds: Readonly<
  Record<string, { readonly call: (kinds: KindsClient) => Promise<unknown>; readonly gives: unknown; readonly sends: readonly string[] }>
> = {
  "a unary call": { call: async (client) => (await client.say({ value: "a" })).value, gives: "a!", sends: ["a"] },
  "a client stream": {
    call: async (client) => (await client.collect(texts("a", "b", "c"))).value,
    gives: "a,b,c!",
    sends: ["a", "b", "c"],
  },
  "a server stream": { call: (client) => all(client.count({ value: "n" })), gives: ["n1", "n2", "n3", "n4", "n5"], sends: ["n"] },
  "a duplex stream": { call: (client) => all(client.talk(texts("a", "b"))), gives: ["a!", "b!"], sends: ["a", "b"] },
};

/** Two attempts that fail, each in a way of its own, and a good one. */
const failures: Readonly<Record<string, readonly Step[]>> = {
  "a status": [{ fail: Code.Unavailable }, { fail: Code.Unavailable, reads: 0 }, {}],
  "a reset connection": [{ reset: "connection" }, { reset: "connection", reads: 0 }, {}],
};

for (const [wire, { httpVersion }] of Object.entries(wires)) {
  suite(wire, () => {
    for (const [name, { call, gives, sends }] of Object.entries(kinds)) {
      if (name === "a duplex stream" && httpVersion === "1.1") continue; // HTTP/1.1 is half duplex
      test(`${name} goes through a healthy policy`, async (t) => {
        const { kinds: client, server } = await openTrial(t, healthy.layers, [], { wire });
        assert.deepEqual(await call(client), gives);
        assert.deepEqual(
          server.seen.map(({ messages }) => messages),
          [sends],
        );
      });

      for (const [failure, script] of Object.entries(failures)) {
        test(`${name} is tried again after ${failure}, from its first message on`, async (t) => {
          const { kinds: client, server } = await openTrial(t, again, script, { wire });
          assert.deepEqual(await call(client), gives);
          assert.equal(server.seen.length, 3);
          assert.deepEqual(server.seen[2]?.messages, sends);
          assert.deepEqual(
            server.seen.map(({ header }) => header.get("grpc-previous-rpc-attempts")),
            [null, "1", "2"],
          );
        });
      }
    }
  });
}
