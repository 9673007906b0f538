// redisStore: limits, hints and answers over one Redis, for all processes that name it.
import type { SharedStore } from "../../call/shared.ts";
import { redisAddress } from "./address.ts";
import { newAnswers } from "./answers.ts";
import { newHints } from "./hints.ts";
import { newLimits } from "./limits.ts";
import { type Link, newLink } from "./link.ts";
import { checkedOptions, type RedisStoreOptions } from "./options.ts";

/**
 * What processes share through Redis 6.2 or later: `createClient({ shared: redisStore(url) })`. It connects at once and again whenever the connection
 * breaks, and keeps no process alive. Several clients may be given the same store; whoever made it closes it.
 *
 * Errors: `ERR_PREMESH_INVALID_OPTIONS` at once. A Redis that cannot be reached is no error: layers do what their `onStoreLoss` says.
 *
 * @example
 * ```ts
 * const shared = redisStore("redis://localhost:6379", { prefix: "shop" });
 * const client = createClient({ policies: [payments], shared });
 * ```
 */
export function redisStore(url: string, options: RedisStoreOptions = {}): SharedStore {
  const address = redisAddress(url);
  const { prefix, timeoutMs, processes } = checkedOptions(options);
  const keyPrefix = `${prefix}:`;
  const linking = { address, timeoutMs, tls: options.tls, keyPrefix };
  const link = newLink(linking);
  const channel = `${keyPrefix}hints`;
  let subscriber: Link | undefined;
  const hints = newHints(link, channel, () => {
    subscriber ??= newLink({
      ...linking,
      keyPrefix: "", // it would stand before the channel too
      opened: async (redis) => {
        redis.removeAllListeners("message").on("message", (_channel, message) => hints.came(message));
        await redis.subscribe(channel);
      },
    });
  });
  const limits = newLimits(link);
  return {
    address: address.shown,
    processes,
    limit: limits.limit,
    answers: newAnswers(link),
    hints: { tell: hints.tell, hear: hints.hear },
    close: () => {
      limits.close();
      link.close();
      subscriber?.close();
      return Promise.resolve();
    },
  };
}
