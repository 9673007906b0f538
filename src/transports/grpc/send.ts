// Sends one attempt at an RPC over grpc-js's own channel, and gives its outcome.
import type { Call } from "../../call/call.ts";
import { abortedOutcome } from "../../call/classify.ts";
import { Code } from "../../call/codes.ts";
import type { Outcome } from "../../call/outcome.ts";
import { Attempt } from "./attempt.ts";
import type { RpcPayload } from "./payload.ts";
import { misused } from "./verdict.ts";

export function sendRpc(call: Call): Promise<Outcome<unknown>> {
  const rpc = call.payload as RpcPayload; // the cast: this sender is only put on calls with this payload
  if (call.signal?.aborted === true) return Promise.resolve(abortedOutcome(call.signal));
  if (rpc.line.closed) return Promise.resolve(misused(Code.UNAVAILABLE, "Channel closed before call started"));
  if (!rpc.messages.whole)
    return Promise.resolve(misused(Code.INTERNAL, "premesh: the messages of this call were not kept, so it cannot be sent again"));
  return new Promise((resolve) => new Attempt(call, rpc, resolve).begin());
}
