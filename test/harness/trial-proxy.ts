// A trial through the proxy: the same script, as a server behind a shim that a client without premesh calls; what the client is told is read from the wire.
import assert from "node:assert/strict";
import type { TestContext } from "node:test";
import { remember } from "../../src/call/record.ts";
import { definePolicy, PolicyError, type PolicyErrorCode } from "../../src/index.ts";
import { type Answer, ask } from "./ask.ts";
import { openShim } from "./shim.ts";
import { stoppedTime, turns } from "./time.ts";
import type { Came, Open } from "./trial.ts";
import { openUpstream } from "./upstream.ts";

export const openProxy =
  (t: TestContext): Open =>
  async (layers, script, options) => {
    const time = stoppedTime(t);
    const upstream = await openUpstream(t, script);
    const policy = definePolicy({ name: "trial", match: [{ host: "*" }], layers });
    const shim = await openShim(t, { policies: [policy], ...options });
    let calls = 0;
    const pass = async (ms: number): Promise<void> => {
      await time.pass(ms);
      await turns(HOPS);
    };
    return {
      client: shim.client,
      time: { now: () => time.now(), pass },
      attempts: () => upstream.requests.length,
      arrived: async (n) => void (await upstream.arrived(n)),
      call: async ({ signal, idempotent = true } = {}) => {
        const id = `call-${++calls}`;
        const known = (result: object): object => {
          const seen = shim.callOf(id);
          if (seen !== undefined) for (const one of [result, seen.error]) remember(one, seen.record);
          return result;
        };
        try {
          const method = idempotent ? "GET" : "POST";
          const answer = await ask(shim.address, {
            method,
            host: upstream.host,
            headers: { "x-request-id": id },
            ...(signal === undefined ? {} : { signal }),
          });
          return came(answer, known(answer), shim.callOf(id)?.error);
        } catch (error) {
          return { ok: false, status: undefined, error, refusal: undefined, result: known(Object(error) as object) }; // the cast: Object gives one
        }
      },
    };
  };

/** Turns of the loop in which what one socket is told has come out of the next. */
const HOPS = 10;

/** What `Proxy-Status` says of a response that the proxy made: a refusal by a layer, or none. */
const REFUSALS: Readonly<Record<string, PolicyErrorCode>> = {
  http_request_denied: "ERR_PREMESH_RATE_LIMITED",
  connection_limit_reached: "ERR_PREMESH_BULKHEAD_FULL",
  destination_unavailable: "ERR_PREMESH_BREAKER_OPEN",
  http_response_timeout: "ERR_PREMESH_TIMEOUT",
};

/** The client is told in HTTP's words; that they fit the error that the process would have thrown is held here. */
function came({ status, headers }: Answer, result: object, inside: unknown): Came {
  const error = /error=(\w+)/.exec(String(headers["proxy-status"]))?.[1] ?? "";
  const refusal = REFUSALS[error];
  if (!(inside instanceof PolicyError)) return { ok: status < 400, status, error: inside, refusal: undefined, result };
  assert.equal(refusal, inside.code);
  const { retryAfterMs } = inside;
  assert.equal(headers["retry-after"], retryAfterMs === undefined ? undefined : String(Math.ceil(retryAfterMs / 1_000)));
  return { ok: false, status, error: inside, refusal, result };
}
