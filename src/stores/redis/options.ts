// The options of redisStore, and what is wrong with those of callers without types.
import type { ConnectionOptions } from "node:tls";
import { type Duration, durationMs } from "../../policy/duration.ts";
import { PolicyError } from "../../policy/error.ts";

/** What a `rediss:` connection may need besides; Node's own names. */
export type TlsOptions = Pick<ConnectionOptions, "ca" | "cert" | "key" | "servername" | "rejectUnauthorized">;

export interface RedisStoreOptions {
  /** What all keys and channels begin with. Processes that share have the same. Default `"premesh"`. */
  readonly prefix?: string;
  /** How long Redis may take to answer a question, which is one or two round trips; then it counts as away. Default 500ms. */
  readonly timeout?: Duration;
  /**
   * How many processes share, for one that has not reached Redis yet: its fair share of a limit is that part. Later it goes by the count in Redis. Default 1:
   * the whole limit.
   */
  readonly processes?: number;
  /** For `rediss:`. Default: what Node takes. */
  readonly tls?: TlsOptions;
}

const redisStoreDefaults = { prefix: "premesh", timeout: "500ms", processes: 1 } as const;

interface Checked {
  readonly prefix: string;
  readonly timeoutMs: number;
  readonly processes: number;
}

/** Throws `ERR_PREMESH_INVALID_OPTIONS`. */
export function checkedOptions(options: RedisStoreOptions): Checked {
  const bad = (message: string): never => {
    throw new PolicyError("ERR_PREMESH_INVALID_OPTIONS", `redisStore: ${message}`);
  };
  if (typeof options !== "object" || (options as unknown) === null) bad("the second argument must be an object of options"); // the cast: callers without types may pass anything
  const {
    prefix = redisStoreDefaults.prefix,
    timeout = redisStoreDefaults.timeout,
    processes = redisStoreDefaults.processes,
    tls,
  } = options;
  if (typeof prefix !== "string" || !/^[\w:.-]{1,64}$/.test(prefix)) bad("prefix must be 1 to 64 letters, digits, ':', '.', '_' or '-'");
  const timeoutMs = typeof timeout === "string" ? durationMs(timeout) : Number.NaN;
  if (!(timeoutMs >= 1 && timeoutMs <= 60_000)) bad('timeout must be a duration from "1ms" to "1m"');
  if (!Number.isInteger(processes) || processes < 1 || processes > 100_000) bad("processes must be a whole number from 1 to 100000");
  if (tls !== undefined && (typeof tls !== "object" || (tls as unknown) === null)) bad("tls must be an object"); // the cast: as above
  return { prefix, timeoutMs, processes };
}
