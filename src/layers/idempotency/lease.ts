// Lease: says again and again that the work of a call with a key goes on, while anybody can know.
import { setIdleTimer, type Timers } from "../../call/clock.ts";

export interface Lease {
  /** One lease more, and then it runs out: nobody waits for the work any more. */
  last(): void;
  /** The work is over. False: it was already. */
  end(): boolean;
}

/** Renewed when a third of it has passed, so that two renewals may be lost. `renew`: false, the key is another's. `ranOut`: it did, and the work goes on. */
export function newLease(timers: Timers, leaseMs: number, renew: (ms: number) => Promise<boolean>, ranOut: () => void): Lease {
  let over = false;
  let left = Number.POSITIVE_INFINITY;
  let lost = false;
  let timer: unknown;

  function arm(): void {
    timer = setIdleTimer(timers, tick, Math.max(1, leaseMs / 3));
  }

  function tick(): void {
    if (over) return;
    if (left-- <= 0) return ranOut();
    renew(leaseMs).then(
      (mine) => {
        if (over) return;
        lost = !mine;
        if (mine) arm();
        else if (left < Number.POSITIVE_INFINITY) ranOut();
      },
      () => {
        if (!over) arm();
      },
    );
  }

  arm();
  return {
    last: () => {
      left = Math.min(left, 3);
      if (lost && !over) ranOut();
    },
    end: () => {
      if (over) return false;
      over = true;
      timers.clearTimer(timer);
      return true;
    },
  };
}
