// Lease: says again and again that the work of a call with a key goes on, while anybody can know.
import { setIdleTimer, type Timers } from "../../call/clock.ts";

export interface Lease {
  /** One lease more, and then it runs out: nobody waits for the work any more. */
  last(): void;
  /** The work is over. False: it was already. */
  end(): boolean;
}

/** Renewed when a third of it has passed, so that two renewals may be lost. `renew`: false, the key is another's. */
export function newLease(timers: Timers, leaseMs: number, renew: (ms: number) => Promise<boolean>): Lease {
  let over = false;
  let left = Number.POSITIVE_INFINITY;
  let timer: unknown;

  function arm(): void {
    timer = setIdleTimer(timers, tick, Math.max(1, leaseMs / 3));
  }

  function tick(): void {
    if (over || left-- <= 0) return;
    renew(leaseMs).then(
      (mine) => {
        if (mine && !over) arm();
      },
      () => {
        if (!over) arm();
      },
    );
  }

  arm();
  return {
    last: () => (left = Math.min(left, 3)),
    end: () => {
      if (over) return false;
      over = true;
      timers.clearTimer(timer);
      return true;
    },
  };
}
