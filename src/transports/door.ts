// Door: the way through a client for transports that are not its methods (gRPC, Connect). It is no part of the client's public type.
import type { Call, Next } from "../call/call.ts";
import type { ClientEnv } from "../call/env.ts";
import type { Outcome } from "../call/outcome.ts";
import { PolicyError } from "../policy/error.ts";
import type { InboundPlace } from "../policy/inbound.ts";
import type { Direction } from "../policy/matching.ts";
import type { Policy } from "../policy/policy.ts";

/** A policy of the client, ready to run. */
export interface Ruled {
  readonly policy: Policy;
  readonly revision: string;
  /** The whole stack for a target. */
  stackFor(target: string): Next<unknown>;
}

/** A policy of the client, with its seam. */
export interface Seamed extends Ruled {
  /** What stands behind the seam; `endpoint`: what a `route` before it has picked. `undefined`: there is no seam. */
  stackBehindSeam(target: string, endpoint?: string): Next<unknown> | undefined;
}

export interface Door {
  readonly env: ClientEnv;
  /** The policy that a call of HTTP matches: `host` with its port, in lower case. Default: a call that goes out. */
  find(host: string, path: string, method: string, direction?: Direction): Ruled | undefined;
  /** The policy that an RPC matches: `host` as above; `method` as `payments.v1.Payments/Charge`. */
  findRpc(host: string, method: string, direction?: Direction): Ruled | undefined;
  /** Whether there is a policy that calls which go out to the host can match; `host` as above. */
  serves(host: string): boolean;
  /** The policy of that name; throws `ERR_PREMESH_UNKNOWN_POLICY`. */
  named(name: string): Seamed;
  /**
   * Calls come in here: a policy for them that has a layer which cannot be run on such a call throws `ERR_PREMESH_INVALID_OPTIONS`, now and when it comes with
   * an update. Before another process that does them, all layers can.
   */
  acceptInbound(place?: InboundPlace): void;
  /** The policy must have an `idempotency` layer if the call comes with a key; throws `ERR_PREMESH_NO_IDEMPOTENCY_LAYER`. */
  requireIdempotencyLayer(ruled: Ruled, call: Call): void;
  /**
   * Sends a call through its policy. `conclude` makes of the outcome what the caller gets, and what it gives is tied to the call's record. Throws at
   * once when the client is closed; rejects with what `conclude` throws, unless there is `broken` to take it.
   */
  through<T>(
    ruled: Ruled,
    call: Call,
    conclude: (outcome: Outcome<unknown>, call: Call) => T,
    broken?: (error: unknown, call: Call) => T,
  ): Promise<T>;
}

const doors = new WeakMap<object, Door>();

/** Said once, by whoever makes the client. */
export function openDoor(client: object, door: Door): void {
  doors.set(client, door);
}

/** The door of a client; `caller` is the function that was given it. Throws `ERR_PREMESH_INVALID_OPTIONS` when it is no client. */
export function doorOf(client: unknown, caller: string): Door {
  const door = typeof client === "object" && client !== null ? doors.get(client) : undefined;
  if (door !== undefined) return door;
  throw new PolicyError(
    "ERR_PREMESH_INVALID_OPTIONS",
    `${caller}: needs the client that createClient gave; if it is one, two copies of premesh are loaded (npm ls premesh)`,
  );
}
