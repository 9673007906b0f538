// Nothing of a call that is over hangs on what grpc-js keeps of it, which may be long: dead tables that have been promoted hold it until a full collection.
import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate as soon } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { Channel, status } from "@grpc/grpc-js";
import { bulkhead, retry, timeout } from "../../../src/index.ts";
import { KINDS, policedEcho, start } from "./calls.ts";
import { openPeer } from "./peer.ts";

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void; // the cast: what the flag has put there

/** How often garbage is collected before something counts as held. */
const COLLECTIONS = 50;

for (const kind of KINDS) {
  test(`grpc-js holds nothing of a call that is over: ${kind}`, async (t) => {
    const heard: unknown[] = [];
    const createCall = Reflect.get(Channel.prototype, "createCall"); // called on its channel, below
    // not by t.mock, which remembers its calls
    Channel.prototype.createCall = function (this: Channel, ...asked: Parameters<Channel["createCall"]>) {
      const call = createCall.apply(this, asked);
      const begin = call.start.bind(call);
      call.start = (metadata, listener) => {
        heard.push(metadata, listener);
        begin(metadata, listener);
      };
      return call;
    };
    t.after(() => (Channel.prototype.createCall = createCall));
    const peer = await openPeer(t, (attempt) => {
      attempt.send("fine");
      attempt.status(status.OK);
    });
    const layers = [timeout("1h"), retry({ methods: ["*"] }), bulkhead({ limit: 10 }), timeout("1h")];
    const { echo } = policedEcho(t, peer.address, layers);

    const done = await (async () => {
      const { call, came } = start(echo, kind);
      assert.equal((await came).code, status.OK);
      return new WeakRef(call);
    })();
    for (let time = 0; time < COLLECTIONS && done.deref() !== undefined; time++) {
      await soon();
      collect();
    }
    assert.equal(heard.length, 2, "the metadata and the listener of one attempt");
    assert.ok(done.deref() === undefined, "the caller's call is gone, though what grpc-js was given is held");
  });
}
