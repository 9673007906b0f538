// Sends one attempt at a proxied call to an upstream, and gives its outcome.
import type { Call } from "../../call/call.ts";
import { abortedOutcome, misuseOutcome } from "../../call/classify.ts";
import type { Outcome } from "../../call/outcome.ts";
import { Attempt } from "./attempt.ts";
import type { ProxyPayload } from "./payload.ts";

export function sendProxied(call: Call): Promise<Outcome<unknown>> {
  const payload = call.payload as ProxyPayload; // the cast: this sender is only put on calls with this payload
  if (call.signal?.aborted === true) return Promise.resolve(abortedOutcome(call.signal));
  if (payload.messages?.whole === false)
    return Promise.resolve(misuseOutcome(new Error("premesh: the body of this call was not kept, so it cannot be sent again")));
  return new Promise((resolve) => new Attempt(call, payload, resolve).begin());
}
