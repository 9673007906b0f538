// The store that a shim shares by; its Redis client is loaded when one is asked for.
import type { SharedStore } from "../call/shared.ts";

/** Rejects for what is no URL of a Redis, without the URL, which may hold a password. A Redis that cannot be reached is no error. */
export async function sharedStore(url: string): Promise<SharedStore> {
  const { redisStore } = await import("../stores/redis/store.ts");
  return redisStore(url);
}
