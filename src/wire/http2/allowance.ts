// Allowance: how often a peer may still do what costs us more than it, a bucket that fills with time.
import type { Deadlines } from "../deadlines.ts";
import type { Rate } from "./limits.ts";

export interface Allowance {
  /** Takes one. False: there is none left. */
  spend(): boolean;
}

export function newAllowance({ burst, perSecond }: Rate, deadlines: Deadlines): Allowance {
  let left = burst;
  let at = deadlines.after(0);
  return {
    spend() {
      const now = deadlines.after(0);
      left = Math.min(burst, left + ((now - at) / 1_000) * perSecond);
      at = now;
      if (left < 1) return false;
      left--;
      return true;
    },
  };
}
