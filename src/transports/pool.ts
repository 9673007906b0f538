// The pool of a client: how much all its RPCs together keep of the messages that they may have to send again.
import type { Pool } from "../call/messages.ts";
import type { Door } from "./door.ts";

/** As much as grpc-js's `grpc.retry_buffer_size`: 16 MiB. */
const POOL_BYTES = 16_777_216;

const pools = new WeakMap<Door, Pool>();

/** One for each client, whatever its transports. */
export function poolOf(door: Door): Pool {
  const known = pools.get(door);
  if (known !== undefined) return known;
  const pool: Pool = { bytes: 0, limit: POOL_BYTES };
  pools.set(door, pool);
  return pool;
}
