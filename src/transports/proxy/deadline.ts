// The deadline that a client has given its call: by gRPC's field, or by Envoy's where the client is trusted.
import type { Orders } from "../../call/orders.ts";
import type { LayerDefinition } from "../../policy/policy.ts";
import { timeoutMs } from "./grpc.ts";
import { expectedMs } from "./orders.ts";
import type { Request } from "./request.ts";

export const NEVER = Number.POSITIVE_INFINITY;

/** Milliseconds from now on. `layers`: a `timeout` among them sees to what a call may take by order. */
export function deadlineMs(
  { isGrpc, grpcTimeout, envoy }: Request,
  trusted: boolean,
  layers: readonly LayerDefinition[],
  orders: Orders | undefined,
): number {
  const asked = isGrpc ? timeoutMs(grpcTimeout) : undefined;
  const expected = trusted && envoy !== undefined ? expectedMs(envoy) : undefined;
  const ordered = orders?.callTimeoutMs === undefined || layers.some(({ kind }) => kind === "timeout") ? undefined : orders.callTimeoutMs;
  return Math.min(asked ?? NEVER, expected ?? NEVER, ordered ?? NEVER);
}
