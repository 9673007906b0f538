// Link: one connection to Redis, which is made anew when it breaks, and answers in bounded time or says that it is away.
//
// ioredis would queue commands while it is not connected, and wait for ever for a server that has stopped. Here nothing is queued, a server that does not
// answer in time counts as gone, and a connection that is up keeps no process alive.
import { Redis } from "ioredis";
import { StoreAway } from "../../call/shared.ts";
import type { RedisAddress } from "./address.ts";
import type { TlsOptions } from "./options.ts";

export interface Link {
  /** Asks something of Redis. Rejects with {@link StoreAway} when it is away, or does not answer in time. `answers`: how many there are, one after the other. */
  use<T>(ask: (redis: Redis) => Promise<T>, answers?: number): Promise<T>;
  /** The clock of the server, as well as it is known; milliseconds since 1970. */
  serverNow(): number;
  close(): void;
}

export interface LinkOptions {
  readonly address: RedisAddress;
  readonly timeoutMs: number;
  readonly tls: TlsOptions | undefined;
  readonly keyPrefix: string;
  /** Done with each new connection, before it counts as up. */
  readonly opened?: (redis: Redis) => Promise<unknown>;
}

const FIRST_PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 1_000;

/** How many answers a new connection waits for, one after the other. */
const TO_CONNECT = 4;

/** Errors of a server that cannot be worked with now, though it answers: https://redis.io/docs/latest/develop/reference/protocol-spec/#simple-errors */
const UNUSABLE = /^(?:READONLY|LOADING|NOAUTH|WRONGPASS|MASTERDOWN|MISCONF|CLUSTERDOWN)\b/;

export function newLink({ address, timeoutMs, tls, keyPrefix, opened }: LinkOptions): Link {
  const { host, port, username, password, db } = address;
  const redis = new Redis({
    host,
    port,
    db,
    keyPrefix,
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password }),
    ...(address.tls ? { tls: { servername: host, ...tls } } : {}),
    lazyConnect: true,
    connectTimeout: timeoutMs,
    maxRetriesPerRequest: 0,
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    autoResubscribe: false,
    retryStrategy: () => null, // `connect` below does it, with timers that keep no process alive
  });
  let up = false;
  let closed = false;
  let why = "it is not connected yet";
  let pause = FIRST_PAUSE_MS;
  let timer: NodeJS.Timeout | undefined;
  let ahead = Date.now() - performance.now();
  /** What the connection that is being made came upon: ioredis says no more than that it is closed. */
  let cause: string | undefined;
  redis.on("error", (error: Error) => {
    cause = wordOf(error);
  });
  redis.on("end", () => {
    if (up) lost(cause ?? "the connection was closed");
  });
  let connecting: Promise<void> = connect();

  async function connect(): Promise<void> {
    cause = undefined;
    try {
      await within(timeoutMs * TO_CONNECT, open());
      up = true;
      pause = FIRST_PAUSE_MS;
    } catch (error) {
      lost(cause ?? wordOf(error));
    }
  }

  async function open(): Promise<void> {
    await redis.connect();
    redis.stream?.unref();
    const asked = performance.now();
    const [seconds, micros] = await redis.time();
    ahead = Number(seconds) * 1_000 + Number(micros) / 1_000 - (asked + performance.now()) / 2;
    await opened?.(redis);
  }

  /** It is away from now on; the next try comes by itself. */
  function lost(reason: string): void {
    up = false;
    why = reason;
    if (closed || timer !== undefined) return;
    timer = setTimeout(
      () => {
        timer = undefined;
        connecting = connect();
      },
      pause * (0.75 + Math.random() / 2),
    );
    timer.unref();
    pause = Math.min(pause * 2, LONGEST_PAUSE_MS);
    disconnect();
  }

  /** At once: a server that does not answer would not say goodbye either. Of a connection that is gone already ioredis would wait for the end. */
  function disconnect(): void {
    if (redis.status === "end") return;
    redis.disconnect();
    redis.stream?.destroy();
  }

  const away = (): StoreAway => new StoreAway(`the store ${address.shown} is away: ${why}`);

  return {
    use: async (ask, answers = 1) => {
      if (!up && !closed && timer === undefined) await connecting; // the first connection, or one that is being made
      if (!up || closed) throw away();
      try {
        return await within(timeoutMs * answers, ask(redis));
      } catch (error) {
        const reason = wordOf(error);
        if (!isReply(error) || UNUSABLE.test(reason)) lost(reason);
        throw new StoreAway(`the store ${address.shown} gave no answer: ${reason}`); // oxlint-disable-line eslint/preserve-caught-error -- ioredis puts a command's arguments on its errors, a password among them
      }
    },
    serverNow: () => performance.now() + ahead,
    close: () => {
      closed = true;
      up = false;
      why = "it was closed";
      clearTimeout(timer);
      disconnect();
    },
  };
}

/** An answer of the server's that says no. */
const isReply = (error: unknown): boolean => error instanceof Error && error.name === "ReplyError";

const wordOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/**
 * A process that was busy for longer than that reads its sockets only after its timers have fallen due. So an answer that has come meanwhile still counts:
 * the verdict waits until the sockets were read.
 */
async function within<T>(ms: number, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    const give = (): void => reject(new Error(`no answer in ${ms} ms`));
    timer = setTimeout(() => setImmediate(() => setImmediate(give)), ms);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
