// Shim: what a client knows of one sidecar, whether it is there, and who waits for it; the same for all its policies.
//
// A sidecar is asked before the first call goes there, so that no call is ever given to something that is no sidecar, or one that is too old: what such a
// thing makes of a call nobody knows. When it is lost, calls run in the process from the next on, and it is asked in the background until it is there again.
import { hasLeft } from "../call/address.ts";
import { setIdleTimer } from "../call/clock.ts";
import type { Changed, Flight, Sidecar, SidecarAddress } from "../call/crossing.ts";
import type { Env } from "../call/env.ts";
import { type Finding, probe } from "./probe.ts";

/** Waits between questions: random between half and all of 50 ms, 100 ms, ... up to this. */
const FIRST_WAIT_MS = 50;
const LONGEST_WAIT_MS = 5_000;

/** Calls that have no answer for so long are reason to ask. */
const SILENCE_MS = 1_000;

/** A client that is updated again and again remembers no more revisions than this. */
const MOST_REVISIONS = 1_024;

/** A revision that the sidecar does not have is asked for again after so long, by one call. */
const REVISION_WAIT_MS = 1_000;

export interface Shim extends Sidecar {
  close(): void;
}

type Phase = "unknown" | "up" | "down";

export function newShim(text: string, env: Pick<Env, "now" | "timers" | "random">): Shim {
  let address = addressOf(text);
  let phase: Phase = "unknown";
  let why = "it was not asked yet";
  /** Questions in a row that had no good answer. */
  let failures = 0;
  let lostAt = 0;
  let nextAt = 0;
  let timer: unknown;
  let asking: Promise<boolean> | undefined;
  let watch: unknown;
  /** When it last gave a sign of life. */
  let heardAt = 0;
  const closing = new AbortController();
  const waiting = new Set<Flight>();
  const answered = new Set<Flight>();
  const listeners = new Set<Changed>();
  /** Revisions that it does not have, and when they are asked for again. */
  const lacking = new Map<string, number>();
  /** Those of which that was said; once is enough. */
  const said = new Set<string>();

  const tell = (...what: Parameters<Changed>): void => {
    for (const changed of listeners) changed(...what);
  };

  function ask(): Promise<boolean> {
    asking ??= probe(address, env, closing.signal).then((finding) => {
      asking = undefined;
      judge(finding);
      return phase === "up";
    });
    return asking;
  }

  function judge(finding: Finding): void {
    if (closing.signal.aborted) return;
    if (finding !== undefined) return lose(finding);
    heardAt = env.now();
    if (phase === "up") return;
    const returning = phase === "down";
    phase = "up";
    failures = 0;
    lacking.clear();
    if (returning) tell(true, { address: text, afterMs: env.now() - lostAt });
  }

  function lose(reason: string): void {
    const before = phase;
    phase = "down";
    why = reason;
    if (before !== "down") {
      lostAt = env.now();
      const gone = address;
      address = addressOf(text); // nothing is kept of its connections
      hasLeft(gone);
      tell(false, { address: text, why: reason });
    }
    soon();
  }

  /** Asks after a while, if it is not asked already. */
  function soon(): void {
    env.timers.clearTimer(timer);
    if (closing.signal.aborted || listeners.size === 0) return;
    const wait = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** Math.min(failures++, 16)) * (0.5 + 0.5 * env.random());
    nextAt = env.now() + wait;
    timer = setIdleTimer(env.timers, () => void ask(), wait);
  }

  function arm(): void {
    watch ??= setIdleTimer(env.timers, look, SILENCE_MS);
  }

  /** Calls wait, and nothing was heard for a while: it may be hung. */
  function look(): void {
    watch = undefined;
    const [oldest] = waiting;
    if (oldest === undefined || closing.signal.aborted) return;
    const now = env.now();
    if (phase !== "up" || now - Math.max(heardAt, oldest.startedAt) < SILENCE_MS) return arm();
    void ask().then((there) => {
      if (there) return arm();
      const lost = [...waiting, ...answered];
      waiting.clear();
      answered.clear();
      for (const flight of lost) flight.lost();
    });
  }

  return {
    get address() {
      return address;
    },
    get why() {
      return why;
    },
    get retryAfterMs() {
      return phase === "down" ? Math.max(1, Math.ceil(nextAt - env.now())) : undefined;
    },
    ready: () => (phase === "unknown" ? ask() : phase === "up"),
    knows: (revision) => {
      const again = lacking.get(revision);
      if (again === undefined) return true;
      if (env.now() < again) return false;
      lacking.set(revision, env.now() + REVISION_WAIT_MS);
      return true;
    },
    takes: (revision) => void lacking.delete(revision),
    lacks: (revision) => {
      const first = !said.has(revision);
      if (said.size >= MOST_REVISIONS) {
        said.clear();
        lacking.clear();
      }
      said.add(revision);
      lacking.set(revision, env.now() + REVISION_WAIT_MS * (0.5 + 0.5 * env.random()));
      return first;
    },
    entered: (flight) => {
      waiting.add(flight);
      arm();
    },
    answered: (flight) => {
      heardAt = env.now();
      if (waiting.delete(flight)) answered.add(flight);
    },
    left: (flight) => {
      if (!waiting.delete(flight)) answered.delete(flight);
    },
    failed: (reason) => {
      if (phase === "up") failures = 0;
      if (phase !== "down") lose(reason);
    },
    use: (changed) => {
      listeners.add(changed);
      if (phase === "down") soon();
    },
    release: (changed) => {
      listeners.delete(changed);
      if (listeners.size === 0) env.timers.clearTimer(timer);
    },
    status: () => ({
      address: text,
      phase,
      ...(phase === "down" ? { why, downMs: env.now() - lostAt, retryAfterMs: Math.max(0, Math.ceil(nextAt - env.now())) } : {}),
      waiting: waiting.size,
      ...(lacking.size === 0 ? {} : { lackingRevisions: [...lacking.keys()] }),
    }),
    close: () => {
      closing.abort();
      env.timers.clearTimer(timer);
      env.timers.clearTimer(watch);
      hasLeft(address);
    },
  };
}

function addressOf(text: string): SidecarAddress {
  const socketPath = text.startsWith("unix:") ? text.slice("unix:".length) : undefined;
  return { key: text, url: new URL(socketPath === undefined ? text : "http://localhost"), socketPath, leaving: undefined };
}
