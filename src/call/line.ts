// Line: a bounded line of calls that wait for their turn, first come, first served; an abort or a timeout leaves it at once.

/** How waiting ended. */
export type Turn = "granted" | "timeout" | "aborted";

interface Waiter {
  readonly settle: (turn: Turn) => void;
  gone: boolean;
}

export interface Line {
  /** How many wait. */
  length(): number;
  /** Waits for a turn; the caller has seen that there is room. */
  wait(timeoutMs: number, signal: AbortSignal | undefined): Promise<Turn>;
  /** Gives the first who waits its turn; false: nobody waits. */
  grant(): boolean;
}

export function newLine(onEmpty?: () => void): Line {
  const waiters: Waiter[] = [];
  let head = 0;
  let length = 0;
  const leave = (waiter: Waiter): void => {
    waiter.gone = true;
    length--;
    while (head < waiters.length && waiters[head]?.gone === true) head++;
    if (head > 64 && head * 2 > waiters.length) {
      waiters.splice(0, head);
      head = 0;
    }
    if (length === 0) {
      waiters.length = head = 0;
      onEmpty?.();
    }
  };
  return {
    length: () => length,
    wait: (timeoutMs, signal) => {
      if (signal?.aborted === true) return Promise.resolve("aborted");
      return new Promise((resolve) => {
        const waiter: Waiter = {
          gone: false,
          settle: (turn) => {
            clearTimeout(timer);
            signal?.removeEventListener("abort", abort);
            leave(waiter);
            resolve(turn);
          },
        };
        const abort = (): void => waiter.settle("aborted");
        const timer = setTimeout(() => waiter.settle("timeout"), timeoutMs);
        signal?.addEventListener("abort", abort, { once: true });
        waiters.push(waiter);
        length++;
      });
    },
    grant: () => {
      const first = waiters[head];
      if (first === undefined) return false;
      first.settle("granted");
      return true;
    },
  };
}
