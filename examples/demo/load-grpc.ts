// The load over gRPC: the lanes are two clients of grpc-js, one on a bare channel, one on a channel under the policy.
import {
  type CallOptions,
  type ClientOptions,
  credentials,
  makeGenericClientConstructor,
  Metadata,
  type ServiceError,
} from "@grpc/grpc-js";
import { channelOptions } from "../../src/grpc.ts";
import type { Client } from "../../src/index.ts";
import { type Lanes, type Send, WARM_UP } from "./load.ts";
import { PATIENCE_MS } from "./scenes.ts";

const same = (bytes: Buffer): Buffer => bytes;
const bytes = { requestSerialize: same, requestDeserialize: same, responseSerialize: same, responseDeserialize: same };
const unary = (method: string) => ({ path: `/demo.Demo/${method}`, requestStream: false, responseStream: false, ...bytes });

type Ask = (request: Buffer, metadata: Metadata, options: CallOptions, done: (error: ServiceError | null) => void) => Asked;

interface Asked {
  cancel(): void;
  once(event: "status", listener: (status: unknown) => void): unknown;
}

interface Stub {
  readonly get: Ask;
  readonly warmUp: Ask;
  close(): void;
}

const DemoClient = makeGenericClientConstructor({ get: unary("Get"), warmUp: unary(WARM_UP) }, "demo.Demo") as unknown as new (
  address: string,
  security: ReturnType<typeof credentials.createInsecure>,
  options: ClientOptions,
) => Stub; // the cast: it has the methods of its definition

/** One lane over one channel; `attempts`: what the client knows of a call, by its status. */
function lane(
  stub: Stub,
  method: "get" | "warmUp",
  options: () => CallOptions,
  attempts: (status: unknown) => number,
  stop: AbortSignal,
): Send {
  return () =>
    new Promise((resolve) => {
      let ok = false;
      const cancel = (): void => call.cancel();
      const call = stub[method](Buffer.from("hello"), new Metadata({ idempotentRequest: true }), options(), (error) => {
        ok = error === null;
      });
      call.once("status", (status) => {
        stop.removeEventListener("abort", cancel);
        resolve({ ok, attempts: attempts(status) });
      });
      stop.addEventListener("abort", cancel);
    });
}

export function grpcLanes(client: Client, policy: string, addresses: readonly string[], stop: AbortSignal): Lanes {
  const [bareAt = "", premeshAt = ""] = addresses;
  const own = { "grpc.use_local_subchannel_pool": 1 };
  const bare = new DemoClient(bareAt, credentials.createInsecure(), own);
  const ours = new DemoClient(premeshAt, credentials.createInsecure(), { ...own, ...channelOptions(client, { policy }) });
  const patient = (): CallOptions => ({ deadline: Date.now() + PATIENCE_MS });
  const known = (status: unknown): number => client.explain(status)?.attempts ?? 0;
  const both = (method: "get" | "warmUp"): readonly [bare: Send, premesh: Send] => [
    lane(bare, method, patient, () => 1, stop),
    lane(ours, method, () => ({}), known, stop),
  ];
  return {
    lanes: both("get"),
    warmUp: both("warmUp"),
    close: () => {
      bare.close();
      ours.close();
    },
  };
}
