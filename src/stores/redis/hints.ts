// Hints over Redis: short messages on one channel, by publish and subscribe; old, odd and too many ones are dropped.
import type { SharedHints } from "../../call/shared.ts";
import type { Link } from "./link.ts";

/** What is older says nothing about now. */
const OLDEST_MS = 2_000;
/** Clocks of processes agree with the server's as well as a round trip lets them. */
const EARLIEST_MS = -1_000;
const LONGEST = 512;
/** How many a process sends, and hears, in a second. */
const MOST_SENT = 20;
const MOST_HEARD = 500;

export interface Hints extends SharedHints {
  /** A message has come. */
  came(message: unknown): void;
}

/** `listen`: somebody wants to hear for the first time. */
export function newHints(link: Link, channel: string, listen: () => void): Hints {
  const own = Math.random().toString(36).slice(2);
  const listeners = new Map<string, Set<(hint: string) => void>>();
  const maySend = perSecond(MOST_SENT);
  const mayHear = perSecond(MOST_HEARD);
  return {
    tell: (id, hint) => {
      const message = JSON.stringify([own, Math.round(link.serverNow()), id, hint]);
      if (message.length > LONGEST || !maySend()) return;
      link.use((redis) => redis.publish(channel, message)).catch(() => undefined); // nobody relies on a hint
    },
    hear: (id, heard) => {
      if (listeners.size === 0) listen();
      const hearing = listeners.get(id) ?? new Set();
      listeners.set(id, hearing.add(heard));
      return () => {
        hearing.delete(heard);
        if (hearing.size === 0 && listeners.get(id) === hearing) listeners.delete(id);
      };
    },
    came: (message) => {
      if (typeof message !== "string" || message.length > LONGEST || !mayHear()) return;
      const parsed = parse(message);
      if (parsed === undefined) return;
      const [from, at, id, hint] = parsed;
      const age = link.serverNow() - at;
      if (from === own || age > OLDEST_MS || age < EARLIEST_MS) return;
      for (const heard of listeners.get(id) ?? []) heard(hint);
    },
  };
}

function parse(message: string): readonly [from: string, at: number, id: string, hint: string] | undefined {
  let parsed: unknown;
  try {
    parsed = JSON.parse(message);
  } catch {
    return undefined;
  }
  if (!Array.isArray(parsed) || parsed.length !== 4) return undefined;
  const [from, at, id, hint] = parsed as unknown[]; // the cast: anything may have been published
  return typeof from === "string" && typeof at === "number" && typeof id === "string" && typeof hint === "string"
    ? [from, at, id, hint]
    : undefined;
}

/** Says yes so many times in a second. */
function perSecond(most: number): () => boolean {
  let since = 0;
  let count = 0;
  return () => {
    const now = performance.now();
    if (now - since >= 1_000) {
      since = now;
      count = 0;
    }
    return ++count <= most;
  };
}
