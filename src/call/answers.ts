// Answers: where the answers to calls with a key are kept, in the process or for many of them. Knows no wire.
import type { Answer } from "./incoming.ts";

/** For how long what holds. */
export interface Terms {
  /** How long a key stays taken without a word from who has taken it. */
  readonly leaseMs: number;
  /** How long a key is known at all. */
  readonly keepMs: number;
  /** A key whose lease has run out may be taken again, on the user's word. */
  readonly repeat: boolean;
}

/** What is known of a key. `asked`: the digest of what it was taken for. */
export type Begun =
  /** It is the caller's now; with the token it says what becomes of it, unless somebody has taken the key since. `again`: its lease had run out. */
  | { readonly state: "begun"; readonly token: string; readonly again: boolean }
  | { readonly state: "running"; readonly asked: string }
  /** It was begun, and nobody says how it came out. */
  | { readonly state: "lost"; readonly asked: string }
  /** Without an answer: it was done, and its answer was not kept. */
  | { readonly state: "done"; readonly asked: string; readonly answer: Answer | undefined }
  /** There is no room, and none can be made. */
  | { readonly state: "full" };

/** Keeps answers by key. Each method rejects when the store cannot be reached. */
export interface AnswerStore {
  /** Takes a key, or tells what is known of it; as one step. */
  begin(key: string, asked: string, terms: Terms): Promise<Begun>;
  /** The work goes on; with 0 ms, that nobody will ever say how it came out. False: the key is another's by now. */
  renew(key: string, token: string, leaseMs: number): Promise<boolean>;
  /** The work is done. Without an answer: it cannot be kept. False: the key is another's by now. */
  finish(key: string, token: string, answer: Answer | undefined, keepMs: number): Promise<boolean>;
  /** The work was never begun, so the key is free again. */
  giveUp(key: string, token: string): Promise<void>;
}
