// Shared: what processes have in common through a store, such as Redis, and what layers ask of it.
//
// A store may be slow, wrong or away at any time. So whatever is asked of it settles in bounded time, and rejects with a `StoreAway` where there is no answer;
// no layer needs it to go on.
import type { AnswerStore } from "./answers.ts";

/** A store that several processes use. `redisStore` of `premesh/redis` makes one. */
export interface SharedStore {
  /** Where it is, without user and password. */
  readonly address: string;
  /** How many processes share, as long as the store has not said. */
  readonly processes: number;
  /** A limit over all processes that give the same id. Cheap to ask for: nothing is done before the first `take`. */
  readonly limit: (id: string, rule: SharedRule) => SharedLimit;
  readonly hints: SharedHints;
  /** The answers to calls with a key. */
  readonly answers: AnswerStore;
  /** Lets go of the connections. What is asked of it afterwards rejects. Whoever made the store closes it; a client does not. */
  close(): Promise<void>;
}

/** The rule of a shared limit: a token bucket. */
export interface SharedRule {
  /** Milliseconds between permits at the long-term rate. */
  readonly intervalMs: number;
  /** How many permits may be taken at once after a quiet time. */
  readonly burst: number;
}

export interface SharedLimit {
  /** Takes up to `most` permits, and none where not even `least` are there. */
  take(least: number, most: number): Promise<Taken>;
  /** Gives permits back that were not used. Best effort. */
  giveBack(permits: number): void;
}

export interface Taken {
  /** How many it is; 0: there are not enough. */
  readonly permits: number;
  /** How long until `least` are there, if nobody else takes them; 0 where some were given. */
  readonly waitMs: number;
  /** How many processes have used this limit of late, this one included. */
  readonly processes: number;
}

/** Short messages to all processes, which may be lost: nobody relies on them. */
export interface SharedHints {
  /** Tells all others. Dropped where the store is away or too many are sent. */
  readonly tell: (id: string, hint: string) => void;
  /** Hears what others tell about `id`, unless it is old. Gives the function that ends it. */
  readonly hear: (id: string, heard: (hint: string) => void) => () => void;
}

/** A store gave no answer. A class, so that it is told apart from mistakes of ours. The message names no user and no password. */
export class StoreAway extends Error {
  override readonly name: string = "StoreAway";
}
