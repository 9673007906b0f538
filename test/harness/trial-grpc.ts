// A trial over gRPC: the same script, as a server on bare HTTP/2 whose statuses are the codes of the script's.
import {
  type ClientUnaryCall,
  credentials,
  makeGenericClientConstructor,
  Metadata,
  type requestCallback,
  type ServiceError,
} from "@grpc/grpc-js";
import type { TestContext } from "node:test";
import { codeOfHttpStatus, httpStatusOf } from "../../src/call/codes.ts";
import { channelOptions } from "../../src/grpc.ts";
import { createClient, definePolicy, PolicyError } from "../../src/index.ts";
import { definition } from "../transports/grpc/calls.ts";
import { NGHTTP2_INTERNAL_ERROR, openPeer } from "../transports/grpc/peer.ts";
import { stoppedTime } from "./time.ts";
import type { Open } from "./trial.ts";

interface Unary {
  Unary(message: string, metadata: Metadata, callback: requestCallback<string>): ClientUnaryCall;
  close(): void;
}

const UnaryConstructor = makeGenericClientConstructor(definition, "test.Echo");

export const openGrpc =
  (t: TestContext): Open =>
  async (layers, script, options) => {
    const time = stoppedTime(t);
    const peer = await openPeer(t, async (attempt) => {
      const step = script[Math.min(attempt.nth, script.length) - 1] ?? {};
      if (step === "hang") return;
      if (step === "reset") return attempt.reset(NGHTTP2_INTERNAL_ERROR);
      await step.until;
      const { status = 200, headers } = step;
      if (status >= 400) return attempt.status(codeOfHttpStatus(status), headers);
      attempt.send("ok");
      return attempt.status(0);
    });
    const client = createClient({ policies: [definePolicy({ name: "trial", match: [{ host: "*" }], layers })], ...options });
    const stub = new UnaryConstructor(peer.address, credentials.createInsecure(), {
      "grpc.use_local_subchannel_pool": 1,
      ...channelOptions(client),
    }) as unknown as Unary; // the cast: the constructor makes methods by the definition
    t.after(() => stub.close());
    return {
      client,
      time,
      attempts: () => peer.attempts.length,
      arrived: async (n) => void (await peer.arrived(n)),
      call: ({ signal, idempotent = true } = {}) =>
        new Promise((resolve) => {
          const metadata = new Metadata({ idempotentRequest: idempotent });
          let failure: (ServiceError & { cause?: unknown }) | undefined;
          const call = stub.Unary("hello", metadata, (error) => {
            failure = error ?? undefined;
          });
          call.on("status", (over) => {
            if (failure === undefined) return resolve({ ok: true, status: 200, error: undefined, refusal: undefined, result: over });
            const { cause, code } = failure;
            const told = signal?.aborted === true ? signal.reason : (cause ?? failure); // grpc-js has no word for a reason
            return resolve({
              ok: false,
              status: cause === undefined ? httpStatusOf(code) : undefined,
              error: told,
              refusal: cause instanceof PolicyError ? cause.code : undefined,
              result: failure,
            });
          });
          signal?.addEventListener("abort", () => call.cancel());
        }),
    };
  };
