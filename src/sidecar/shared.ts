// The store that a shim shares by; its Redis client is loaded when one is asked for.
import type { SharedStore } from "../call/shared.ts";

/** It has a password, which others on the machine can read, since it stands among the words that the process was started with. */
export const isExposed = (url: string, words: readonly string[]): boolean =>
  words.some((word) => word.includes(url)) && URL.canParse(url) && new URL(url).password !== "";

/** Rejects for what is no URL of a Redis, without the URL, which may hold a password. A Redis that cannot be reached is no error. */
export async function sharedStore(url: string): Promise<SharedStore> {
  const { redisStore } = await import("../stores/redis/store.ts");
  return redisStore(url);
}
