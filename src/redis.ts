// premesh/redis: what processes share through a Redis. Importing it loads ioredis.
export { redisStore } from "./stores/redis/store.ts";
export type { RedisStoreOptions, TlsOptions } from "./stores/redis/options.ts";
export type { SharedHints, SharedLimit, SharedRule, SharedStore, Taken } from "./call/shared.ts";
