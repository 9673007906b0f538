// Refreshed: a source that is asked again when its answer no longer holds, in the background.
import type { Env } from "../../../call/env.ts";
import { setIdleTimer } from "../../../call/clock.ts";
import type { Found, Source } from "./found.ts";

export interface Answer {
  readonly endpoints: readonly Found[];
  /** For how long it holds. */
  readonly holdsMs: number;
}

/** Looks once. It may throw, or give an empty list where there is none. `signal`: nobody waits any more. */
export type Look = (signal: AbortSignal) => Promise<Answer>;

/** However short a TTL is, and however long. */
const SHORTEST_MS = 1_000;
const LONGEST_MS = 300_000;

/** After a failure it is looked again after a second, then two, up to this. */
const LONGEST_RETRY_MS = 30_000;

/** Who has no answer then will have none. */
const PATIENCE_MS = 30_000;

/** Times are spread by a tenth, so that processes that began together do not ask together for ever. */
const SPREAD = 0.1;

export function refreshed(look: Look, { timers, random }: Pick<Env, "timers" | "random">): Source {
  return ({ found, failed }) => {
    const closing = new AbortController();
    let failures = 0;
    let timer: unknown;

    async function again(): Promise<void> {
      const inMs = await once().then(
        ({ endpoints, holdsMs }) => {
          if (!closing.signal.aborted) found(endpoints);
          failures = 0;
          return Math.min(LONGEST_MS, Math.max(SHORTEST_MS, holdsMs));
        },
        (error: unknown) => {
          if (!closing.signal.aborted) failed(error);
          return Math.min(LONGEST_RETRY_MS, SHORTEST_MS * 2 ** failures++);
        },
      );
      if (!closing.signal.aborted) timer = setIdleTimer(timers, () => void again(), inMs * (1 + SPREAD * random()));
    }

    /** One look; one that takes too long counts as failed. */
    function once(): Promise<Answer> {
      const giving = new AbortController();
      const close = (): void => giving.abort(closing.signal.reason);
      closing.signal.addEventListener("abort", close, { once: true });
      return new Promise<Answer>((resolve, reject) => {
        const patience = setIdleTimer(
          timers,
          () => {
            const error = new Error(`no answer after ${PATIENCE_MS} ms`);
            giving.abort(error);
            reject(error);
          },
          PATIENCE_MS,
        );
        const over = (): void => {
          timers.clearTimer(patience);
          closing.signal.removeEventListener("abort", close);
        };
        const looking = (async () => look(giving.signal))(); // async: what throws at once fails like what fails later
        looking.then(resolve, reject).finally(over);
      });
    }

    void again();
    return () => {
      closing.abort(new Error("the route is closed"));
      timers.clearTimer(timer);
    };
  };
}
